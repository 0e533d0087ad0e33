"""Dense eigendecomposition of a symmetric kernel matrix, with the numbers that tell how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

# LAPACK's divide and conquer counts its workspace, 1 + 6 n + 2 n^2, in 32-bit integers.
MAXIMAL_SIZE = 32_766
ASYMMETRY_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Eigendecomposition:
    """Leading eigenpairs of K and the quality of the answer.

    Attributes:
        values: (k,), descending, in the units of K; round-off below zero is left as it is.
        vectors: (n, k), unit columns; the largest entry of each is positive.
        residual: ||K V - V diag(values)||_F / ||K||_F.
        orthogonality: max |V^T V - I|.
        captured: sum of `values` over the trace of K.
        most_negative: least eigenvalue of all n, also when k < n; a kernel with one far below zero is not positive
            semi-definite.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residual: float
    orthogonality: float
    captured: float
    most_negative: float


def eigendecompose(K: ArrayLike, k: int | None = None) -> Eigendecomposition:
    """K = V diag(values) V^T for a symmetric (n, n) matrix, by divide and conquer in float64.

    All n eigenpairs are computed, about 9 n^3 operations and four matrices of memory, and the leading `k` returned.

    Raises:
        ValueError: if K is not square, not finite, larger than LAPACK's integers allow, or differs from its transpose
            by more than 1e-5 of its largest entry; or if k is not between 1 and n.
    """
    matrix = np.array(K, dtype=np.float64, order="C")
    n = len(matrix)
    if matrix.shape != (n, n) or not 1 <= n <= MAXIMAL_SIZE:
        raise ValueError(
            f"matrix has shape {matrix.shape}; expected (n, n) with 1 <= n <= {MAXIMAL_SIZE}, use Nystrom beyond"
        )
    if k is not None and not 1 <= k <= n:
        raise ValueError(
            f"k={k} eigenpairs were asked of a matrix with {n}; give a k between 1 and {n}, or None for all"
        )
    largest = float(np.abs(matrix).max())
    if not np.isfinite(largest):
        raise ValueError(
            "the matrix has entries that are not finite; look at the kernel's fill value and at diverged members"
        )
    asymmetry = float(np.abs(matrix - matrix.T).max())
    if asymmetry > ASYMMETRY_TOLERANCE * largest:
        raise ValueError(
            f"the matrix differs from its transpose by {asymmetry:g} (largest entry {largest:g}); symmetrise it first"
        )
    matrix += matrix.T.copy()
    matrix *= 0.5
    # torch calls LAPACK's syevd; scipy's default driver (evr) is several times slower on these spectra.
    ascending, columns = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(matrix)))
    values = ascending[::-1][:k].copy()
    vectors = columns[:, ::-1][:, :k].copy()
    vectors *= np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    norm, trace = float(np.linalg.norm(matrix)), float(np.trace(matrix))
    return Eigendecomposition(
        values=values,
        vectors=vectors,
        residual=float(np.linalg.norm(matrix @ vectors - vectors * values)) / norm if norm > 0 else 0.0,
        orthogonality=float(np.abs(vectors.T @ vectors - np.eye(vectors.shape[1])).max()),
        captured=float(values.sum()) / trace if trace != 0 else float("nan"),
        most_negative=float(ascending[0]),
    )
