"""Centred kernel alignment of linear kernels from their features, without any n x n matrix."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MEMORY_BUDGET = 256 * 2**20


def centered_kernel_alignment_from_features(
    A: ArrayLike | Any,
    B: ArrayLike | Any,
    centered: bool = True,
    unbiased: bool = False,
    *,
    memory_budget: int = MEMORY_BUDGET,
) -> float:
    """CKA(A A^T, B B^T) of features A (n, p) and B (n, q) of the same n samples, as `centered_kernel_alignment`.

    HSIC is, up to a factor, ||A'^T B'||_F^2 with A' = H A, or if `unbiased`, with a_i = |A'_i|^2 and b_i = |B'_i|^2,

        ||A'^T B'||_F^2 + (sum_i a_i) (sum_i b_i) / ((n - 1) (n - 2)) - n / (n - 2) sum_i a_i b_i

    (the U-statistic of Song et al. 2012 does not see a shift of the features). Features are read in bands of samples,
    twice, so they can be larger than memory, as there; p x q, p x p and q x q numbers are held. Where p and q exceed n,
    the Gram form costs less.

    Args:
        memory_budget: bytes of working memory for the bands (at least one sample).

    Raises:
        ValueError: for shapes that do not agree, entries that are not finite, or `unbiased` without `centered` or with
            fewer than 4 samples.

    Source: Kornblith et al., arXiv 1905.00414; Song et al., JMLR 2012.
    """
    first, second = (features if hasattr(features, "shape") else np.asarray(features) for features in (A, B))
    if len(first.shape) != 2 or len(second.shape) != 2 or first.shape[0] != second.shape[0]:
        raise ValueError(
            f"features have shapes {tuple(first.shape)} and {tuple(second.shape)}; expected (n, p) and (n, q)"
        )
    n, width = int(first.shape[0]), int(first.shape[1] + second.shape[1])
    if unbiased and (n < 4 or not centered):
        raise ValueError(f"unbiased=True needs centered=True (here {centered}) and at least 4 samples (here {n})")
    rows = max(1, memory_budget // (3 * 8 * max(1, width)))
    bands = [slice(start, min(start + rows, n)) for start in range(0, n, rows)]
    means, sizes = zip(*(_mean_and_norm(features, bands) for features in (first, second)), strict=True)
    moments = [0.0, 0.0, 0.0]
    norms: list[list[NDArray[np.float64]]] = [[], []]
    for band in bands:
        a, b = (
            _read(features, band) - (mean if centered else 0.0)
            for features, mean in zip((first, second), means, strict=True)
        )
        for position, (x, z) in enumerate(((a, b), (a, a), (b, b))):
            moments[position] = moments[position] + x.T @ z
        for found, x in zip(norms, (a, b), strict=True):
            found.append(np.einsum("ij,ij->i", x, x))
    cross, own, other = (float(np.vdot(moment, moment)) for moment in moments)
    if not math.isfinite(cross + own + other):
        raise ValueError("the features hold entries that are not finite, or their squares are; leave those samples out")
    if unbiased:
        a_norms, b_norms = map(np.concatenate, norms)
        cross += _off_diagonal(a_norms, b_norms)
        own += _off_diagonal(a_norms, a_norms)
        other += _off_diagonal(b_norms, b_norms)
    # Features that are constant up to round-off have nothing but round-off left.
    left = [math.sqrt(sum(float(x.sum()) for x in found)) for found in norms]
    vanishing = any(x <= 1e-14 * size for x, size in zip(left, sizes, strict=True))
    return float("nan") if vanishing else cross / math.sqrt(own * other)


def _off_diagonal(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """What the unbiased estimator adds to ||A'^T B'||_F^2."""
    n = len(a)
    return float(a.sum() * b.sum() / ((n - 1) * (n - 2)) - n / (n - 2) * np.vdot(a, b))


def _mean_and_norm(features: Any, bands: list[slice]) -> tuple[NDArray[np.float64], float]:
    """The mean over the samples, (p,), and the Frobenius norm."""
    total, squares = np.zeros(features.shape[1]), 0.0
    for band in bands:
        values = _read(features, band)
        total += values.sum(axis=0)
        squares += float(np.vdot(values, values))
    return total / features.shape[0], math.sqrt(squares)


def _read(features: Any, band: slice) -> NDArray[np.float64]:
    return np.asarray(features[band], dtype=np.float64)
