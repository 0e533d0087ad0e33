"""What a block of samples brings to a tangent kernel, parameter by parameter, and the product of two such blocks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from lazyrich.kernels.layerwise.arrangement import Arrangement
from lazyrich.kernels.layerwise.forming import cuts, form
from lazyrich.kernels.layerwise.uses import WeightUse, Window

#: Numbers worked on at once where positions are paired: 16 MiB in float32.
WORKING_SET = 2**22


class Factor(ABC):
    """The share of one parameter in the kernel of a block of samples."""

    @abstractmethod
    def add(
        self, other: Factor, block: Tensor, rows: slice, columns: slice, arrangement: Arrangement, workspace: Tensor
    ) -> None:
        """Add to a tile, `block`, the products of the samples `rows` of this with the samples `columns` of `other`."""


@final
@dataclass
class VectorFactor(Factor):
    """Per-sample gradients J as the arrangement has them: J J'^T."""

    rows: Tensor

    def add(self, other, block, rows, columns, arrangement, workspace) -> None:  # type: ignore[no-untyped-def]
        arrangement.add_product(block, arrangement.part(self.rows, rows), arrangement.part(other.rows, columns))


@final
@dataclass
class ProductFactor(Factor):
    """A weight that acts once per sample, perhaps with its bias: (x . x' + bias) (g . g')."""

    inputs: Tensor
    gradients: Tensor
    bias: float

    def add(self, other, block, rows, columns, arrangement, workspace) -> None:  # type: ignore[no-untyped-def]
        left, right = self.inputs[rows], other.inputs[columns]
        pairs = len(left) * len(right)
        mask = torch.mm(left, right.T, out=workspace[:pairs].view(len(left), len(right)))
        if self.bias:
            mask.add_(self.bias)
        gradients = (arrangement.part(self.gradients, rows), arrangement.part(other.gradients, columns))
        arrangement.add_masked(block, mask, arrangement.product(*gradients, out=workspace[pairs:]))


@final
@dataclass
class PositionFactor(Factor):
    """A weight at T positions: sum over t, s of (x_t . x'_s) (g_t . g'_s). x (n, T, d) or, of a table, (n, T) numbers of rows."""

    inputs: Tensor
    gradients: Tensor
    """(n, C, o, T)"""

    def add(self, other, block, rows, columns, arrangement, workspace) -> None:  # type: ignore[no-untyped-def]
        t = self.inputs.shape[1]
        numbers = t * t * max(1, *arrangement.tail, arrangement.per_pair if arrangement.tail else 1)
        edge = max(1, int((WORKING_SET / numbers) ** 0.5))
        for i, left in _parts(rows, edge):
            for j, right in _parts(columns, edge):
                arrangement.block(block, i, j).add_(
                    arrangement.positions(
                        _similarity(self.inputs[left], other.inputs[right], block.dtype),
                        self.gradients[left],
                        other.gradients[right],
                    )
                )


@final
@dataclass
class GradientFactor:
    """A weight at T positions whose per-sample gradients J = sum_t g_t x_t^T are formed, some of its outputs at a time.

    Attributes:
        kept: what entered, (n, ...).
        gradients: g, (n, C, ...).
        use: the use, which knows how to read both.
    """

    kept: Tensor
    gradients: Tensor
    use: WeightUse

    def per_entry(self) -> int:
        """Numbers of J per entry of the weight in one group."""
        return self.gradients.shape[0] * self.gradients.shape[1] * self.use.extent[0]

    def piece(self, window: Window, outputs: slice, room: Tensor) -> Tensor:
        """J (n, C, entries of a cut), in the memory of `room`."""
        return form(self.use, self.kept, self.gradients, window, outputs, room)


#: What a block of samples brings for one parameter.
AnyFactor = Factor | GradientFactor


def add_block(
    left: list[AnyFactor],
    right: list[AnyFactor],
    block: Tensor,
    tiles: list[tuple[slice, slice]],
    arrangement: Arrangement,
    workspace: Tensor,
    rooms: tuple[Tensor, Tensor],
) -> None:
    """Add to `block`, on some tiles of it, the kernel of the samples of `left` with those of `right`.

    All parameters on one tile before the next, so that the tile stays in the cache; gradients that have to be formed first come
    after that, part by part, in the memory of `rooms`.
    """

    numbers = len(rooms[0])

    def add(pairs: list[tuple[Factor, Factor]]) -> None:
        for rows, columns in tiles:
            tile = arrangement.block(block, rows, columns)
            for a, b in pairs:
                a.add(b, tile, rows, columns, arrangement, workspace)

    add([(a, b) for a, b in zip(left, right, strict=True) if isinstance(a, Factor) and isinstance(b, Factor)])
    for a, b in zip(left, right, strict=True):
        if isinstance(a, GradientFactor) and isinstance(b, GradientFactor):
            for cut in cuts(a.use, numbers // max(a.per_entry(), b.per_entry())):
                first = VectorFactor(arrangement.rows(a.piece(*cut, rooms[0])))
                second = first if a is b else VectorFactor(arrangement.rows(b.piece(*cut, rooms[1])))
                add([(first, second)])


def _similarity(left: Tensor, right: Tensor, dtype: torch.dtype) -> Tensor:
    """x_t(a) . x_s(b), (n1, T, n2, S); for numbers of rows, whether they are the same."""
    if left.is_floating_point():
        return (left.flatten(0, 1) @ right.flatten(0, 1).T).view(*left.shape[:2], *right.shape[:2])
    return (left[:, :, None, None] == right).to(dtype)


def _parts(samples: slice, edge: int) -> Iterator[tuple[slice, slice]]:
    """Cuts of `samples`: each as it stands in the tile, and as it stands in the block."""
    for start in range(samples.start, samples.stop, edge):
        stop = min(start + edge, samples.stop)
        yield slice(start - samples.start, stop - samples.start), slice(start, stop)
