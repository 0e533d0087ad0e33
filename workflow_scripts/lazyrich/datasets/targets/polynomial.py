"""Polynomials of independent random coordinates, with exact moments.

A monomial is a tuple of (coordinate, power) pairs, sorted, coordinates counted from 0 and powers at least 1: x_1^2 x_3
is ((0, 2), (2, 1)), the constant is (). For independent coordinates that share one law, expectations follow from the
moments E[x^k] of that law alone, and with them the variance and the expected gradient outer product of a target.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Monomial = tuple[tuple[int, int], ...]
Moment = Callable[[int], float]


def gaussian_moment(power: int) -> float:
    """E[x^power] for x ~ N(0, 1): (power - 1)!! when power is even, else 0."""
    return 0.0 if power % 2 else float(math.prod(range(1, power, 2)))


def rademacher_moment(power: int) -> float:
    """E[x^power] for x uniform on {-1, 1}: 1 when power is even, else 0."""
    return 0.0 if power % 2 else 1.0


@dataclass(frozen=True)
class Polynomial:
    """sum over monomials of coefficient * monomial."""

    coefficients: Mapping[Monomial, float]

    @property
    def coordinates(self) -> int:
        """One more than the highest coordinate that occurs."""
        return max((index + 1 for monomial in self.coefficients for index, _ in monomial), default=0)

    @property
    def degree(self) -> int:
        """The highest total power."""
        return max((sum(power for _, power in monomial) for monomial in self.coefficients), default=0)

    def __add__(self, other: Polynomial) -> Polynomial:
        total = dict(self.coefficients)
        for monomial, coefficient in other.coefficients.items():
            total[monomial] = total.get(monomial, 0.0) + coefficient
        return _without_zeros(total)

    def __mul__(self, other: Polynomial) -> Polynomial:
        total: dict[Monomial, float] = {}
        for left, left_coefficient in self.coefficients.items():
            for right, right_coefficient in other.coefficients.items():
                monomial = tuple(sorted((Counter(dict(left)) + Counter(dict(right))).items()))
                total[monomial] = total.get(monomial, 0.0) + left_coefficient * right_coefficient
        return _without_zeros(total)

    def scaled(self, factor: float) -> Polynomial:
        """factor * self."""
        return _without_zeros({monomial: factor * value for monomial, value in self.coefficients.items()})

    def stretched(self, scales: Sequence[float]) -> Polynomial:
        """The polynomial z -> self(scales[0] z_1, scales[1] z_2, ...)."""
        return _without_zeros(
            {
                monomial: value * math.prod(scales[index] for index, power in monomial for _ in range(power))
                for monomial, value in self.coefficients.items()
            }
        )

    def derivative(self, coordinate: int) -> Polynomial:
        """The partial derivative along `coordinate`."""
        result = {}  # distinct monomials have distinct derivatives, so nothing merges
        for monomial, coefficient in self.coefficients.items():
            powers = dict(monomial)
            power = powers.pop(coordinate, 0)
            if power:
                if power > 1:
                    powers[coordinate] = power - 1
                result[tuple(sorted(powers.items()))] = coefficient * power
        return Polynomial(result)

    def evaluate(self, points: np.ndarray) -> np.ndarray:
        """Values at `points`, shape (n, d) with d >= coordinates: shape (n,), float64.

        Powers are repeated products: a processor's pow may differ from another's in the last bit.
        """
        points = np.asarray(points, dtype=np.float64)
        values = np.zeros(len(points))
        for monomial, coefficient in self.coefficients.items():
            term = np.full(len(points), coefficient)
            for index, power in monomial:
                factor = points[:, index]
                for _ in range(power - 1):
                    factor = factor * points[:, index]
                term *= factor
            values += term
        return values

    def expectation(self, moment: Moment) -> float:
        """E[self] when the coordinates are independent with E[x^k] = moment(k)."""
        return math.fsum(
            coefficient * math.prod(moment(power) for _, power in monomial)
            for monomial, coefficient in self.coefficients.items()
        )


def _without_zeros(coefficients: Mapping[Monomial, float]) -> Polynomial:
    return Polynomial({monomial: float(value) for monomial, value in coefficients.items() if value != 0})


def variance(polynomial: Polynomial, moment: Moment) -> float:
    """Var[f(x)] for independent coordinates with E[x^k] = moment(k)."""
    centred = polynomial + Polynomial({(): -polynomial.expectation(moment)})
    return (centred * centred).expectation(moment)


def expected_gradient_outer_product(polynomial: Polynomial, dimension: int, moment: Moment) -> np.ndarray:
    """E[grad f grad f^T], shape (dimension, dimension), float64, for independent coordinates with E[x^k] = moment(k).

    The gradient is that of the polynomial, also where x takes discrete values.
    """
    gradient = [polynomial.derivative(index) for index in range(polynomial.coordinates)]
    result = np.zeros((dimension, dimension))
    for row, left in enumerate(gradient):
        for column, right in enumerate(gradient[: row + 1]):
            result[row, column] = result[column, row] = (left * right).expectation(moment)
    return result
