"""How a matrix is cut into tiles, and the tiles into bands."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from lazyrich.tiling import Tiling, band_count

tilings = st.builds(
    lambda rows, columns, edge, symmetric: Tiling(rows, rows if symmetric else columns, edge, symmetric),
    st.integers(1, 100), st.integers(1, 100), st.integers(4, 60), st.booleans(),
)  # fmt: skip


@given(tilings)
def test_the_shards_of_the_tiles_are_the_whole_matrix_once(tiling: Tiling):
    covered: Counter[tuple[int, int]] = Counter()
    for place in (place for tile in tiling.tiles for place in tiling.shards(tile)):
        rows, columns = tiling.block(place)
        assert 0 <= rows.start < rows.stop <= tiling.rows and rows.stop - rows.start <= tiling.edge
        assert 0 <= columns.start < columns.stop <= tiling.columns and columns.stop - columns.start <= tiling.edge
        covered[place] += 1
        # Tiles never share a point: they lie on a grid.
        assert rows.start % tiling.edge == columns.start % tiling.edge == 0
    assert set(covered.values()) == {1}
    assert len(covered) == -(-tiling.rows // tiling.edge) * -(-tiling.columns // tiling.edge)


@given(tilings, st.integers(1, 12))
def test_no_shard_is_written_by_two_bands_and_none_is_left_out(tiling: Tiling, count: int):
    owner: dict[tuple[int, int], int] = {}
    for band, tiles in enumerate(tiling.bands(count)):
        for place in (place for tile in tiles for place in tiling.shards(tile)):
            assert owner.setdefault(place, band) == band, f"shard {place} belongs to two bands"
    assert set(owner) == {place for tile in tiling.tiles for place in tiling.shards(tile)}
    assert sum(map(len, tiling.bands(count))) == len(tiling.tiles)


@given(tilings, st.integers(1, 12))
def test_bands_are_whole_rows_and_differ_by_one_row_at_most(tiling: Tiling, count: int):
    bands = tiling.bands(count)
    rows = [{row for row, _ in band} for band in bands]
    assert sum(map(len, rows)) == tiling.tile_rows
    longest = max(Counter(row for row, _ in tiling.tiles).values())
    assert max(map(len, bands)) - min(map(len, bands)) <= longest


def test_a_large_triangle_is_shared_almost_evenly():
    """Equal rows would give the last of seven bands thirteen times the work of the first."""
    sizes = [len(tiles) for tiles in Tiling(50_000, 50_000, 1024, True).bands(7)]
    assert sum(sizes) == 1225 and max(sizes) < 1.02 * 1225 / 7


def test_entries_are_those_that_are_computed():
    assert Tiling(10, 10, 4, True).entries([(0, 0), (1, 0), (2, 2)]) == 16 + 16 + 4
    assert Tiling(10, 3, 4, False).entries(Tiling(10, 3, 4, False).tiles) == 30


def test_a_band_has_about_the_rows_asked_for():
    def count(rows: int, band: int | None, shard: int = 1024) -> int:
        return band_count({"rows": {"train": rows}, "columns": None, "shard": shard, "band": band})

    assert [count(rows, 8192) for rows in (1, 8192, 8193, 50_000)] == [1, 1, 2, 7]
    assert count(50_000, None) == 1
    assert count(5000, 10) == 5, "there are no more bands than rows of tiles"
    assert band_count({"rows": {"test": 100, "train": 60}, "columns": {"train": 9}, "shard": 8, "band": 40}) == 4
