"""Gaussian inputs with a power-law covariance: x_k = k^{-a/2} z_k with z ~ N(0, I_d), so that Var[x_k] = k^{-a}.

The exponent a is the key `covariance_exponent`; without it a = 0, the standard Gaussian.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.targets.power_law import power_law
from lazyrich.specification import non_negative_number, whole_number


def covariance(spec: Mapping[str, Any]) -> np.ndarray:
    """The diagonal of E[x x^T], shape (dimension,), float64."""
    return power_law(whole_number(spec, "dimension"), non_negative_number(spec, "covariance_exponent", 0.0))


def scales(spec: Mapping[str, Any]) -> np.ndarray:
    """The standard deviations k^{-a/2}, shape (dimension,), float64."""
    return power_law(whole_number(spec, "dimension"), non_negative_number(spec, "covariance_exponent", 0.0) / 2)


def draw_inputs(spec: Mapping[str, Any], source: np.random.Generator, size: int) -> np.ndarray:
    """Rows x, shape (size, dimension), float64."""
    deviations = scales(spec)
    return source.standard_normal((size, len(deviations))) * deviations
