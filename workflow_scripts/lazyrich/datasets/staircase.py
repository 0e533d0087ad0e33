"""Merged-staircase target on the hypercube: y = (x_1 + x_1 x_2 + ... + x_1 ... x_P) / sqrt(P), x uniform on {-1, 1}^d.

Each monomial adds one coordinate to those before it, the merged-staircase property of Abbe et al. (arXiv 2202.08658).
The monomials are orthonormal, so y has mean 0 and variance 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.polynomial import Polynomial, expected_gradient_outer_product, rademacher_moment, variance
from lazyrich.datasets.splits import sample_splits
from lazyrich.specification import whole_number


def target(spec: Mapping[str, Any]) -> Polynomial:
    """The target as a polynomial. ValueError when `order` exceeds `dimension`."""
    dimension, order = whole_number(spec, "dimension"), whole_number(spec, "order")
    if order > dimension:
        raise ValueError(f"order is {order} and dimension {dimension}; give an order of at most the dimension")
    return Polynomial(
        {tuple((index, 1) for index in range(length)): 1 / math.sqrt(order) for length in range(1, order + 1)}
    )


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split. Keys: dimension, order, train, test, probe."""
    dimension = whole_number(spec, "dimension")

    def draw_inputs(source: np.random.Generator, size: int) -> np.ndarray:
        return 2.0 * source.integers(0, 2, size=(size, dimension)) - 1.0

    return sample_splits(spec, generator, draw_inputs, target(spec).evaluate)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T], shape (d, d), with the gradient of the polynomial as a function on all of R^d."""
    return expected_gradient_outer_product(target(spec), whole_number(spec, "dimension"), rademacher_moment)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y], in closed form."""
    return variance(target(spec), rademacher_moment)
