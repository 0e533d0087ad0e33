"""Correlations between matrices, and powers of symmetric ones."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Kind = Literal["cosine", "pearson"]


def cosine(A: ArrayLike, B: ArrayLike) -> float:
    """rho(A, B) = tr(A^T B) / (||A||_F ||B||_F), in [-1, 1]; NaN if either is zero.

    Two positive semi-definite matrices have a high floor, tr A tr B / (d ||A||_F ||B||_F) in the mean over rotations:
    print that null beside it. Source: Radhakrishnan et al., arXiv 2212.13881; Beaglehole et al., arXiv 2402.05271.
    """
    first, second = _pair(A, B)
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.vdot(first, second) / norms) if norms > 0 else float("nan")


def pearson(A: ArrayLike, B: ArrayLike) -> float:
    """Correlation of the entries: the cosine after each matrix has lost the mean of its entries; NaN if either is
    constant.

    This is what the released code of arXiv 2402.05271 computes.
    """
    first, second = _pair(A, B)
    deviations = []
    for matrix in (first, second):
        deviation = matrix - matrix.mean()
        # What a constant matrix leaves is round-off, with no direction.
        deviations.append(
            deviation if np.linalg.norm(deviation) > 1e-14 * np.linalg.norm(matrix) else np.zeros_like(deviation)
        )
    return cosine(*deviations)


CORRELATIONS = {"cosine": cosine, "pearson": pearson}


def matrix_correlation(A: ArrayLike, B: ArrayLike, kind: Kind = "cosine", power: float = 1.0) -> float:
    """Correlation of A with B^power, e.g. of a neural feature matrix with AGOP^(1/2) (power=0.5) or AGOP^(1/L)."""
    if kind not in CORRELATIONS:
        raise ValueError(f"kind={kind!r} is not a matrix correlation; choose one of {', '.join(CORRELATIONS)}")
    return CORRELATIONS[kind](A, B if power == 1.0 else matrix_power(B, power))


def matrix_power(A: ArrayLike, power: float, tolerance: float = 1e-10) -> NDArray[np.float64]:
    """A^power of a symmetric positive semi-definite matrix, through its eigenvalues.

    Eigenvalues below `tolerance` of the largest, negative round-off included, count as zero, and stay so under every
    power (a negative one then gives a power of the pseudo-inverse).

    Raises:
        ValueError: if A is not square and symmetric to 1e-8 of its largest entry, or has an eigenvalue clearly below
            zero.
    """
    matrix = np.asarray(A, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"matrix has shape {matrix.shape}; a power needs a square one")
    if np.abs(matrix - matrix.T).max() > 1e-8 * np.abs(matrix).max():
        raise ValueError("the matrix is not symmetric; symmetrise it first")
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    largest = float(np.abs(values).max())
    if values[0] < -1e-6 * largest:
        raise ValueError(
            f"the matrix has the eigenvalue {values[0]:g} (largest {largest:g}); a power needs none below zero"
        )
    kept = values > tolerance * largest
    return (vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T


def _pair(A: ArrayLike, B: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = np.asarray(A, dtype=np.float64), np.asarray(B, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"matrices have shapes {first.shape} and {second.shape}; they must agree")
    return first, second
