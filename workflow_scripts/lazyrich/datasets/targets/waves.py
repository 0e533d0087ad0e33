"""Sines, and sums of cosines on a grid of angles, the same bits on every machine.

numpy's sin and FFT may differ between processors in the last bit. Here are only sums and products of arrays, element by
element, which IEEE 754 fixes to the bit.
"""

from __future__ import annotations

import math

import numpy as np

_TERMS = 11  # the Taylor series of sin up to z^21; at |z| <= pi/2 the rest is below 2e-18


def sine(half_turns: np.ndarray) -> np.ndarray:
    """sin(pi u), float64, for u of any shape; the argument is reduced without rounding."""
    reduced = half_turns - 2.0 * np.rint(half_turns / 2.0)
    reduced = np.where(np.abs(reduced) > 0.5, np.copysign(1.0, reduced) - reduced, reduced)
    angle = math.pi * reduced
    square = angle * angle
    series = np.zeros_like(angle)
    for term in reversed(range(_TERMS)):
        series = series * square + (-1) ** term / math.factorial(2 * term + 1)
    return series * angle


def cosine(half_turns: np.ndarray) -> np.ndarray:
    """cos(pi u), float64, for u that are whole multiples of a power of two such as 2^-20 (so that u + 1/2 is exact)."""
    return sine(half_turns + 0.5)


def cosine_sum(coefficients: np.ndarray, points: int) -> np.ndarray:
    """sum_k coefficients[k] cos(2 pi k n / points) for n = 0..points - 1, shape (points,), float64.

    `points` and the number of coefficients, at most `points`, are powers of two. A fast Fourier transform in the order
    of Cooley and Tukey: columns hold transforms of ever longer subsequences. As long as a subsequence has a single
    entry that is not zero its transform is constant, so the recursion starts behind those.
    """
    real = np.tile(np.asarray(coefficients, dtype=np.float64), (points // len(coefficients), 1))
    imaginary = np.zeros_like(real)
    while (rows := len(real)) < points:
        half = real.shape[1] // 2
        turned = np.arange(rows)[:, None] / rows
        cos, sin = cosine(turned), sine(turned)
        odd_real = cos * real[:, half:] + sin * imaginary[:, half:]
        odd_imaginary = cos * imaginary[:, half:] - sin * real[:, half:]
        real = np.concatenate([real[:, :half] + odd_real, real[:, :half] - odd_real])
        imaginary = np.concatenate([imaginary[:, :half] + odd_imaginary, imaginary[:, :half] - odd_imaginary])
    return real[:, 0]
