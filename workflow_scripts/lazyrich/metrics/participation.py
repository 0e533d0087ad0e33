"""Participation ratio: the number of directions that carry a spectrum, weighted towards the largest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def participation_ratio(spectrum: ArrayLike) -> float:
    """(sum_k rho_k)^2 / sum_k rho_k^2 = (tr A)^2 / tr(A^2) for the eigenvalues rho of A.

    Args:
        spectrum: (k,) weights, not negative but for round-off.

    Returns:
        A number from 1 (one direction) to k (all equal), at most `effective_dimension`; NaN if all weights vanish.

    Raises:
        ValueError: if a weight is not finite.
    """
    weights = np.asarray(spectrum, dtype=np.float64).ravel()
    if not np.isfinite(weights).all():
        raise ValueError("the spectrum has entries that are not finite; drop diverged members first")
    largest = float(np.abs(weights).max(initial=0.0))
    if largest == 0:
        return float("nan")
    weights = weights / largest
    return float(weights.sum() ** 2 / np.square(weights).sum())
