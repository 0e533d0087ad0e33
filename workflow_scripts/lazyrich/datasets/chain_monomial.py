"""Chain-monomial target of rank r: y = sum_{k=1..r} x_k x_{(k mod r) + 1} with Gaussian x.

Source: Beaglehole et al. (arXiv 2402.05271), with x ~ N(0, I_d). An optional `covariance_exponent` a gives the inputs
the covariance diag(k^{-a}), see `lazyrich.datasets.targets.gaussian_inputs`. The target is not normalised: for x ~ N(0, I_d)
its variance is r for r >= 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.targets import gaussian_polynomial
from lazyrich.datasets.targets.pictures import Curve, Plane
from lazyrich.datasets.targets.polynomial import Monomial, Polynomial
from lazyrich.specification import whole_number


def target(spec: Mapping[str, Any]) -> Polynomial:
    """The target as a polynomial of x. ValueError when `rank` exceeds `dimension`."""
    dimension, rank = whole_number(spec, "dimension"), whole_number(spec, "rank")
    if rank > dimension:
        raise ValueError(f"rank is {rank} and dimension {dimension}; give a rank of at most the dimension")
    total = Polynomial({})
    for index in range(rank):
        total += Polynomial({((index, 1),): 1.0}) * Polynomial({(((index + 1) % rank, 1),): 1.0})
    return total


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split.

    Keys: dimension, rank, covariance_exponent (optional), train, test, probe.
    """
    return gaussian_polynomial.sample(target(spec), spec, generator)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T], shape (d, d).

    For x ~ N(0, I_d): 2 on the diagonal and, for r >= 5, 1 where two apart on the cycle.
    """
    return gaussian_polynomial.egop(target(spec), spec)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y], in closed form."""
    return gaussian_polynomial.population_variance(target(spec), spec)


def hermite_coefficients(spec: Mapping[str, Any]) -> dict[Monomial, float]:
    """Coefficients in the orthonormal Hermite basis, see `lazyrich.datasets.targets.gaussian_polynomial`."""
    return gaussian_polynomial.hermite_coefficients(target(spec), spec)


def picture(spec: Mapping[str, Any]) -> Curve | Plane:
    """y over x1 and x2, the other relevant coordinates at 1; over x1 alone for rank 1."""
    return gaussian_polynomial.picture(target(spec))
