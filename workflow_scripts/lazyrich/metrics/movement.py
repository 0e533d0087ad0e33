"""How far parameters have moved from where they were at initialisation."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def weight_change(initial: ArrayLike, current: ArrayLike) -> float:
    """||theta_t - theta_0|| / ||theta_0||, Euclidean (Frobenius for matrices); 0 for a network that did not move.

    Args:
        initial, current: parameters of one shape.

    Returns:
        A number of at least 0, free of units and of a common scale; infinite, or NaN without a move, if theta_0 = 0.

    Raises:
        ValueError: if the shapes differ.

    Small for a lazy network: Chizat, Oyallon and Bach, arXiv 1812.07956, show that it vanishes as 1 / (output scale).
    It also vanishes as 1 / sqrt(width) with features that move by a fixed amount, because a step has low rank: compare
    networks of one width.
    """
    first, last = _pair(initial, current)
    return _ratio(float(np.linalg.norm(last - first)), float(np.linalg.norm(first)))


def squared_norm_ratio(initial: ArrayLike, current: ArrayLike) -> float:
    """||theta_t||^2 / ||theta_0||^2: 1 at initialisation, above 1 if the weights grow. As `weight_change` else."""
    first, last = _pair(initial, current)
    return _ratio(float(np.linalg.norm(last)), float(np.linalg.norm(first))) ** 2


def _pair(initial: ArrayLike, current: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, last = (np.asarray(values, dtype=np.float64) for values in (initial, current))
    if first.shape != last.shape:
        raise ValueError(f"parameters have shapes {first.shape} and {last.shape}; give two states of one network")
    return first.ravel(), last.ravel()


def _ratio(numerator: float, denominator: float) -> float:
    if denominator > 0:
        return numerator / denominator
    return math.inf if numerator > 0 else math.nan
