"""Sobolev target on the circle: x = (cos t, sin t), y = sum_{k=1..modes} c_k cos(k t), c_k ~ k^{-q}, of unit variance.

Source: the circle task of Bordelon et al. (arXiv 2409.17858). t is uniform on a grid of 2^20 angles, on which the sum
is tabulated once by a fast Fourier transform. The target is that of the exact angle, not of x as rounded to float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import sample_pairs
from lazyrich.datasets.targets.pictures import Curve
from lazyrich.datasets.targets.power_law import power_law
from lazyrich.datasets.targets.waves import cosine, cosine_sum, sine
from lazyrich.specification import positive_number, whole_number_up_to

ANGLES = 2**20
MAXIMUM_MODES = 2000


def fourier_coefficients(spec: Mapping[str, Any]) -> np.ndarray:
    """c_k for k = 1..modes, shape (modes,): k^{-q} divided by sqrt(sum_k k^{-2q} / 2)."""
    modes = whole_number_up_to(spec, "modes", MAXIMUM_MODES, default=MAXIMUM_MODES)
    amplitudes = power_law(modes, positive_number(spec, "exponent"))
    return amplitudes / math.sqrt(math.fsum((amplitudes * amplitudes).tolist()) / 2)


def mercer_coefficients(spec: Mapping[str, Any]) -> np.ndarray:
    """c_k / sqrt(2), shape (modes,): coefficients in the orthonormal basis sqrt(2) cos(k t), whose squares sum to 1."""
    return fourier_coefficients(spec) / math.sqrt(2)


def table(spec: Mapping[str, Any]) -> np.ndarray:
    """y at the angles 2 pi j / 2^20, j = 0, 1, ..., shape (2^20,), float64."""
    coefficients = fourier_coefficients(spec)
    padded = np.zeros(2 ** len(coefficients).bit_length())
    padded[1 : len(coefficients) + 1] = coefficients
    return cosine_sum(padded, ANGLES)


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """Inputs (n, 2) and targets (n, 1) of each split. Keys: exponent, modes (optional), train, test, probe."""
    values = table(spec)

    def draw(source: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        positions = source.integers(0, ANGLES, size=size)
        half_turns = positions / (ANGLES / 2)
        return np.stack([cosine(half_turns), sine(half_turns)], axis=1), values[positions]

    return sample_pairs(spec, generator, draw)


def population_variance(spec: Mapping[str, Any]) -> float:
    """Var[y] = sum_k c_k^2 / 2, in closed form: 1 up to rounding."""
    return math.fsum((fourier_coefficients(spec) ** 2).tolist()) / 2


def egop(spec: Mapping[str, Any]) -> np.ndarray:
    """E[f'(t)^2 tau tau^T] with the tangent tau = (-sin t, cos t), shape (2, 2): the gradient along the circle.

    diag(E[f'^2] - E[f'^2 cos 2t], E[f'^2] + E[f'^2 cos 2t]) / 2, where E[f'^2] = sum_k k^2 c_k^2 / 2 and
    E[f'^2 cos 2t] = sum_k k (k + 2) c_k c_{k+2} / 2 - c_1^2 / 4. For q <= 3/2 both grow without bound with `modes`.
    """
    coefficients = fourier_coefficients(spec)
    slopes = np.arange(1, len(coefficients) + 1) * coefficients
    square = math.fsum((slopes**2).tolist()) / 2
    second = math.fsum((slopes[:-2] * slopes[2:]).tolist()) / 2 - slopes[0] ** 2 / 4
    return np.diag([(square - second) / 2, (square + second) / 2])


def source_exponents(exponent: float, activation_power: float) -> tuple[float, float]:
    """Capacity alpha = 2 q_phi and source beta = (2q - 1) / (2 q_phi), for a kernel with eigenvalues k^{-2 q_phi}.

    q is the target's `exponent`, and q_phi the `activation_power` of a network with activation ReLU(h)^{q_phi}.
    """
    return 2 * activation_power, (2 * exponent - 1) / (2 * activation_power)


def picture(spec: Mapping[str, Any]) -> Curve:
    """y against the angle from -pi to pi, at every 1,024th angle of the grid."""
    positions = np.arange(-ANGLES // 2, ANGLES // 2 + 1, 1024)
    return Curve(positions * (2 * math.pi / ANGLES), table(spec)[positions % ANGLES], "angle t", "y")
