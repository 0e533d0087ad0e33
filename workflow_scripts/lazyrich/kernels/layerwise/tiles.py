"""Tiles of a block of a kernel, and the mirroring of a symmetric one."""

from __future__ import annotations

from torch import Tensor

from lazyrich.kernels.layerwise.arrangement import Arrangement

Tile = tuple[slice, slice]

#: Rows of a tile that crosses the diagonal. Lower ones compute less beyond the diagonal, but are slower products of matrices.
STRIP = 128


def rectangle(n1: int, n2: int, edge: int) -> list[Tile]:
    """All tiles, row by row."""
    return [
        (slice(i, min(i + edge, n1)), slice(j, min(j + edge, n2)))
        for i in range(0, n1, edge)
        for j in range(0, n2, edge)
    ]


def lower_triangle(n: int, edge: int) -> list[Tile]:
    """Tiles that cover the lower triangle: squares, and strips that end with a square on the diagonal."""
    tiles: list[Tile] = []
    for i in range(0, n, edge):
        stop = min(i + edge, n)
        tiles.extend((slice(i, stop), slice(j, j + edge)) for j in range(0, i, edge))
        for start in range(i, stop, STRIP):
            end = min(start + STRIP, stop)
            tiles.append((slice(start, end), slice(i, end)))
    return tiles


def mirror(block: Tensor, tiles: list[Tile], arrangement: Arrangement) -> None:
    """Make a block of which the tiles of the lower triangle are done equal to its transpose, bit by bit."""
    for rows, columns in tiles:
        before = slice(columns.start, min(columns.stop, rows.start))
        if before.stop > before.start:
            below = arrangement.block(block, rows, before)
            arrangement.block(block, before, rows).copy_(below.transpose(-1, -2))
        if columns.stop == rows.stop:
            # A product of matrices rounds (a, b) and (b, a) differently.
            square = arrangement.block(block, rows, rows)
            square.copy_(square.tril() + square.tril(-1).transpose(-1, -2))
