"""What kernels in closed form share: inputs as points in float64, and a matrix of pairs that is filled chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


def flattened(x: ArrayLike | Tensor) -> NDArray[np.float64]:
    """Inputs (n, ...) as points (n, d), float64; ValueError if samples do not stand along the first of at least two axes."""
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.ndim < 2:
        raise ValueError(f"inputs have shape {array.shape}; samples must stand along the first of at least two axes")
    return array.reshape(len(array), -1).astype(np.float64)


def in_chunks(
    rows: int, columns: int, symmetric: bool, entries: int, compute: Callable[[slice, slice], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The matrix (rows, columns) of which ``compute`` gives the block of some rows and columns, of about ``entries`` at most.

    Of a symmetric matrix blocks begin at the diagonal, which is half the work, and the result is exactly symmetric.
    """
    kernel = np.empty((rows, columns))
    step = max(1, entries // max(1, columns))
    for i in range(0, rows, step):
        chunk, others = slice(i, i + step), slice(i if symmetric else 0, None)
        block = compute(chunk, others)
        if symmetric:
            size = len(block)
            # A matrix product may round (a, b) and (b, a) differently, so the upper triangle is mirrored.
            block[:, :size] = np.triu(block[:, :size]) + np.triu(block[:, :size], 1).T
            kernel[i + size :, chunk] = block[:, size:].T
        kernel[chunk, others] = block
    return kernel
