"""Cumulative quality and utility: how much of the targets, or of the learned outputs, lies in the leading eigenvectors
of a kernel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

RANK_TOLERANCE = 1e-6
UNIT_TOLERANCE = 1e-3


def mode_shares(
    eigenvectors: ArrayLike, functions: ArrayLike, rank_tolerance: float = RANK_TOLERANCE
) -> NDArray[np.float64]:
    """Q_k = ||P_H e_k||^2 in [0, 1]: the part of eigenvector e_k that lies in H = span of the given functions.

    Args:
        eigenvectors: (n, k), orthonormal columns on n samples, by descending eigenvalue. Columns at eigenvalue zero are
            arbitrary: leave out those below about 1e-8 of the largest.
        functions: (n,) or (n, C), the values of C functions on the same samples.
        rank_tolerance: directions of singular value below this share of the largest do not count towards H.

    Returns:
        (k,) shares; over all n eigenvectors they sum to dim H.

    Raises:
        ValueError: if the sample counts differ, the columns are not of unit length, or the functions all vanish.

    Source: Nam et al., arXiv 2410.04264, quality Q*_k.
    """
    vectors, basis = _prepare(eigenvectors, functions, rank_tolerance)
    return np.square(basis.T @ vectors).sum(axis=0)


def cumulative_quality(
    eigenvectors: ArrayLike, targets: ArrayLike, rank_tolerance: float = RANK_TOLERANCE
) -> NDArray[np.float64]:
    """Pi*(k) = sum_{j<=k} ||P_H* e_j||^2 / dim H*, H* = span of the target functions, (n, C). See `mode_shares`.

    Non-decreasing, at most 1; reaches 1 at k = dim H* iff the features lead with exactly the directions that the target
    needs. One-hot columns with their mean taken off, y - 1/C, span C - 1 dimensions.
    """
    vectors, basis = _prepare(eigenvectors, targets, rank_tolerance)
    return np.cumsum(np.square(basis.T @ vectors).sum(axis=0)) / basis.shape[1]


def cumulative_utility(
    eigenvectors: ArrayLike, outputs: ArrayLike, rank_tolerance: float = RANK_TOLERANCE
) -> NDArray[np.float64]:
    """Pihat(k): as `cumulative_quality`, with Hhat = span of the learned outputs, (n, C).

    Pihat(C) tends to 1 under neural collapse: the network uses its C leading eigenvectors and nothing else.
    """
    return cumulative_quality(eigenvectors, outputs, rank_tolerance)


def _prepare(
    eigenvectors: ArrayLike, functions: ArrayLike, rank_tolerance: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvectors (n, k), and an orthonormal basis (n, r) of the span of the functions."""
    vectors = np.asarray(eigenvectors, dtype=np.float64)
    values = np.asarray(functions, dtype=np.float64)
    values = values[:, None] if values.ndim == 1 else values
    if vectors.ndim != 2 or values.ndim != 2 or len(vectors) != len(values):
        raise ValueError(
            f"eigenvectors {vectors.shape} and functions {values.shape} must be (n, k) and (n, C) on the same n samples"
        )
    squared = np.square(vectors).sum(axis=0)
    if np.abs(squared - 1).max(initial=0.0) > UNIT_TOLERANCE:
        raise ValueError(
            f"eigenvectors have squared lengths from {squared.min():g} to {squared.max():g}; "
            "divide them to unit length (an operator's eigenfunctions, by sqrt(n))"
        )
    left, singular, _ = np.linalg.svd(values, full_matrices=False)
    if not singular[0] > 0:
        raise ValueError("the functions vanish on all samples, so they span nothing")
    return vectors, left[:, singular > rank_tolerance * singular[0]]
