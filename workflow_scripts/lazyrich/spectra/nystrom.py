"""Nystrom method: what a kernel on m landmarks tells of its spectrum on all points, and its eigenfunctions at any point.

Two estimators, which the experiment `nystrom_study` (config/experiments/nam2024.yaml) compares with the exact spectrum:

- the eigenfunctions of the operator on the landmarks, extended to other points (`nystrom_eigenfunctions`): m^2 entries of
  the kernel, and m more for each further point;
- the eigenpairs of the rank-m matrix K_nm K_mm^-1 K_mn (`nystrom_eigendecompose`): orthonormal on all n points, and
  closer at equal m, for n m entries and O(n m^2) operations.

Source: Williams and Seeger, NeurIPS 2000; Fowlkes et al., IEEE TPAMI 26, 214 (2004) (orthonormal vectors);
    Nam et al., arXiv 2410.04264 (feature matrices).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lazyrich.spectra.decomposition import Eigendecomposition, assess
from lazyrich.spectra.dense import check_size, dense_eigenpairs
from lazyrich.spectra.features import CUTOFF
from lazyrich.spectra.symmetric import SymmetricProduct


@dataclass(frozen=True)
class Eigenfunctions:
    """Eigenvalues and eigenfunctions of the kernel operator T u(x) = E_x'[K(x, x') u(x')], x' uniform on m landmarks.

    Attributes:
        values: (k,), rho_1 >= rho_2 >= ..., in the units of K. n rho_i estimates the i-th eigenvalue of K on n points of
            the same law.
        coefficients: (m, k) or (p, k): e_i(x) = sum_a s_a(x) coefficients[a, i], with s(x) the kernel K(x, landmarks),
            or the features of x.
        most_negative: least eigenvalue of T on the landmarks. If it is negative, so is one of K on all points, as
            eigenvalues interlace.
    """

    values: NDArray[np.float64]
    coefficients: NDArray[np.float64]
    most_negative: float

    def functions(self, sections: ArrayLike) -> NDArray[np.float64]:
        """e_i(x), (x, k), from `sections`: K(x, landmarks), (x, m), or, if made from features, the features (x, p).

        Normalised in L2 of the landmarks: their mean over the landmarks of e_i e_j is 1 for i = j, else 0. At other
        points they are of that size only as far as the landmarks stand for them.
        """
        rows = np.asarray(sections, dtype=np.float64)
        if rows.ndim != 2 or rows.shape[1] != len(self.coefficients):
            raise ValueError(
                f"sections have shape {rows.shape}; expected (points, {len(self.coefficients)}): the kernel between "
                "the points and the landmarks in their order, or the features of the points"
            )
        return rows @ self.coefficients


def nystrom_eigenfunctions(K_mm: ArrayLike, k: int | None = None) -> Eigenfunctions:
    """Eigenfunctions of a kernel from its matrix on m landmarks: with K_mm / m = U diag(rho) U^T,
    e_i(x) = K(x, landmarks) u_i / (sqrt(m) rho_i).

    Args:
        K_mm: (m, m), symmetric.
        k: functions wanted; None means all. Those with rho_i below 1e-8 rho_1 are left out in any case.

    Raises:
        ValueError: if K_mm is not square, symmetric and finite, has no positive eigenvalue, or k is less than 1.
    """
    product = SymmetricProduct(np.asarray(K_mm, dtype=np.float64), 0, torch.device("cpu"))
    return _eigenfunctions(product.matrix / product.n, k, product.n**-0.5, exponent=-1.0)


def feature_eigenfunctions(features: ArrayLike, k: int | None = None) -> Eigenfunctions:
    """The same for K(x, x') = Phi(x) . Phi(x') from the features Phi (m, p) of the landmarks, for p < m the cheaper:
    with S = Phi^T Phi / m = U diag(rho) U^T, e_i(x) = Phi(x) . u_i / sqrt(rho_i).

    Source: Nam et al., arXiv 2410.04264, section 2.
    """
    Phi = np.asarray(features, dtype=np.float64)
    if Phi.ndim != 2 or 0 in Phi.shape:
        raise ValueError(f"features have shape {Phi.shape}; expected (landmarks, p), one row a landmark")
    product = SymmetricProduct(Phi.T @ Phi / len(Phi), 0, torch.device("cpu"))
    return _eigenfunctions(product.matrix, k, 1.0, exponent=-0.5)


def _eigenfunctions(matrix: Tensor, k: int | None, factor: float, exponent: float) -> Eigenfunctions:
    if k is not None and k < 1:
        raise ValueError(f"k={k} eigenfunctions were asked for; give at least 1, or None for all")
    values, rotation, _ = dense_eigenpairs(matrix)
    kept = min(_significant(values), len(values) if k is None else k)
    coefficients = rotation[:kept].T * (factor * values[:kept] ** exponent)
    return Eigenfunctions(values[:kept].numpy(), coefficients.numpy(), float(values[-1]))


def nystrom_eigendecompose(
    K: Any,
    landmarks: ArrayLike,
    k: int | None = None,
    *,
    memory_budget: int = 2**31,
    device: torch.device | None = None,
) -> Eigendecomposition:
    """Eigenpairs of K_nm K_mm^+ K_mn, the rank-m approximation of K (n, n) by its columns at the m `landmarks`.

    O(n m^2) operations. K is read twice: for its columns, and for the residual, which measures what the approximation
    leaves out. Its eigenvalues are at most those of K.

    Args:
        K: as for `lazyrich.spectra.eigen.eigendecompose`.
        landmarks: (m,) distinct row numbers, best drawn at random.
        k: pairs wanted; None means all, at most m. Those below 1e-8 of the largest are left out in any case.

    Raises:
        ValueError: as for `eigendecompose`; for landmarks that are repeated or no rows of K.
    """
    product = SymmetricProduct(K, memory_budget, device or torch.device("cpu"))
    chosen = torch.as_tensor(np.asarray(landmarks, dtype=np.int64))
    if chosen.ndim != 1 or len(chosen.unique()) != len(chosen) or not len(chosen):
        raise ValueError(f"landmarks must be distinct row numbers, (m,); got shape {tuple(chosen.shape)}")
    if int(chosen.min()) < 0 or int(chosen.max()) >= product.n:
        raise ValueError(f"landmarks from {int(chosen.min())} to {int(chosen.max())}; the matrix has {product.n} rows")
    check_size(len(chosen))
    columns = product.columns(chosen.to(product.device))
    values, vectors, least = low_rank_eigenpairs(columns, columns[chosen.to(product.device)])
    kept = len(values) if k is None else min(k, len(values))
    return assess(product, values[:kept], vectors[:, :kept].T, "nystrom", least=least)


def low_rank_eigenpairs(columns: Tensor, own: Tensor) -> tuple[Tensor, Tensor, float]:
    """Eigenvalues (r,) and orthonormal eigenvectors (n, r) of K_nm K_mm^+ K_mn from `columns` K_nm and `own` K_mm, and the
    least eigenvalue of K_mm, which is not below that of K.
    """
    values, rotation, _ = dense_eigenpairs((own + own.T) / 2)
    kept = _significant(values)
    root = columns @ (rotation[:kept].T / values[:kept].sqrt())
    squares, directions, _ = dense_eigenpairs(root.T @ root)
    good = _significant(squares)
    return squares[:good], root @ (directions[:good].T / squares[:good].sqrt()), float(values[-1])


def _significant(values: Tensor) -> int:
    if not float(values[0]) > 0:
        raise ValueError(f"the kernel on the landmarks has no positive eigenvalue (largest {float(values[0]):g})")
    return int((values > CUTOFF * values[0]).sum())
