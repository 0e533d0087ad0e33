"""Centred kernel alignment (CKA) and the Hilbert-Schmidt independence criterion (HSIC)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def centered_kernel_alignment(K: ArrayLike, L: ArrayLike, centered: bool = True, unbiased: bool = False) -> float:
    """CKA(K, L) = <K', L'>_F / (||K'||_F ||L'||_F), with K' = H K H and H = I - 11^T/n.

    Args:
        K, L: (n, n) symmetric Gram matrices of the same samples.
        centered: False drops H (plain kernel alignment).
        unbiased: use the unbiased estimator of HSIC (Song et al. 2012) in all three places, which removes the upward
            bias when there are more features than samples; it can be negative, and needs n >= 4.

    Returns:
        A number in [0, 1] for positive semi-definite kernels (not if `unbiased`); 1 iff K' and L' are proportional; NaN
        if either vanishes (a constant kernel has no centred part).

    Raises:
        ValueError: for shapes that do not agree, or `unbiased` without `centered`.

    Source: Cortes, Mohri and Rostamizadeh, JMLR 2012; Kornblith et al., arXiv 1905.00414.
    """
    first, second = _pair(K, L)
    return float(np.vdot(_unit_norm(first, centered, unbiased), _unit_norm(second, centered, unbiased)))


def centered_kernel_distance(K: ArrayLike, L: ArrayLike, centered: bool = True, unbiased: bool = False) -> float:
    """1 - CKA(K, L), with all its digits also where CKA is 1 - 1e-15.

    Computed as half the squared Frobenius distance of the two centred kernels after each is scaled to unit norm.
    """
    first, second = _pair(K, L)
    difference = _unit_norm(first, centered, unbiased)
    difference -= _unit_norm(second, centered, unbiased)
    return 0.5 * float(np.vdot(difference, difference))


def centered_kernel_alignment_from_features(A: ArrayLike, B: ArrayLike, centered: bool = True) -> float:
    """CKA(A A^T, B B^T) of features A (n, p) and B (n, q) of the same n samples, without any n x n matrix.

    ||A'^T B'||_F^2 / (||A'^T A'||_F ||B'^T B'||_F), with A' = H A.
    """
    first, second = np.array(A, dtype=np.float64), np.array(B, dtype=np.float64)
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second):
        raise ValueError(f"features have shapes {first.shape} and {second.shape}; expected (n, p) and (n, q)")
    if centered:
        first -= first.mean(axis=0)
        second -= second.mean(axis=0)
    cross, own_first, own_second = (np.linalg.norm(M) for M in (first.T @ second, first.T @ first, second.T @ second))
    return float(cross**2 / (own_first * own_second)) if own_first > 0 and own_second > 0 else float("nan")


def hilbert_schmidt_independence_criterion(K: ArrayLike, L: ArrayLike, unbiased: bool = False) -> float:
    """HSIC of two (n, n) Gram matrices: tr(K H L H) / (n - 1)^2 or, if `unbiased`, the U-statistic of Song et al.
    (2012), n >= 4.
    """
    first, second = _pair(K, L)
    n = len(first)
    product = float(np.vdot(_center(first, True, unbiased), _center(second, True, unbiased)))
    return product / (n * (n - 3)) if unbiased else product / (n - 1) ** 2


def _pair(K: ArrayLike, L: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(K, dtype=np.float64), np.asarray(L, dtype=np.float64)
    if first.ndim != 2 or first.shape[0] != first.shape[1] or first.shape != second.shape:
        raise ValueError(
            f"kernels have shapes {first.shape} and {second.shape}; expected (n, n) twice, of the same samples"
        )
    return first, second


def _unit_norm(K: NDArray[np.float64], centered: bool, unbiased: bool) -> NDArray[np.float64]:
    """A new array: the centred kernel divided by its Frobenius norm, or NaN if that is zero."""
    prepared = _center(K, centered, unbiased)
    norm = np.linalg.norm(prepared)
    # A kernel that is constant up to round-off has nothing but round-off left.
    if norm <= 1e-14 * np.linalg.norm(K):
        return np.full_like(prepared, np.nan)
    prepared /= norm
    return prepared


def _center(K: NDArray[np.float64], centered: bool, unbiased: bool) -> NDArray[np.float64]:
    """H K H, or its unbiased counterpart (zero diagonal, U-centred off it), whose inner products are n (n - 3) HSIC."""
    n = len(K)
    if not centered:
        if unbiased:
            raise ValueError("unbiased=True estimates the centred HSIC; it needs centered=True")
        return K.copy()
    if not unbiased:
        means = K.mean(axis=0)
        return K - means - K.mean(axis=1)[:, None] + means.mean()
    if n < 4:
        raise ValueError(f"the unbiased estimator needs at least 4 samples, not {n}")
    off_diagonal = K.copy()
    np.fill_diagonal(off_diagonal, 0.0)
    sums = off_diagonal.sum(axis=0) / (n - 2)
    row_sums = off_diagonal.sum(axis=1) / (n - 2)
    off_diagonal += sums.sum() / (n - 1)
    off_diagonal -= sums
    off_diagonal -= row_sums[:, None]
    np.fill_diagonal(off_diagonal, 0.0)
    return off_diagonal
