"""Gaussian multi-index target: x ~ N(0, I_d), y = g(x_1, ..., x_r) / sqrt(Var g) with a polynomial link g.

The relevant directions are the first r coordinates, without loss of generality: x is isotropic, and so is the first
layer of a network at initialisation. The link is text, see `lazyrich.datasets.link`. Its mean is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.link import parse_link
from lazyrich.datasets.polynomial import Polynomial, expected_gradient_outer_product, gaussian_moment, variance
from lazyrich.datasets.splits import sample_splits
from lazyrich.specification import whole_number


def target(spec: Mapping[str, Any]) -> Polynomial:
    """The target, of unit variance. ValueError when the link is constant or needs more coordinates than `dimension`."""
    link = parse_link(spec.get("link", ""))
    dimension = whole_number(spec, "dimension")
    if link.coordinates > dimension:
        raise ValueError(
            f"link {spec['link']!r} uses z{link.coordinates} and dimension is {dimension}; "
            f"give a dimension of at least {link.coordinates}"
        )
    if link.degree == 0:
        raise ValueError(f"link {spec['link']!r} is constant; give a polynomial that depends on z1")
    return link.scaled(1 / math.sqrt(variance(link, gaussian_moment)))


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split. Keys: dimension, link, train, test, probe."""
    dimension = whole_number(spec, "dimension")

    def draw_inputs(source: np.random.Generator, size: int) -> np.ndarray:
        return source.standard_normal((size, dimension))

    return sample_splits(spec, generator, draw_inputs, target(spec).evaluate)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T], shape (d, d), in closed form."""
    return expected_gradient_outer_product(target(spec), whole_number(spec, "dimension"), gaussian_moment)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y], in closed form: 1 up to rounding."""
    return variance(target(spec), gaussian_moment)
