"""Gaussian inputs with power-law covariance, and labels that know nothing of them: y ~ N(0, 1), independent of x.

x_k = k^{-a/2} z_k with z ~ N(0, I_d) and a the `covariance_exponent`. The random labels of the early-time prediction of
Beaglehole et al. (arXiv 2402.05271).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import sample_pairs
from lazyrich.datasets.targets import gaussian_inputs
from lazyrich.datasets.targets.pictures import Curve
from lazyrich.specification import required


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split.

    Keys: dimension, covariance_exponent, train, test, probe.
    """
    required(spec, "covariance_exponent")

    def draw(source: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        (of_labels,) = source.spawn(1)
        return gaussian_inputs.draw_inputs(spec, source, size), of_labels.standard_normal(size)

    return sample_pairs(spec, generator, draw)


def covariance(spec: Mapping[str, Any]) -> np.ndarray:
    """The diagonal k^{-a} of the covariance of the inputs, shape (dimension,)."""
    required(spec, "covariance_exponent")
    return gaussian_inputs.covariance(spec)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y] = 1."""
    return 1.0


def picture(spec: Mapping[str, Any]) -> Curve:
    """The covariance spectrum."""
    eigenvalues = covariance(spec)
    return Curve(
        np.arange(1.0, len(eigenvalues) + 1), eigenvalues, "k (y is independent noise)", "variance of x_k", log=True
    )
