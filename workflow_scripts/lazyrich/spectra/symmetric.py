"""Products of a symmetric matrix with blocks of vectors: held in memory, or read from a store in bands of rows.

Vectors stand in rows, (b, n), because X K is two to three times faster than K X^T for b of 16 or more in the BLAS
libraries that torch calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

ASYMMETRY_TOLERANCE = 1e-5
#: Edge of the blocks in which a matrix is compared with its transpose: two of them stay in cache.
EDGE = 512


class Product(Protocol):
    """What quality is measured with: products X K of blocks X (b, n) with a matrix K, and what is known of K."""

    n: int
    passes: int
    trace: float
    norm: float
    unit_roundoff: float

    def __call__(self, X: Tensor) -> Tensor: ...


class SymmetricProduct:
    """X -> X K = (K X^T)^T in float64, for a symmetric K (n, n) that may be larger than memory.

    Args:
        K: numpy array, torch tensor, or anything with `shape`, `dtype` and slices ``K[i:j, :j]``, such as a Zarr array.
        memory_budget: bytes for K. If its n^2 numbers in float64 fit, K is read once and held; else every product reads
            the lower triangle again, in bands of rows. A float64 array in memory is used as it is.
        device: where products are computed; a torch tensor stays where it is.

    Attributes:
        passes: how often all of K was used; where K is not held, how often it was read.
        trace, norm, largest: trace, Frobenius norm and largest magnitude of K; of one that is not held, from its first
            product on.
        unit_roundoff: machine epsilon of the type that K is stored in.

    Raises:
        ValueError: if K is not square, holds a number that is not finite, or differs from its transpose by more than
            1e-5 of its largest entry. Smaller differences are averaged out. Where K is not held, the comparison covers
            the squares on the diagonal, and the lower triangle is taken for both.
    """

    def __init__(self, K: Any, memory_budget: int, device: torch.device) -> None:
        shape = tuple(K.shape)
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 1:
            raise ValueError(f"the matrix has shape {shape}; expected (n, n) with n at least 1")
        self.n: int = shape[0]
        self.passes = 0
        self.device = K.device if isinstance(K, Tensor) else device
        self.unit_roundoff = unit_roundoff(K)
        self.trace = self.norm = self.largest = float("nan")
        self._source, self._budget = K, memory_budget
        self.held = _in_memory(K) or 8 * self.n**2 <= memory_budget
        if self.held:
            self._matrix = self._hold()

    def __call__(self, X: Tensor) -> Tensor:
        """X K, (b, n), of a block X (b, n)."""
        self.passes += 1
        return X @ self._matrix if self.held else self._streamed(X)

    @property
    def matrix(self) -> Tensor:
        """K in float64, symmetric, (n, n). Not to be written to: it may be the caller's own array."""
        if not self.held:
            raise ValueError(f"the matrix takes {8 * self.n**2:,} bytes, more than its budget of {self._budget:,}")
        return self._matrix

    def columns(self, indices: Tensor) -> Tensor:
        """K[:, indices], (n, m), in one pass."""
        if self.held:
            return self._matrix[:, indices]
        self.passes += 1
        chosen = torch.empty((self.n, len(indices)), dtype=torch.float64, device=self.device)
        for start, stop in self._bands():
            chosen[start:stop] = self._read(start, stop, self.n)[:, indices]
        return chosen

    def _hold(self) -> Tensor:
        if _in_memory(self._source):
            given = as_tensor(self._source)
            matrix = given.to(self.device)
            borrowed = matrix is given
        else:
            matrix, borrowed = torch.empty((self.n, self.n), dtype=torch.float64, device=self.device), False
            for start, stop in self._bands():
                matrix[start:stop] = self._read(start, stop, self.n)
        self.largest = largest_finite(matrix)
        asymmetry = _asymmetry(matrix)
        _check_asymmetry(asymmetry, self.largest)
        if asymmetry > 0:
            matrix = matrix.clone() if borrowed else matrix
            _symmetrise(matrix)
        self.trace, self.norm = float(matrix.diagonal().sum()), float(torch.linalg.vector_norm(matrix))
        return matrix

    def _streamed(self, X: Tensor) -> Tensor:
        """The lower triangle serves twice: K[i:j, :j] is what rows i to j take in and, transposed, give out."""
        out = torch.zeros_like(X)
        first = not self.norm >= 0
        trace = squares = largest = 0.0
        for start, stop in self._bands():
            band = self._read(start, stop, stop)
            square = band[:, start:]
            if first:
                peak = largest_finite(band)
                _check_asymmetry(float((square - square.T).abs().max()), peak)
                largest = max(largest, peak)
                trace += float(square.diagonal().sum())
                squares += 2 * float(band.square().sum()) - float(square.square().sum())
            out[:, :start] += X[:, start:stop] @ band[:, :start]
            out[:, start:stop] += X[:, :start] @ band[:, :start].T
            out[:, start:stop] += X[:, start:stop] @ ((square + square.T) / 2)
        if first:
            self.trace, self.norm, self.largest = trace, squares**0.5, largest
        return out

    def _bands(self) -> Iterator[tuple[int, int]]:
        """Bands of rows that take a quarter of the budget in float64: beside one stand what it was read from and a copy."""
        return bands(self._source, self.n, 8 * self.n, self._budget // 4)

    def _read(self, start: int, stop: int, columns: int) -> Tensor:
        return as_tensor(self._source[start:stop, :columns]).to(self.device, torch.float64)


def bands(source: Any, n: int, row_bytes: int, budget: int) -> Iterator[tuple[int, int]]:
    """Bands of the n rows of a source, each of at most `budget` bytes at `row_bytes` a row, in whole chunks of a store."""
    edge = (getattr(source, "chunks", None) or (1,))[0]
    rows = max(1, budget // row_bytes)
    rows = rows // edge * edge or rows
    for start in range(0, n, rows):
        yield start, min(start + rows, n)


def _in_memory(K: Any) -> bool:
    """Whether K is in memory, in the type of the products, and can be used as it is."""
    if isinstance(K, Tensor):
        return K.dtype == torch.float64
    return isinstance(K, np.ndarray) and not isinstance(K, np.memmap) and K.dtype == np.float64


def as_tensor(array: Any) -> Tensor:
    """A tensor on the memory of an array, where torch can use that, else a copy."""
    if isinstance(array, Tensor):
        return array.detach()
    return torch.from_numpy(np.require(array, requirements=["C_CONTIGUOUS", "WRITEABLE"]))


def unit_roundoff(K: Any) -> float:
    """Machine epsilon of the type of K; that of float64 for integers."""
    if isinstance(K, Tensor):
        return torch.finfo(K.dtype).eps if K.dtype.is_floating_point else torch.finfo(torch.float64).eps
    dtype = np.dtype(K.dtype)
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def largest_finite(matrix: Tensor) -> float:
    """The largest magnitude in a matrix; ``ValueError`` if not all are finite."""
    low, high = torch.aminmax(matrix)
    largest = max(abs(float(low)), abs(float(high)))
    if not np.isfinite(largest):
        raise ValueError(
            "the matrix has entries that are not finite; look at the kernel's fill value and at diverged members"
        )
    return largest


def _block_pairs(n: int) -> Iterator[tuple[slice, slice]]:
    for i in range(0, n, EDGE):
        for j in range(0, i + 1, EDGE):
            yield slice(i, i + EDGE), slice(j, j + EDGE)


def _asymmetry(matrix: Tensor) -> float:
    """max |K - K^T|, block by block: as a whole it would take two more matrices of memory."""
    return max(float((matrix[i, j] - matrix[j, i].T).abs().max()) for i, j in _block_pairs(len(matrix)))


def _symmetrise(matrix: Tensor) -> None:
    """(K + K^T) / 2, in place."""
    for i, j in _block_pairs(len(matrix)):
        mean = (matrix[i, j] + matrix[j, i].T) / 2
        matrix[i, j] = mean
        matrix[j, i] = mean.T


def _check_asymmetry(asymmetry: float, largest: float) -> None:
    if asymmetry > ASYMMETRY_TOLERANCE * largest:
        raise ValueError(
            f"the matrix differs from its transpose by {asymmetry:g} (largest entry {largest:g}); symmetrise it first"
        )
