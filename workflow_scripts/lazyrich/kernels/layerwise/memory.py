"""How many samples to work on at once, from a memory budget."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lazyrich.kernels.layerwise.arrangement import Arrangement
from lazyrich.kernels.layerwise.routes import Route
from lazyrich.kernels.layerwise.structure import Structure

#: Edge of a tile, which is summed over all layers while it is in the cache, in rows of numbers.
TILE = 512
#: What a pass holds per number that leaves an operation with parameters: the number, its gradient, and what lies between operations.
HELD_IN_PASS = 3
#: Numbers in a pass beyond which it is not faster.
LARGEST_PASS = 2**25
#: Numbers in a piece beyond which it only leaves the cache.
LARGEST_PIECE = 2**23


@dataclass(frozen=True)
class Sizes:
    """Samples in a block, in a pass and along the edge of a tile; numbers in a piece of gradients formed at once."""

    block: int
    samples_per_pass: int
    tile: int
    piece: int


def _piece(routes: list[Route], rows: int, numbers: int) -> int:
    """Numbers of gradients formed at once: no more than there are, and at least one entry of a weight."""
    entries = max((route.entries for route in routes if route.kind == "gradients"), default=0)
    return min(entries * rows, max(numbers, rows * max((route.inputs for route in routes), default=0)))


def plan(
    structure: Structure, routes: list[Route], arrangement: Arrangement, n1: int, n2: int, symmetric: bool, numbers: int
) -> Sizes:
    """Sizes with which a kernel takes at most about `numbers` numbers beyond its result.

    Half is for what is kept of the passes, a quarter for a block in another layout than the result's, an eighth each for a pass and
    for gradients formed at once.
    """
    kept = max(1, sum(route.kept for route in routes))
    all_at_once = n1 if symmetric else n1 + n2
    block = max(n1, n2) if all_at_once * kept <= numbers // 2 else numbers // 4 // kept
    if arrangement.tail:
        block = min(block, int(math.sqrt(numbers / 4 / math.prod(arrangement.tail))))
    block = max(1, min(block, max(n1, n2)))
    return Sizes(
        block=block,
        samples_per_pass=max(1, min(block, min(numbers // 8, LARGEST_PASS) // max(1, in_pass(structure)))),
        tile=max(32, TILE // arrangement.classes if len(arrangement.tail) == 2 else TILE),
        piece=_piece(routes, arrangement.classes * block, min(numbers // 16, LARGEST_PIECE)),
    )


def in_pass(structure: Structure) -> int:
    """Numbers that a pass holds per sample."""
    leaving = {use.place: use.output_shape.numel() // use.samples for use in structure.uses}
    return HELD_IN_PASS * sum(leaving.values())
