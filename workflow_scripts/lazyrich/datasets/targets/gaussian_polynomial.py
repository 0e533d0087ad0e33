"""Polynomial targets of Gaussian inputs (see `lazyrich.datasets.targets.gaussian_inputs`), and their closed forms.

Here f(x) is the target as a polynomial of the inputs x_k = k^{-a/2} z_k, z ~ N(0, I_d).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import sample_splits
from lazyrich.datasets.targets import gaussian_inputs
from lazyrich.datasets.targets.pictures import Curve, Plane
from lazyrich.datasets.targets.polynomial import (
    Monomial,
    Polynomial,
    expected_gradient_outer_product,
    gaussian_moment,
    variance,
)


def sample(
    target: Polynomial, spec: Mapping[str, Any], generator: np.random.Generator
) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split."""

    def draw_inputs(source: np.random.Generator, size: int) -> np.ndarray:
        return gaussian_inputs.draw_inputs(spec, source, size)

    return sample_splits(spec, generator, draw_inputs, target.evaluate)


def standardised(target: Polynomial, spec: Mapping[str, Any]) -> Polynomial:
    """The target as a polynomial of z."""
    return target.stretched(gaussian_inputs.scales(spec).tolist())


def population_variance(target: Polynomial, spec: Mapping[str, Any]) -> float:
    """Var[f(x)]."""
    return variance(standardised(target, spec), gaussian_moment)


def egop(target: Polynomial, spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f grad f^T] with the gradient in x, shape (dimension, dimension): df/dx_k = k^{a/2} df/dz_k."""
    scales = gaussian_inputs.scales(spec)
    in_z = expected_gradient_outer_product(standardised(target, spec), len(scales), gaussian_moment)
    return in_z / scales[:, None] / scales


def hermite_coefficients(target: Polynomial, spec: Mapping[str, Any]) -> dict[Monomial, float]:
    """The coefficients E[f(x) h_alpha(z)] in the orthonormal Hermite basis of z.

    h_alpha(z) = prod_k He_{alpha_k}(z_k) / sqrt(alpha_k!). A multi-index alpha is the tuple of its
    (coordinate, degree) pairs with degree above 0, coordinates counted from 0; () is the constant. The sum of squares
    is E[f(x)^2] (Parseval).
    """
    parts: dict[Monomial, list[float]] = defaultdict(list)
    for monomial, coefficient in standardised(target, spec).coefficients.items():
        expansion: list[tuple[Monomial, float]] = [((), coefficient)]
        for index, power in monomial:
            expansion = [
                (alpha + ((index, degree),) if degree else alpha, value * _hermite_coefficient(power, degree))
                for alpha, value in expansion
                for degree in range(power % 2, power + 1, 2)
            ]
        for alpha, value in expansion:
            parts[alpha].append(value)
    totals = {alpha: math.fsum(values) for alpha, values in sorted(parts.items())}
    return {alpha: value for alpha, value in totals.items() if value != 0}


def _hermite_coefficient(power: int, degree: int) -> float:
    """E[z^power He_degree(z)]/sqrt(degree!) = power! / (2^m m! sqrt(degree!)), m = (power - degree)/2 whole."""
    pairs = (power - degree) // 2
    return math.factorial(power) // (2**pairs * math.factorial(pairs)) / math.sqrt(math.factorial(degree))


def picture(target: Polynomial, reach: float = 2.5, points: int = 61) -> Curve | Plane:
    """The target over the first two coordinates that it depends on, from -reach to reach, all others at 1."""
    relevant = sorted({index for monomial in target.coefficients for index, _ in monomial})
    axis = np.linspace(-reach, reach, points)
    shown, held = relevant[:2], [f"x{index + 1}" for index in relevant[2:]]
    rows = np.ones((points ** len(shown), target.coordinates))
    for index, values in zip(shown, np.meshgrid(*[axis] * len(shown)), strict=True):
        rows[:, index] = values.ravel()
    values = target.evaluate(rows)
    if len(shown) == 1:
        return Curve(axis, values, f"x{shown[0] + 1}", "y")
    if len(held) > 3:
        held = [held[0], "...", held[-1]]
    label = f"y at {' = '.join(held)} = 1" if held else "y"
    return Plane(axis, axis, values.reshape(points, points), f"x{shown[0] + 1}", f"x{shown[1] + 1}", label)
