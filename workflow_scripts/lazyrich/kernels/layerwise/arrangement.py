"""How the outputs of a network enter a tangent kernel: in which layout its blocks are accumulated.

Per-sample gradients come as G (n, C, p), for C outputs. Blocks between n1 and n2 samples are, while they are summed over layers,

- trace:          (n1, n2),        sum over c of G_c(a) . G_c(b)
- full:           (n1 C, n2 C),    G_c(a) . G_d(b)
- class-diagonal: (C, n1, n2),     G_c(a) . G_c(b)

so that in all of them a block and its mirror image are matrix transposes of each other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor


class Arrangement(ABC):
    """One of the three layouts, for `classes` outputs."""

    #: The axes of the kernel behind its samples.
    tail: tuple[int, ...]
    #: Pairs of outputs whose gradients are multiplied, per pair of samples: C, or C^2 of full blocks.
    per_pair: int

    def __init__(self, classes: int) -> None:
        self.classes = classes

    @abstractmethod
    def rows(self, gradients: Tensor) -> Tensor:
        """G (n, C, p) as the matrix, or the C matrices, whose product with itself is a block."""

    @abstractmethod
    def part(self, rows: Tensor, samples: slice) -> Tensor:
        """Those of `rows` that belong to some of the samples."""

    @abstractmethod
    def block(self, block: Tensor, rows: slice, columns: slice) -> Tensor:
        """The part of a block between some samples and others, as a view."""

    @abstractmethod
    def new_block(self, result: Tensor, rows: slice, columns: slice) -> Tensor:
        """A block of zeros, to be summed up; in the memory of `result` where it has the same layout."""

    @abstractmethod
    def positions(self, inputs: Tensor, left: Tensor, right: Tensor) -> Tensor:
        """sum over t, s of inputs[a, t, b, s] left[a, ., t] . right[b, ., s], for inputs (n1, T, n2, S) and G (n, C, o, T)."""

    @abstractmethod
    def result(self, block: Tensor) -> Tensor:
        """A block as the caller sees it: samples first, then outputs."""

    def store(self, result: Tensor, rows: slice, columns: slice, block: Tensor) -> None:
        """Put a block that has been summed up where it belongs."""
        result[rows, columns] = self.result(block)

    def add_product(self, block: Tensor, left: Tensor, right: Tensor) -> None:
        """block += left right^T."""
        block.addmm_(left, right.T)

    def product(self, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        """left right^T, in the memory of `out`."""
        product = out[: len(left) * len(right)].view(len(left), len(right))
        return torch.mm(left, right.T, out=product)

    @abstractmethod
    def add_masked(self, block: Tensor, mask: Tensor, product: Tensor) -> None:
        """block += mask * product, with one mask entry for each pair of samples."""


@final
class Trace(Arrangement):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.per_pair, self.tail = classes, ()

    def rows(self, gradients: Tensor) -> Tensor:
        return gradients.flatten(1)

    def part(self, rows: Tensor, samples: slice) -> Tensor:
        return rows[samples]

    def block(self, block: Tensor, rows: slice, columns: slice) -> Tensor:
        return block[rows, columns]

    def new_block(self, result: Tensor, rows: slice, columns: slice) -> Tensor:
        return result[rows, columns].zero_()

    def positions(self, inputs: Tensor, left: Tensor, right: Tensor) -> Tensor:
        left, right = (g.permute(0, 3, 1, 2).flatten(2).flatten(0, 1) for g in (left, right))
        return (inputs * (left @ right.T).view(inputs.shape)).sum((1, 3))

    def result(self, block: Tensor) -> Tensor:
        return block

    def store(self, result: Tensor, rows: slice, columns: slice, block: Tensor) -> None:
        if self.classes > 1:
            block.div_(self.classes)

    def add_masked(self, block: Tensor, mask: Tensor, product: Tensor) -> None:
        block.addcmul_(mask, product)


@final
class Full(Arrangement):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.per_pair, self.tail = classes**2, (classes, classes)

    def rows(self, gradients: Tensor) -> Tensor:
        return gradients.flatten(2).flatten(0, 1)

    def part(self, rows: Tensor, samples: slice) -> Tensor:
        return rows[self._scaled(samples)]

    def block(self, block: Tensor, rows: slice, columns: slice) -> Tensor:
        return block[self._scaled(rows), self._scaled(columns)]

    def new_block(self, result: Tensor, rows: slice, columns: slice) -> Tensor:
        n1, n2 = result[rows, columns].shape[:2]
        return result.new_zeros(n1 * self.classes, n2 * self.classes)

    def positions(self, inputs: Tensor, left: Tensor, right: Tensor) -> Tensor:
        (n1, t, n2, s), classes = inputs.shape, self.classes
        left, right = (g.transpose(2, 3).reshape(-1, g.shape[2]) for g in (left, right))
        products = (left @ right.T).view(n1, classes, t, n2, classes, s)
        return products.mul_(inputs.view(n1, 1, t, n2, 1, s)).sum((2, 5)).flatten(2).flatten(0, 1)

    def result(self, block: Tensor) -> Tensor:
        return self._split(block).permute(0, 2, 1, 3)

    def add_masked(self, block: Tensor, mask: Tensor, product: Tensor) -> None:
        self._split(block).addcmul_(mask[:, None, :, None], self._split(product))

    def _scaled(self, samples: slice) -> slice:
        return slice(samples.start * self.classes, samples.stop * self.classes)

    def _split(self, block: Tensor) -> Tensor:
        return block.unflatten(1, (-1, self.classes)).unflatten(0, (-1, self.classes))


@final
class ClassDiagonal(Arrangement):
    def __init__(self, classes: int) -> None:
        super().__init__(classes)
        self.per_pair, self.tail = classes, (classes,)

    def rows(self, gradients: Tensor) -> Tensor:
        return gradients.flatten(2).transpose(0, 1)

    def part(self, rows: Tensor, samples: slice) -> Tensor:
        return rows[:, samples]

    def block(self, block: Tensor, rows: slice, columns: slice) -> Tensor:
        return block[:, rows, columns]

    def new_block(self, result: Tensor, rows: slice, columns: slice) -> Tensor:
        return result.new_zeros(self.classes, *result[rows, columns].shape[:2])

    def positions(self, inputs: Tensor, left: Tensor, right: Tensor) -> Tensor:
        left, right = (g.permute(1, 0, 3, 2).flatten(1, 2) for g in (left, right))
        products = (left @ right.transpose(1, 2)).view(self.classes, *inputs.shape)
        return products.mul_(inputs).sum((2, 4))

    def result(self, block: Tensor) -> Tensor:
        return block.permute(1, 2, 0)

    def add_product(self, block: Tensor, left: Tensor, right: Tensor) -> None:
        block.baddbmm_(left, right.transpose(1, 2))

    def product(self, left: Tensor, right: Tensor, out: Tensor) -> Tensor:
        shape = (self.classes, left.shape[1], right.shape[1])
        return torch.bmm(left, right.transpose(1, 2), out=out[: shape[0] * shape[1] * shape[2]].view(shape))

    def add_masked(self, block: Tensor, mask: Tensor, product: Tensor) -> None:
        block.addcmul_(mask, product)


ARRANGEMENTS: dict[str, type[Arrangement]] = {"trace": Trace, "full": Full, "class-diagonal": ClassDiagonal}
