"""Cumulative power distribution: how much of a target the leading kernel eigenvectors explain."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def cumulative_power(eigenvectors: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """C(k) = sum_{j<=k} (u_j . y)^2 / ||y||^2, summed over outputs in numerator and denominator.

    Args:
        eigenvectors: (n, k), orthonormal columns of the kernel matrix, by descending eigenvalue.
        targets: (n,) or (n, C) on the same samples. They are taken as they are: take off the mean first to leave the
            constant out.

    Returns:
        (k,), non-decreasing; ends at 1 if all n eigenvectors are given. A kernel whose C(k) rises late needs many
        samples.

    Raises:
        ValueError: if the sample counts differ or the targets vanish.

    Source: Canatar, Bordelon and Pehlevan, Nature Communications 12 (2021) 2914; used in arXiv 2507.19680.
    """
    vectors, values = np.asarray(eigenvectors, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if vectors.ndim != 2 or values.ndim not in (1, 2) or len(vectors) != len(values):
        raise ValueError(f"eigenvectors {vectors.shape} and targets {values.shape} must be (n, k) and (n,) or (n, C)")
    total = float(np.square(values).sum())
    if not total > 0:
        raise ValueError("the targets vanish on all samples, so they have no power to distribute")
    power = np.square(vectors.T @ values)
    return np.cumsum(power if power.ndim == 1 else power.sum(axis=1)) / total
