"""Linear target of Gaussian features with power-law spectrum and power-law coefficients.

x_k ~ N(0, lambda_k) independent, lambda_k = k^{-alpha}, y = sum_{k=1..M} w_k x_k + sigma eps with eps ~ N(0, 1) and
lambda_k w_k^2 = k^{-alpha beta - 1}. The features psi_k of the kernel at initialisation in Bordelon et al. (arXiv
2409.17858), with capacity exponent alpha and source exponent beta. The target is not normalised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import sample_pairs
from lazyrich.datasets.targets.pictures import Curve
from lazyrich.datasets.targets.power_law import power_law
from lazyrich.specification import non_negative_number, number_above, positive_number, whole_number


def eigenvalues(spec: Mapping[str, Any]) -> np.ndarray:
    """lambda_k = k^{-alpha}, shape (M,)."""
    return power_law(whole_number(spec, "dimension"), number_above(spec, "capacity", 1))


def coefficients(spec: Mapping[str, Any]) -> np.ndarray:
    """w_k = k^{(alpha - alpha beta - 1)/2}, shape (M,)."""
    capacity, source = number_above(spec, "capacity", 1), positive_number(spec, "source")
    return power_law(whole_number(spec, "dimension"), (capacity * source + 1 - capacity) / 2)


def power(spec: Mapping[str, Any]) -> np.ndarray:
    """lambda_k w_k^2 = k^{-alpha beta - 1}, the variance that each feature explains, shape (M,)."""
    capacity, source = number_above(spec, "capacity", 1), positive_number(spec, "source")
    return power_law(whole_number(spec, "dimension"), capacity * source + 1)


def tail_power(spec: Mapping[str, Any]) -> np.ndarray:
    """sum_{l=k+1..M} lambda_l w_l^2 for k = 1..M, shape (M,); about k^{-alpha beta} / (alpha beta) for 1 << k << M."""
    after = power(spec)[1:]
    return np.append(np.cumsum(after[::-1])[::-1], 0.0)


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, M) and targets (n, 1) of each split. Noise is in the targets of every split.

    Keys: dimension (M), capacity (alpha), source (beta), noise (sigma, optional), train, test, probe.
    """
    deviations = power_law(whole_number(spec, "dimension"), number_above(spec, "capacity", 1) / 2)
    weights, noise = coefficients(spec), non_negative_number(spec, "noise", 0.0)

    def draw(source: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        (of_noise,) = source.spawn(1)  # the noise level then leaves the inputs as they were
        inputs = (source.standard_normal((size, len(weights))) * deviations).astype(np.float32)
        targets = noise * of_noise.standard_normal(size)
        for weight, column in zip(weights, inputs.T, strict=True):  # a matrix product would sum in the machine's order
            targets += weight * column.astype(np.float64)
        return inputs, targets

    return sample_pairs(spec, generator, draw)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T] = w w^T, shape (M, M); the noise has no part in f*."""
    weights = coefficients(spec)
    return np.outer(weights, weights)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y] = sum_k lambda_k w_k^2 + sigma^2, noise included."""
    return math.fsum(power(spec).tolist()) + non_negative_number(spec, "noise", 0.0) ** 2


def picture(spec: Mapping[str, Any]) -> Curve:
    """lambda_k and lambda_k w_k^2 against k."""
    both = np.stack([eigenvalues(spec), power(spec)], axis=1)
    return Curve(np.arange(1.0, len(both) + 1), both, "k", "power", log=True, series=("lambda_k", "lambda_k w_k^2"))
