"""A kernel matrix in its unit: written tile by tile, each tile one shard of a Zarr array, and checked as a whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import zarr

from lazyrich.artifacts import ArtifactError, Unit, open_array
from lazyrich.kernels.backoff import Tile
from lazyrich.tiling import Place, Tiling

#: Edge of an uncompressed chunk inside a shard.
CHUNK = 256


class KernelShards:
    """The array ``kernel`` (row, column) of a unit.

    A shard is one file, which appears whole or not at all, so a kill leaves whole tiles and holes. Shards never written read as NaN:
    a hole cannot be taken for zeros. Processes that write different shards need no lock, wherever they run.
    """

    def __init__(self, unit: Unit, tiling: Tiling) -> None:
        self.unit, self.tiling = unit, tiling

    def create(self, dtype: str) -> None:
        """Begin the unit, with an array without any shard or the one that an earlier attempt left. For one process alone."""
        self.unit.begin()
        shape = (self.tiling.rows, self.tiling.columns)
        shards = tuple(min(self.tiling.edge, -(-size // CHUNK) * CHUNK) for size in shape)
        chunks = tuple(CHUNK if size % CHUNK == 0 else size for size in shards)
        self.unit.require(
            "kernel", shape=shape, dtype=dtype, chunks=chunks, shards=shards, fill_value=float("nan"),
            dimension_names=("row", "column"),
        )  # fmt: skip

    def written(self, place: Place) -> bool:
        return self.path(place).exists()

    def path(self, place: Place) -> Path:
        """The file of a shard."""
        return self.unit.path / "kernel" / "c" / str(place[0]) / str(place[1])

    def write(
        self,
        tiles: list[Place],
        compute: Tile,
        rows: torch.Tensor,
        columns: torch.Tensor | None,
        advance: Callable[[], None],
    ) -> None:
        """Compute those of ``tiles`` that are not there yet, from the points of all rows and columns (``None``: the rows).

        ``ArithmeticError`` for values that are not finite.
        """
        array = self._array()
        for tile in tiles:
            block = self.tiling.block(tile)
            own, *mirrored = self.tiling.shards(tile)
            values = None
            if not self.written(own):
                diagonal = columns is None and tile[0] == tile[1]
                values = compute(rows[block[0]], None if diagonal else (rows if columns is None else columns)[block[1]])
                if not np.isfinite(values).all():
                    raise ArithmeticError(
                        f"kernel {self.unit.name}, tile {tile}: values that are not finite; try `dtype: float64`"
                    )
                array[block] = values
            for place in mirrored:
                if not self.written(place):
                    array[self.tiling.block(place)] = (np.asarray(array[block]) if values is None else values).T
            advance()

    def verify(self) -> None:
        """Check that every shard is there, finite and, if the kernel is symmetric, the mirror image of its counterpart.

        One tile and its mirror image are in memory at a time. Shards at fault are removed, so that they are computed again, and
        ``ArtifactError`` names them.
        """
        places = [place for tile in self.tiling.tiles for place in self.tiling.shards(tile)]
        self._refuse([place for place in places if not self.written(place)], "missing")
        array = self._array()
        infinite, asymmetric = [], []
        for tile in self.tiling.tiles:
            held = self.tiling.shards(tile)
            values = [np.asarray(array[self.tiling.block(place)]) for place in held]
            infinite += [place for place, block in zip(held, values, strict=True) if not np.isfinite(block).all()]
            if self.tiling.symmetric and not _mirrored(values[0], values[-1], exactly=len(held) > 1):
                asymmetric += held
        for place in infinite or asymmetric:
            self.path(place).unlink()
        self._refuse(infinite, "not finite")
        self._refuse(asymmetric, "not symmetric")

    def _refuse(self, places: list[Place], fault: str) -> None:
        if places:
            some = ", ".join(map(str, places[:6])) + (", ..." if len(places) > 6 else "")
            raise ArtifactError(f"kernel {self.unit.path}: shards that are {fault}: {some} ({len(places)} in all)")

    def _array(self) -> zarr.Array:
        return open_array(self.unit.group, "kernel")


def _mirrored(values: np.ndarray, other: np.ndarray, exactly: bool) -> bool:
    """Whether two tiles mirror each other: to the bit if one is a copy, to rounding if a diagonal tile is its own mirror image."""
    if exactly:
        return np.array_equal(values, other.T, equal_nan=True)
    tolerance = np.sqrt(np.finfo(values.dtype).eps) * np.abs(values).max()
    return np.allclose(values, other.T, rtol=0, atol=tolerance, equal_nan=True)
