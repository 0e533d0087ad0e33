"""Samples that exist already, real images above all, as pools to draw train, test and probe points from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Pool:
    """n samples, as their source has them. Either ``labels`` or ``values`` is given.

    ``take(rows)`` gives the inputs of some rows, in that order: (k, C, H, W) or (k, d), whole numbers or floating point.
    ``labels`` (n,) are classes 0 to C - 1, int64; ``values`` (n, outputs) are targets of regression. ``white`` is what counts as 1:
    the value of a white pixel.
    """

    take: Callable[[np.ndarray], np.ndarray]
    labels: np.ndarray | None = None
    values: np.ndarray | None = None
    white: float = 255

    def __len__(self) -> int:
        return len(self.labels if self.labels is not None else self.values)  # type: ignore[arg-type]

    @classmethod
    def of(
        cls, inputs: np.ndarray, labels: np.ndarray | None, values: np.ndarray | None = None, white: float = 255
    ) -> Pool:
        """The pool of arrays in memory."""
        return cls(inputs.__getitem__, None if labels is None else labels.astype(np.int64), values, white)

    @classmethod
    def joined(cls, parts: Sequence[Pool]) -> Pool:
        """Labelled pools one after the other; each is asked for its own rows only, in ascending order."""
        starts = np.cumsum([0, *map(len, parts)])

        def take(rows: np.ndarray) -> np.ndarray:
            order = np.argsort(rows, kind="stable")
            bounds = np.searchsorted(rows[order], starts)
            found = [
                part.take(rows[order[first:last]] - start)
                for part, start, first, last in zip(parts, starts, bounds, bounds[1:], strict=False)
                if last > first
            ]
            whole = np.concatenate(found)
            result = np.empty_like(whole)
            result[order] = whole
            return result

        labels = np.concatenate([part.labels for part in parts])  # type: ignore[misc]
        return cls(take, labels, None, parts[0].white)


@dataclass(frozen=True)
class Pools:
    """What a data set consists of: one pool, or one to train on and one to test on. ``classes`` are the classes' names."""

    train: Pool
    test: Pool | None
    classes: tuple[str, ...] = ()
