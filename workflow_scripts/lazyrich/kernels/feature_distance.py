"""1 - CKA of linear kernels from their features, with all its digits also where hardly anything has moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lazyrich.kernels.alignment import centered_kernel_distance


def centered_kernel_distance_from_features(A: ArrayLike, B: ArrayLike) -> float:
    """1 - CKA(A A^T, B B^T), centred, of features A (n, p) and B (n, q) of the same n samples.

    As `centered_kernel_distance` of the Gram matrices, which are formed only where they are smaller than the features
    (p >= n), or where p and q differ. Else, with A' = H A and B' = H B scaled to ||A' A'^T|| = ||B' B'^T|| = 1,
    1 - CKA = ||A' A'^T - B' B'^T||^2 / 2, and with D = A' - B' and S = A' + B'

        A' A'^T - B' B'^T = (D S^T + S D^T) / 2,   whose squared norm is   (<D^T D, S^T S> + <D^T S, S^T D>) / 2,

    of (p, p) matrices alone. It vanishes with D, so no digits cancel; for features of one layer at two times, whose
    columns belong together, D is small when they hardly moved.

    Returns:
        A number in [0, 1], 0 iff the centred kernels are proportional; NaN if either set of features is constant.

    Raises:
        ValueError: for shapes that do not agree, or entries that are not finite.

    Source: Kornblith et al., arXiv 1905.00414, for CKA.
    """
    first, second = (np.asarray(features, dtype=np.float64) for features in (A, B))
    if first.ndim != 2 or second.ndim != 2 or len(first) != len(second) or not len(first):
        raise ValueError(f"features have shapes {first.shape} and {second.shape}; expected (n, p) and (n, q)")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("the features hold entries that are not finite; leave those samples out")
    if first.shape != second.shape or first.shape[1] >= len(first):
        return centered_kernel_distance(first @ first.T, second @ second.T)
    one, other = _normalised(first), _normalised(second)
    if one is None or other is None:
        return float("nan")
    difference, total = one - other, one + other
    mixed = difference.T @ total
    squared = np.vdot(difference.T @ difference, total.T @ total) + np.vdot(mixed, mixed.T)
    return max(float(squared) / 4, 0.0)


def _normalised(features: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """A' / ||A' A'^T||^(1/2) with A' = H A; None if A' is nothing but round-off."""
    size = float(np.abs(features).max(initial=0.0))
    centered = (features - features.mean(axis=0)) / (size or 1.0)
    if np.linalg.norm(centered) <= 1e-14 * np.linalg.norm(features) / (size or 1.0):
        return None
    # Once more, for the round-off of a mean that is large beside the spread.
    centered -= centered.mean(axis=0)
    return centered / float(np.sqrt(np.linalg.norm(centered.T @ centered)))
