"""Inputs shifted and scaled by what the training split says, to the same bits on any machine.

Sums of whole numbers are exact, and sums of floating-point numbers are taken along the sample axis first, row by row: how many
numbers a processor adds at once then does not show.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

NORMALIZATIONS = ("channel", "global", "none")

#: Samples that are converted at once: float64 takes eight times the memory of a pixel.
ROWS = 1024


def block_sums(images: np.ndarray, factor: int) -> np.ndarray:
    """Sums over blocks of ``factor`` x ``factor`` pixels, (n, C, H / factor, W / factor): the mean of a block times factor^2, exactly."""
    if factor == 1:
        return images
    count, channels, height, width = images.shape
    if height % factor or width % factor:
        raise ValueError(f"downsample is {factor}, which does not divide images of {height}x{width} pixels")
    blocks = images.reshape(count, channels, height // factor, factor, width // factor, factor)
    return blocks.sum(axis=(3, 5), dtype=np.int64 if images.dtype.kind in "iu" else np.float64)


def statistics(inputs: np.ndarray, kind: str, white: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, in units of ``white``, float64: of each channel or feature (axis 1), or of all (repeated for each).

    ``none`` gives zeros and ones. ValueError where something is constant, and so has no scale.
    """
    width = inputs.shape[1]
    if kind == "none":
        return np.zeros(width), np.ones(width)
    if kind not in NORMALIZATIONS:
        raise ValueError(f"normalization is {kind!r}; give one of {', '.join(NORMALIZATIONS)}")
    parts = [inputs[:, index] for index in range(width)] if kind == "channel" else [inputs]
    moments = [_moments(part) for part in parts]
    for index, (_, deviation) in enumerate(moments):
        if deviation == 0:
            what = f"channel or feature {index}" if kind == "channel" else "every input"
            raise ValueError(
                f"{what} is constant over the training split; give more training points, or normalization: none"
            )
    mean, deviation = np.array(moments).T
    return np.broadcast_to(mean / white, width).copy(), np.broadcast_to(deviation / white, width).copy()


def normalized(inputs: np.ndarray, mean: np.ndarray, deviation: np.ndarray, white: float) -> np.ndarray:
    """(inputs / white - mean) / deviation along axis 1, float32."""
    shape = (1, -1, *[1] * (inputs.ndim - 2))
    result = np.empty(inputs.shape, dtype=np.float32)
    for start in range(0, len(inputs), ROWS):
        rows = slice(start, start + ROWS)
        result[rows] = (inputs[rows] / np.float64(white) - mean.reshape(shape)) / deviation.reshape(shape)
    return result


def _moments(values: np.ndarray) -> tuple[float, float]:
    """Mean and population standard deviation."""
    if values.dtype.kind in "iub":
        count = values.size
        total = sum(int(values[start : start + ROWS].sum(dtype=np.int64)) for start in range(0, len(values), ROWS))
        squares = sum(
            int(np.square(values[start : start + ROWS], dtype=np.int64).sum()) for start in range(0, len(values), ROWS)
        )
        return float(Fraction(total, count)), math.sqrt(Fraction(count * squares - total * total, count * count))
    rows = values.reshape(len(values), -1).astype(np.float64)
    mean = math.fsum(np.add.reduce(rows, axis=0)) / rows.size
    variance = math.fsum(np.add.reduce(np.square(rows - mean), axis=0)) / rows.size
    # a constant leaves the rounding error of its mean
    return mean, 0.0 if np.ptp(rows) == 0 else math.sqrt(variance)
