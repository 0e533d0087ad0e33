"""Chain-monomial target of rank r: y = sum_{k=1..r} x_k x_{(k mod r) + 1}, x ~ N(0, I_d).

Source: Beaglehole et al. (arXiv 2402.05271). The target is not normalised: its variance is r for r >= 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.polynomial import Polynomial, expected_gradient_outer_product, gaussian_moment, variance
from lazyrich.datasets.splits import sample_splits
from lazyrich.specification import whole_number


def target(spec: Mapping[str, Any]) -> Polynomial:
    """The target as a polynomial. ValueError when `rank` exceeds `dimension`."""
    dimension, rank = whole_number(spec, "dimension"), whole_number(spec, "rank")
    if rank > dimension:
        raise ValueError(f"rank is {rank} and dimension {dimension}; give a rank of at most the dimension")
    total = Polynomial({})
    for index in range(rank):
        total += Polynomial({((index, 1),): 1.0}) * Polynomial({(((index + 1) % rank, 1),): 1.0})
    return total


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split. Keys: dimension, rank, train, test, probe."""
    dimension = whole_number(spec, "dimension")

    def draw_inputs(source: np.random.Generator, size: int) -> np.ndarray:
        return source.standard_normal((size, dimension))

    return sample_splits(spec, generator, draw_inputs, target(spec).evaluate)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T], shape (d, d): 2 on the diagonal and, for r >= 5, 1 where two apart on the cycle."""
    return expected_gradient_outer_product(target(spec), whole_number(spec, "dimension"), gaussian_moment)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y], in closed form."""
    return variance(target(spec), gaussian_moment)
