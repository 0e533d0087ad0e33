"""How a kernel matrix is cut: into square tiles, each a shard of its store, and into bands of tiles, each a job.

Only the standard library is imported here: the plan needs to know how many bands there are, and the jobs which tiles are theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Place of a tile in the matrix of tiles: (row, column), counted from 0.
Place = tuple[int, int]


@dataclass(frozen=True)
class Tiling:
    """A matrix of ``rows`` x ``columns`` points in square tiles of ``edge`` points; those at the end may be smaller.

    Of a symmetric matrix the tiles on and below the diagonal are computed, and those above it are their mirror images.
    """

    rows: int
    columns: int
    edge: int
    symmetric: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "Tiling":
        """The tiling of a kernel's options: ``rows``, ``columns`` (absent or null: symmetric) and ``shard``."""
        rows = sum(options["rows"].values())
        columns = options.get("columns")
        return cls(rows, sum(columns.values()) if columns else rows, options["shard"], not columns)

    @property
    def tile_rows(self) -> int:
        return -(-self.rows // self.edge)

    @property
    def tiles(self) -> list[Place]:
        """The tiles to compute, row by row."""
        return [tile for row in self._by_row() for tile in row]

    def bands(self, count: int) -> list[list[Place]]:
        """The tiles of each of ``count`` bands: whole rows of tiles, the longest first, each to the band with the fewest so far.

        So bands of a triangle hold equally many tiles to within the length of one row, not equally many rows. A row stays in one
        band, as the tiles of a row share what is computed of its points. Every shard has one band that writes it: that of the
        tile, or of the tile that it mirrors.
        """
        bands: list[list[Place]] = [[] for _ in range(count)]
        for row in sorted(self._by_row(), key=len, reverse=True):
            min(bands, key=len).extend(row)
        return [sorted(band) for band in bands]

    def shards(self, tile: Place) -> list[Place]:
        """The shards that hold a tile: its own, and off the diagonal of a symmetric matrix its mirror image."""
        row, column = tile
        return [tile, (column, row)] if self.symmetric and row != column else [tile]

    def block(self, place: Place) -> tuple[slice, slice]:
        """The rows and columns of the matrix in a tile."""
        (row, column), edge = place, self.edge
        return (
            slice(row * edge, min((row + 1) * edge, self.rows)),
            slice(column * edge, min((column + 1) * edge, self.columns)),
        )

    def entries(self, tiles: list[Place]) -> int:
        """How many entries of the matrix these tiles compute; the mirrored half costs nothing."""
        return sum(
            (rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in map(self.block, tiles)
        )

    def _by_row(self) -> list[list[Place]]:
        tile_columns = -(-self.columns // self.edge)
        return [
            [(row, column) for column in range(row + 1 if self.symmetric else tile_columns)]
            for row in range(self.tile_rows)
        ]


def band_count(options: Mapping[str, Any]) -> int:
    """How many jobs compute a kernel: one for about ``band`` rows each, and a single one where ``band`` is null."""
    if options.get("band") is None:
        return 1
    tiling = Tiling.of(options)
    return min(-(-tiling.rows // options["band"]), tiling.tile_rows)
