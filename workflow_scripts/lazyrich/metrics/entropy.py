"""Effective dimension: the number of directions that carry a spectrum."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

NEGATIVE_TOLERANCE = 1e-6


def effective_dimension(spectrum: ArrayLike) -> float:
    """D_eff = exp(-sum_k p_k log p_k), p_k = rho_k / sum_j rho_j.

    Args:
        spectrum: (k,) non-negative weights: eigenvalues rho_k of a kernel, or the shares Q_k of a function in its
            eigenvectors. Negative round-off (down to -1e-6 of the largest) counts as zero.

    Returns:
        A number from 1 (one direction) to k (all equal), free of units; NaN if all weights vanish.

    Raises:
        ValueError: if a weight is more negative than round-off, or not finite.

    Source: Nam et al., arXiv 2410.04264 (effective dimension); Roy and Vetterli, EUSIPCO 2007.
    """
    weights = np.asarray(spectrum, dtype=np.float64).ravel()
    if not np.isfinite(weights).all():
        raise ValueError("the spectrum has entries that are not finite; drop diverged members first")
    if weights.size == 0 or weights.min() < -NEGATIVE_TOLERANCE * weights.max(initial=0.0):
        least = weights.min(initial=0.0)
        raise ValueError(
            f"a spectrum of {weights.size} weights with least value {least:g} has no entropy; pass non-negative weights"
        )
    weights = weights[weights > 0]
    if weights.size == 0:
        return float("nan")
    shares = weights / weights.sum()
    # A share may underflow to zero beside a huge one, and 0 log 0 is 0.
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
