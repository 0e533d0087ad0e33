"""Computing a tile in halves where memory does not suffice for the whole."""

import gc
from collections.abc import Callable

import numpy as np
import torch

#: Values of a kernel, (rows) x (columns), between inputs; columns ``None`` are the rows, and the values are symmetric.
Tile = Callable[[torch.Tensor, torch.Tensor | None], np.ndarray]

#: Samples along an edge below which a tile is not halved: a network of which so few do not fit needs another machine.
MINIMUM = 8

#: How torch says in a plain ``RuntimeError`` that memory ran out: its CPU allocator, and cuBLAS and cuDNN for their workspaces.
_SAID = ("can't allocate memory", "not enough memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


class Halving:
    """``compute`` as it is, or, where memory runs out, put together from the halves of rows and columns, and their halves.

    Tiles that come later are halved at once to the size that was small enough. Each block is computed as a smaller tile would
    be, so the values agree with those of the whole tile up to rounding.

    Args:
        compute: values (r, c) of rows (r, ...) and columns (c, ...), or (r, r) symmetric values if the columns are ``None``.
        say: told once for each size that proved too large.
        minimum: samples of a block's longer edge at which it is not halved further.

    Raises:
        MemoryError: if memory does not suffice for a block of ``minimum`` samples; what ran out is its cause.
    """

    def __init__(self, compute: Tile, say: Callable[[str], None], minimum: int = MINIMUM) -> None:
        self._compute, self._say, self._minimum = compute, say, minimum
        self._limit: int | None = None

    def __call__(self, rows: torch.Tensor, columns: torch.Tensor | None = None) -> np.ndarray:
        edge = max(len(rows), 0 if columns is None else len(columns))
        if self._limit is None or edge <= self._limit:
            values = self._attempt(rows, columns, edge)
            if values is not None:
                return values
        return self._halved(rows, columns)

    def _attempt(self, rows: torch.Tensor, columns: torch.Tensor | None, edge: int) -> np.ndarray | None:
        """The values, or ``None`` if memory ran out."""
        try:
            return self._compute(rows, columns)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            if edge <= self._minimum:
                raise MemoryError(
                    f"memory does not suffice for a kernel block of {len(rows)} x {len(rows if columns is None else columns)} "
                    f"samples, the smallest that is tried; give the job more memory (mem_mb), or another device"
                ) from error
            self._limit = -(-edge // 2)
            self._say(
                f"out of memory at {edge} samples a side: going on with blocks of {self._limit} ({_first_line(error)})"
            )
        # Only here, with the exception and the frames that it holds gone, can what it allocated be given back.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _halved(self, rows: torch.Tensor, columns: torch.Tensor | None) -> np.ndarray:
        half = -(-len(rows) // 2)
        if columns is None:
            first, second = rows[:half], rows[half:]
            lower = self(second, first)
            return np.block([[self(first), lower.T], [lower, self(second)]])
        if len(rows) >= len(columns):
            return np.concatenate([self(rows[:half], columns), self(rows[half:], columns)])
        half = -(-len(columns) // 2)
        return np.concatenate([self(rows, columns[:half]), self(rows, columns[half:])], axis=1)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the CPU or on a CUDA device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _SAID)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
