"""A function of one number: x uniform on [-1, 1], y of mean 0 and unit variance.

Source: the one-dimensional regression of arXiv 2410.04264, whose function is not known; these are the usual ones. With
the phase p = frequency * x / 2 mod 1, all but the Legendre polynomials being odd functions of x:

    sine      sqrt(2) sin(2 pi p)
    step      1 for p < 1/2, else -1
    triangle  sqrt(3) times the piecewise linear function through 0, 1, 0, -1, 0 at p = 0, 1/4, 1/2, 3/4, 1
    sawtooth  sqrt(3) (2 p - 1)
    legendre  sqrt(2 n + 1) P_n(x), where the frequency is the degree n
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import sample_splits
from lazyrich.datasets.targets.pictures import Curve
from lazyrich.datasets.targets.waves import sine
from lazyrich.specification import choice, whole_number_up_to

FUNCTIONS = ("sine", "step", "triangle", "sawtooth", "legendre")
MAXIMUM_FREQUENCY = 1000


def target(spec: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """y at x, of any shape, float64."""
    function, frequency = _read(spec)
    if function == "legendre":
        return math.sqrt(2 * frequency + 1) * _legendre(frequency, x)
    if function == "sine":
        return math.sqrt(2) * sine(frequency * x)
    phase = np.mod(frequency * x / 2, 1.0)
    if function == "step":
        return np.where(phase < 0.5, 1.0, -1.0)
    if function == "triangle":
        return math.sqrt(3) * (4 * np.abs(np.mod(phase - 0.25, 1.0) - 0.5) - 1)
    return math.sqrt(3) * (2 * phase - 1)


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, 1) and targets (n, 1) of each split. Keys: function, frequency, train, test, probe."""

    def draw_inputs(source: np.random.Generator, size: int) -> np.ndarray:
        return 2.0 * source.random((size, 1)) - 1.0

    return sample_splits(spec, generator, draw_inputs, lambda points: target(spec, points[:, 0]))


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y] = 1."""
    _read(spec)
    return 1.0


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[(dy/dx)^2], shape (1, 1): (pi f)^2 for sine, 12 f^2 for triangle, n (n + 1) (2 n + 1) / 2 for legendre.

    ValueError for step and sawtooth: they jump, and a derivative with a delta function has no mean square.
    """
    function, frequency = _read(spec)
    if function in ("step", "sawtooth"):
        raise ValueError(f"function is {function!r}, which jumps, so there is no EGOP; give sine, triangle or legendre")
    values = {
        "sine": (math.pi * frequency) ** 2,
        "triangle": 12.0 * frequency**2,
        "legendre": frequency * (frequency + 1) * (2 * frequency + 1) / 2,
    }
    return np.array([[values[function]]])


def fourier_coefficients(spec: Mapping[str, Any], modes: int) -> np.ndarray:
    """E[y sqrt(2) sin(pi k x)] for k = 1..modes, shape (modes,).

    With 1 and sqrt(2) cos(pi k x) the sines are an orthonormal basis; y is odd, so the other coefficients are 0. Only
    multiples k = m f of the frequency occur. ValueError for legendre, which is not periodic.
    """
    function, frequency = _read(spec)
    if function == "legendre":
        raise ValueError(f"function is {function!r}, which is no sum of few waves; give {', '.join(FUNCTIONS[:-1])}")
    harmonics = np.arange(1, modes // frequency + 1)
    odd = harmonics % 2
    values = {
        "sine": np.where(harmonics == 1, 1.0, 0.0),
        "step": odd * 2 * math.sqrt(2) / (math.pi * harmonics),
        "triangle": odd * (2 - harmonics % 4) * 4 * math.sqrt(6) / (math.pi * harmonics) ** 2,
        "sawtooth": -math.sqrt(6) / (math.pi * harmonics),
    }
    result = np.zeros(modes)
    result[frequency - 1 :: frequency] = values[function]
    return result


def picture(spec: Mapping[str, Any]) -> Curve:
    """y against x, with at least 64 points in a period."""
    _, frequency = _read(spec)
    x = np.linspace(-1, 1, max(1025, 64 * frequency + 1))
    return Curve(x, target(spec, x), "x", "y")


def _read(spec: Mapping[str, Any]) -> tuple[str, int]:
    return choice(spec, "function", FUNCTIONS), whole_number_up_to(spec, "frequency", MAXIMUM_FREQUENCY)


def _legendre(degree: int, x: np.ndarray) -> np.ndarray:
    """P_degree(x) by (k + 1) P_{k+1} = (2 k + 1) x P_k - k P_{k-1}."""
    last, value = np.zeros_like(x), np.ones_like(x)
    for order in range(degree):
        last, value = value, ((2 * order + 1) * x * value - order * last) / (order + 1)
    return value
