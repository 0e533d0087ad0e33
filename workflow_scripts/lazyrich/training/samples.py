"""The samples of several networks in one tensor, and the batches that a step takes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lazyrich.datasets.reading import Split
from lazyrich.training.batches import Batches

#: A network's samples start at a multiple of so many rows, that is on a cache line whatever the size of a row: where in memory
#: a matrix starts may decide the last bit of a product, and must not depend on whose samples are stored before it.
ALIGNED = 16

#: Steps whose batches are looked up at once: a look-up for each network at each step would cost small networks dearly.
STEPS_AHEAD = 64


@dataclass(frozen=True)
class Batch:
    """One batch of each of b networks: ``inputs`` (b, B, ...), ``targets`` (b, B, outputs), ``labels`` (b, B) if there are.

    ``offsets`` (b, B, outputs) are the outputs at initialisation, which centred networks subtract.
    """

    inputs: Tensor
    targets: Tensor
    labels: Tensor | None = None
    offsets: Tensor | None = None

    def of(self, networks: list[int]) -> Batch:
        """The batches of some of the networks."""
        labels, offsets = (None if part is None else part[networks] for part in (self.labels, self.offsets))
        return Batch(self.inputs[networks], self.targets[networks], labels, offsets)


class Packed:
    """A copy of all parts along the first axis of one tensor, each starting at a multiple of :data:`ALIGNED` rows."""

    def __init__(self, parts: Sequence[Tensor]) -> None:
        self.lengths = [len(part) for part in parts]
        self.starts = [0]
        for length in self.lengths:
            self.starts.append(self.starts[-1] + -(-length // ALIGNED) * ALIGNED)
        self._whole = parts[0].new_zeros((self.starts.pop(), *parts[0].shape[1:]))
        for view, part in zip(self.views(), parts, strict=True):
            view.copy_(part)

    def views(self) -> list[Tensor]:
        """The parts, where they are stored."""
        return [self._whole[start : start + length] for start, length in zip(self.starts, self.lengths, strict=True)]

    def take(self, rows: Tensor, out: Tensor) -> None:
        """Copy what stands at ``rows`` (k,), counted from the first part's start, to ``out`` (k, ...)."""
        torch.index_select(self._whole, 0, rows, out=out)

    def room(self, count: int) -> Tensor:
        """Memory for ``count`` rows."""
        return self._whole.new_empty((count, *self._whole.shape[1:]))

    def side_by_side(self) -> Tensor:
        """All parts, of one length n, as a view of shape (parts, n, ...)."""
        return self._whole.unflatten(0, (len(self.lengths), -1))[:, : self.lengths[0]]


class Samples:
    """The training sets of networks that take their steps together.

    ``order`` says which samples a step takes, for each network; None for all of them, of which every network then has the same
    number.
    """

    def __init__(self, splits: Sequence[Split], order: Sequence[Batches] | None) -> None:
        labels = [split.labels for split in splits if split.labels is not None]
        self._columns = {"inputs": Packed([s.inputs for s in splits]), "targets": Packed([s.targets for s in splits])}
        if labels:
            self._columns["labels"] = Packed(labels)
        self._device = splits[0].inputs.device
        self._order = list(order or ())
        self._active = list(range(len(splits)))
        self._first, self._rows = 0, torch.empty(0, dtype=torch.int64)
        self._prepare()

    def splits(self) -> list[Split]:
        """The training set of each network that there was at the start, as a view."""
        inputs, targets = (self._columns[name].views() for name in ("inputs", "targets"))
        labels = self._columns["labels"].views() if "labels" in self._columns else [None] * len(inputs)
        return [Split(*parts) for parts in zip(inputs, targets, labels, strict=True)]

    def subtract(self, offsets: Sequence[Tensor]) -> None:
        """Let batches carry the outputs at initialisation (n, outputs) of each network; call this before the first step."""
        self._columns["offsets"] = Packed(offsets)
        self._prepare()

    def keep(self, indices: list[int]) -> None:
        """Go on with these of the active networks."""
        self._active = [self._active[index] for index in indices]
        self._rows = self._rows[:0]
        self._prepare()

    def batch(self, step: int) -> Batch:
        """What the active networks see at a step; the next call may write to the same memory."""
        if self._order:
            rows = self._rows_at(step)
            for name, room in self._rooms.items():
                self._columns[name].take(rows, room)
        return self._batch

    def _prepare(self) -> None:
        """The batch that all steps share: memory that each fills, or all samples."""
        if self._order:
            size = self._order[0].batch_size
            count = len(self._active) * size
            self._rooms = {name: column.room(count) for name, column in self._columns.items()}
            self._batch = Batch(**{name: room.unflatten(0, (-1, size)) for name, room in self._rooms.items()})
        else:
            everything = Batch(**{name: column.side_by_side() for name, column in self._columns.items()})
            some = len(self._active) < len(everything.targets)
            self._batch = everything.of(self._active) if some else everything

    def _rows_at(self, step: int) -> Tensor:
        """The rows that a step takes, those of the first network first."""
        if not self._first <= step < self._first + len(self._rows):
            starts = self._columns["inputs"].starts
            ahead = [self._order[number].steps(step, STEPS_AHEAD) + starts[number] for number in self._active]
            self._first, self._rows = step, torch.cat(ahead, dim=1).to(self._device)
        return self._rows[step - self._first]
