"""Staircase targets on the hypercube: y = sum_S c_S prod_{k in S} x_k, x uniform on {-1, 1}^d, of unit variance.

With `order` P, the merged staircase y = (x_1 + x_1 x_2 + ... + x_1 ... x_P) / sqrt(P). With `monomials`, any sets S of
coordinates that can be ordered so that each adds at most `leap` coordinates to the union of those before it. Leap 1,
the default, is the merged-staircase property of Abbe et al. (arXiv 2202.08658); for larger leaps see arXiv 2302.11055.

The monomials are orthonormal, so y has mean 0, and c is divided by sqrt(sum_S c_S^2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import sample_splits
from lazyrich.datasets.targets.pictures import Bars
from lazyrich.datasets.targets.polynomial import (
    Polynomial,
    expected_gradient_outer_product,
    rademacher_moment,
    variance,
)
from lazyrich.datasets.targets.walsh import read_monomials
from lazyrich.specification import whole_number


def walsh_coefficients(spec: Mapping[str, Any]) -> dict[tuple[int, ...], float]:
    """Monomial -> coefficient of y in the orthonormal Walsh basis; a monomial is its sorted coordinates, from 1 on.

    ValueError when `order` exceeds `dimension`, or `monomials` are not what `lazyrich.datasets.targets.walsh` asks of them.
    """
    dimension = whole_number(spec, "dimension")
    if "monomials" in spec:
        coefficients = read_monomials(spec, dimension)
    else:
        coefficients = {tuple(range(1, length + 1)): 1.0 for length in range(1, _order(spec, dimension) + 1)}
    norm = math.sqrt(math.fsum(value * value for value in coefficients.values()))
    return {monomial: value / norm for monomial, value in coefficients.items()}


def target(spec: Mapping[str, Any]) -> Polynomial:
    """The target as a polynomial."""
    return Polynomial(
        {tuple((index - 1, 1) for index in monomial): value for monomial, value in walsh_coefficients(spec).items()}
    )


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split.

    Keys: dimension; order, or monomials with optional coefficients and leap; train, test, probe.
    """
    dimension = whole_number(spec, "dimension")

    def draw_inputs(source: np.random.Generator, size: int) -> np.ndarray:
        return 2.0 * source.integers(0, 2, size=(size, dimension)) - 1.0

    return sample_splits(spec, generator, draw_inputs, target(spec).evaluate)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T], shape (d, d), with the gradient of the polynomial as a function on all of R^d."""
    return expected_gradient_outer_product(target(spec), whole_number(spec, "dimension"), rademacher_moment)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y], in closed form: 1 up to rounding."""
    return variance(target(spec), rademacher_moment)


def picture(spec: Mapping[str, Any]) -> Bars:
    """The Walsh coefficients, in the order of the specification."""
    coefficients = walsh_coefficients(spec)
    names = tuple(" ".join(f"x{index}" for index in monomial) for monomial in coefficients)
    return Bars(names, np.array(list(coefficients.values())), "Walsh coefficient")


def _order(spec: Mapping[str, Any], dimension: int) -> int:
    if "order" not in spec:
        raise ValueError(
            f"the key 'order' is missing from the specification {dict(spec)!r}, and so is 'monomials'; add one of them"
        )
    for key in ("coefficients", "leap"):
        if key in spec:
            raise ValueError(f"{key} is {spec[key]!r} and there are no monomials that it belongs to; give monomials")
    order = whole_number(spec, "order")
    if order > dimension:
        raise ValueError(f"order is {order} and dimension {dimension}; give an order of at most the dimension")
    return order
