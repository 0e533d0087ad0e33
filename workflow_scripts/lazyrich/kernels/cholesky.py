"""The Cholesky factor of a kernel matrix in float64, with the jitter that it needs to be one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import ArrayLike, NDArray

MAXIMAL_JITTER = 1e-2
SMALLEST_JITTER = 1e-12


@dataclass(frozen=True)
class CholeskyFactor:
    """L with L L^T = K + (ridge + jitter unit) I, where `unit` is the mean diagonal entry of K.

    The leading m x m block of L is the factor of the leading m x m block of the matrix. So the first m rows of
    `whiten(B)` depend on the first m samples and the first m rows of B alone, bit by bit on nothing else but n.

    Attributes:
        lower: (n, n), column-major, L in its lower triangle; what stands above the diagonal is left over.
        jitter: relative to `unit`, as it was needed.
        unit: mean diagonal entry of K.
    """

    lower: NDArray[np.float64]
    jitter: float
    unit: float

    def solve(self, y: ArrayLike) -> NDArray[np.float64]:
        """(L L^T)^-1 y for y of shape (n,) or (n, k)."""
        return scipy.linalg.cho_solve((self.lower, True), np.asarray(y, dtype=np.float64), check_finite=False)

    def whiten(self, B: ArrayLike) -> NDArray[np.float64]:
        """L^-1 B for B of shape (n,) or (n, k), row-major, so that the rows of a smaller training set lie together."""
        rows = np.array(B, dtype=np.float64, order="C")
        if rows.size == 0:
            return rows
        # B^T L^-T, as column-major LAPACK sees the rows: solved in place, without transposing anything.
        columns = rows.reshape(len(rows), -1).T
        solved = scipy.linalg.blas.dtrsm(1.0, self.lower, columns, side=1, lower=1, trans_a=1, overwrite_b=1)
        return solved.T.reshape(rows.shape)


def cholesky_factor(
    K: NDArray[np.floating], *, ridge: float = 0.0, jitter: float = 1e-6, overwrite: bool = False
) -> CholeskyFactor:
    """Factor of K + (ridge + jitter mean_i K_ii) I.

    Args:
        K: (n, n), symmetric, finite; only read, unless `overwrite`. One float64 copy is made.
        ridge: in the units of K.
        jitter: relative to the mean diagonal entry. If the matrix is not positive definite to working precision, it is
            made ten times larger (from 1e-12 if it is 0) until the factorisation passes, at most up to 1e-2.
        overwrite: destroy `K` (float64, C-contiguous) instead of copying it.

    Raises:
        ValueError: if ridge or jitter is negative, or the mean diagonal entry not positive.
        numpy.linalg.LinAlgError: if the matrix is still not positive definite with jitter 1e-2.
    """
    work, diagonal, unit = prepared(K, ridge, jitter, overwrite)
    while True:
        np.fill_diagonal(work, diagonal + (ridge + jitter * unit))
        # LAPACK wants columns, and the transpose of a symmetric matrix in rows is that without a copy.
        lower, info = scipy.linalg.lapack.dpotrf(work.T, lower=1, clean=0, overwrite_a=1)
        if info == 0:
            return CholeskyFactor(lower, jitter, unit)
        jitter = larger_jitter(jitter, len(work), unit)
        _restore_upper_triangle(work)


def prepared(
    K: NDArray[np.floating], ridge: float, jitter: float, overwrite: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """A float64 matrix to work in (`K` itself if it is one and may be destroyed), its diagonal, and the mean of it."""
    if ridge < 0 or jitter < 0:
        raise ValueError(f"ridge={ridge} and jitter={jitter} must not be negative")
    if overwrite and K.dtype == np.float64 and K.flags.c_contiguous and K.flags.writeable:
        work: NDArray[np.float64] = np.asarray(K, dtype=np.float64)
    else:
        work = np.array(K, dtype=np.float64, order="C")
    diagonal = work.diagonal().copy()
    unit = float(diagonal.mean())
    if not unit > 0:
        raise ValueError(f"the mean diagonal of the kernel is {unit:g}; a kernel matrix has a positive one")
    return work, diagonal, unit


def larger_jitter(jitter: float, n: int, unit: float) -> float:
    """The next jitter to try after one that was too small; `LinAlgError` beyond the largest."""
    larger = max(10 * jitter, SMALLEST_JITTER)
    if larger > MAXIMAL_JITTER * (1 + 1e-9):
        raise np.linalg.LinAlgError(
            f"the kernel ({n} points) is not positive definite even with jitter {jitter:g} of its mean diagonal "
            f"{unit:g}: check that it is a symmetric positive semi-definite kernel, or pass a ridge"
        )
    return larger


def _restore_upper_triangle(matrix: NDArray[np.float64], step: int = 512) -> None:
    """Puts back the half that a failed factorisation spoilt, from the half that it does not touch."""
    n = len(matrix)
    for i in range(0, n, step):
        stop = min(i + step, n)
        matrix[i:stop, stop:] = matrix[stop:, i:stop].T
        tile = matrix[i:stop, i:stop]
        tile[...] = np.tril(tile) + np.tril(tile, -1).T
