"""One layer of the arc-cosine recursion: Gaussian expectations of max(0, u)^q as functions of the correlation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: The q that are implemented.
POWERS = (1, 2, 3)

# Correlations this close to 1 or -1 are taken as that: a repeated point comes out of a dot product a few units of
# round-off below 1, where the arc cosine would turn 1e-16 into an angle of 1e-8 and spoil the diagonal.
SAME_DIRECTION = 32 * np.finfo(np.float64).eps


def snap_to_parallel(correlation: NDArray[np.float64]) -> None:
    """In place: into [-1, 1], and to the ends of that what is within round-off of them."""
    np.clip(correlation, -1.0, 1.0, out=correlation)
    correlation[correlation > 1 - SAME_DIRECTION] = 1.0
    correlation[correlation < SAME_DIRECTION - 1] = -1.0


def arc_cosine_layer(correlation: NDArray[np.float64], power: int) -> NDArray[np.float64]:
    """In place kappa_q(c) = E[phi(u) phi(u')] / E[phi(u)^2]; returned kappa'(c) = E[phi'(u) phi'(u')] / E[phi(u)^2].

    phi(u) = max(0, u)^q and (u, u') are standard Gaussian of correlation c = cos(theta). In terms of the arc-cosine
    kernels J_q of Cho and Saul (NeurIPS 2009), kappa_q = J_q(theta) / J_q(0), with J_q(0) = pi (2q - 1)!!:

        kappa_0 = (pi - theta) / pi
        kappa_1 = [sin + (pi - theta) cos] / pi
        kappa_2 = [3 sin cos + (pi - theta) (1 + 2 cos^2)] / (3 pi)
        kappa_3 = [sin (4 + 11 cos^2) + (pi - theta) (9 cos + 6 cos^3)] / (15 pi)

    and kappa' = q^2 / (2q - 1) kappa_(q-1), the derivative of kappa_q by c.

    Args:
        correlation: in [-1, 1], any shape; overwritten by kappa_q, in [0, 1].
        power: q, one of `POWERS`.
    """
    angle_share = np.arccos(correlation)
    np.subtract(np.pi, angle_share, out=angle_share)
    angle_share /= np.pi
    # (1 - c)(1 + c) keeps the digits of a small angle that 1 - c^2 would lose.
    sine_share = np.subtract(1.0, correlation)
    sine_share *= 1.0 + correlation
    np.sqrt(sine_share, out=sine_share)
    sine_share /= np.pi
    if power == 1:
        correlation *= angle_share
        correlation += sine_share
        slope = angle_share
    else:
        slope = power**2 / (2 * power - 1) * _kappa(power - 1, correlation, angle_share, sine_share)
        correlation[...] = _kappa(power, correlation, angle_share, sine_share)
    np.minimum(correlation, 1.0, out=correlation)
    return slope


def _kappa(
    power: int, cosine: NDArray[np.float64], angle_share: NDArray[np.float64], sine_share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """kappa_q from cos(theta), (pi - theta) / pi and sin(theta) / pi."""
    if power == 1:
        return sine_share + angle_share * cosine
    square = cosine * cosine
    if power == 2:
        return sine_share * cosine + angle_share * (1 + 2 * square) / 3
    return (sine_share * (4 + 11 * square) + angle_share * cosine * (9 + 6 * square)) / 15
