"""Gaussian multi-index target: y = g(x_1, ..., x_r) / sqrt(Var g(x)) with a polynomial link g and Gaussian x.

Without a `covariance_exponent`, x ~ N(0, I_d). The relevant directions are then the first r coordinates without loss of
generality: x is isotropic, and so is the first layer of a network at initialisation. With an exponent a the covariance
is diag(k^{-a}), see `lazyrich.datasets.targets.gaussian_inputs`, and the relevant directions are those of largest variance.

The link is text, see `lazyrich.datasets.targets.link`; its z1, z2, ... are the inputs x_1, x_2, ... Its mean is left as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.targets import gaussian_polynomial
from lazyrich.datasets.targets.link import parse_link
from lazyrich.datasets.targets.pictures import Curve, Plane
from lazyrich.datasets.targets.polynomial import Monomial, Polynomial
from lazyrich.specification import required, whole_number


def target(spec: Mapping[str, Any]) -> Polynomial:
    """The target as a polynomial of x, of unit variance.

    ValueError when the link is constant or needs more coordinates than `dimension`.
    """
    link = parse_link(required(spec, "link"))
    dimension = whole_number(spec, "dimension")
    if link.coordinates > dimension:
        raise ValueError(
            f"link {spec['link']!r} uses z{link.coordinates} and dimension is {dimension}; "
            f"give a dimension of at least {link.coordinates}"
        )
    if link.degree == 0:
        raise ValueError(f"link {spec['link']!r} is constant; give a polynomial that depends on z1")
    return link.scaled(1 / math.sqrt(gaussian_polynomial.population_variance(link, spec)))


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, dimension) and targets (n, 1) of each split.

    Keys: dimension, link, covariance_exponent (optional), train, test, probe.
    """
    return gaussian_polynomial.sample(target(spec), spec, generator)


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[grad f* grad f*^T], shape (d, d), in closed form."""
    return gaussian_polynomial.egop(target(spec), spec)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y], in closed form: 1 up to rounding."""
    return gaussian_polynomial.population_variance(target(spec), spec)


def hermite_coefficients(spec: Mapping[str, Any]) -> dict[Monomial, float]:
    """Coefficients in the orthonormal Hermite basis, see `lazyrich.datasets.targets.gaussian_polynomial`."""
    return gaussian_polynomial.hermite_coefficients(target(spec), spec)


def picture(spec: Mapping[str, Any]) -> Curve | Plane:
    """y over the first two coordinates that it depends on, the others at 1; a curve where it depends on one alone."""
    return gaussian_polynomial.picture(target(spec))
