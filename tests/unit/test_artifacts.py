"""Stores of units: what is computed again, what is kept, and what a crash leaves behind."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray
import zarr

from lazyrich import artifacts
from lazyrich.artifacts import (
    KEPT,
    ArtifactError,
    Store,
    digest,
    read_manifest,
    read_unit,
    write_json,
    write_manifest,
    write_text,
)

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow_scripts"
A, B, C, D = (letter * 64 for letter in "abcd")


def make(store, name, fingerprint, value=1.0):
    """Compute a unit unless it is there; says whether it had to."""
    unit = store.unit(name, fingerprint)
    if unit.complete:
        return False
    unit.begin()
    unit.array("x", np.full(3, value), ("sample",))
    unit.finish("cpu", value=value)
    return True


def value(store, name, fingerprint):
    return float(store.unit(name, fingerprint).group["x"][0])


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "x.zarr")


def superseded(store):
    return sorted(path.name for path in (store.path.parent / "superseded" / store.path.name).glob("*"))


# -- units ---------------------------------------------------------------------------------------------------------------


def test_a_complete_unit_is_not_computed_again(store):
    assert make(store, "u", A)
    assert not make(Store(store.path), "u", A)


def test_a_unit_that_was_begun_keeps_what_is_there_and_is_not_complete(store):
    unit = store.unit("u", A)
    unit.begin()
    unit.array("half", np.zeros(2), ("sample",))
    again = Store(store.path).unit("u", A)
    assert not again.complete and "half" in again.group
    assert make(store, "u", A)


def test_a_begun_unit_of_another_fingerprint_is_removed(store):
    unit = store.unit("u", A)
    unit.begin()
    unit.array("half", np.zeros(2), ("sample",))
    other = store.unit("u", B)
    assert not other.path.exists() and superseded(store) == []


def test_what_a_kill_left_before_the_fingerprint_was_written_is_removed(store):
    (store.path / "u").mkdir()
    (store.path / "u" / "zarr.json").write_text('{"zarr_format": 3, "node_ty')
    assert not store.unit("u", A).path.exists()
    zarr.open_group(store.path / "v", mode="a")  # a group without attributes
    assert not store.unit("v", A).path.exists()


def test_going_back_takes_the_earlier_version_back(store):
    make(store, "u", A, 1.0)
    make(store, "u", B, 2.0)
    assert superseded(store) == ["u." + A[:16]]
    assert not make(store, "u", A)
    assert value(store, "u", A) == 1.0
    assert superseded(store) == ["u." + B[:16]]
    assert not make(store, "u", B)
    assert value(store, "u", B) == 2.0


def test_the_last_versions_of_each_unit_are_kept(store):
    assert KEPT == 2
    for clock, fingerprint in enumerate((A, B, C, D)):
        make(store, "u", fingerprint)
        for path in (store.path.parent / "superseded").rglob("u.*"):  # as if time had passed
            os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 100 * (clock + 1)))
    assert superseded(store) == ["u." + B[:16], "u." + C[:16]]
    assert make(store, "u", A)


def test_each_unit_has_its_own_versions(store):
    names = ["member", "member.final", "other/metric", "member-1"]
    for fingerprint in (A, B, C):
        for name in names:
            make(store, name, fingerprint)
    assert superseded(store) == sorted(
        f"{name.replace('/', '--')}.{fingerprint[:16]}" for name in names for fingerprint in (A, B)
    )


def test_nested_names_are_set_aside_and_taken_back_with_their_neighbours_left_alone(store):
    make(store, "member/one", A, 1.0)
    make(store, "member/two", A, 2.0)
    make(store, "member/one", B, 3.0)
    assert not make(store, "member/two", A)
    assert not make(store, "member/one", A)
    assert value(store, "member/one", A) == 1.0 and value(store, "member/two", A) == 2.0


def test_a_store_that_was_deleted_finds_its_earlier_versions(store):
    make(store, "member/one", A, 1.0)
    make(store, "member/one", B, 2.0)
    artifacts.shutil.rmtree(store.path)
    assert not make(Store(store.path), "member/one", A)


def test_arrays_are_whole_named_and_digested(store):
    unit = store.unit("u", A)
    unit.begin()
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    unit.array("split/x", values[:, ::-1], ("sample", "feature"))
    unit.array("empty", np.zeros((4, 0)), ("sample", "feature"))
    unit.finish("cpu", seed=3)
    array = unit.group["split/x"]
    assert array.metadata.dimension_names == ("sample", "feature") and np.array_equal(array[...], values[:, ::-1])
    attributes = unit.attributes
    assert attributes["info"] == {"seed": 3}
    assert attributes["arrays"]["split/x"] == {"shape": [2, 3], "dtype": "float32", "sha256": digest(values[:, ::-1])}
    assert attributes["provenance"]["device"] == "cpu"


def test_what_a_killed_write_left_is_no_part_of_a_unit(store):
    """Zarr writes to a temporary name first; after a kill it stays."""
    unit = store.unit("u", A)
    unit.begin()
    unit.array("x", np.ones(3), ("sample",))
    (unit.path / "x" / "c" / "0.0123456789abcdef.partial").write_bytes(b"half")
    (unit.path / "x" / "zarr.0123456789abcdef.partial").write_bytes(b"half")
    (unit.path / "zarr.0123456789abcdef.partial").write_bytes(b"half")
    unit = store.unit("u", A)
    unit.begin()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unit.finish("cpu")
    assert list(unit.attributes["arrays"]) == ["x"] and np.array_equal(unit.group["x"][...], np.ones(3))
    assert not list(unit.path.rglob("*.partial"))


def test_digest_is_that_of_the_bytes():
    import hashlib

    values = np.random.default_rng(0).standard_normal((50, 7))
    expected = hashlib.sha256(values.tobytes()).hexdigest()
    assert digest(values) == expected
    assert digest(np.asfortranarray(values)) == expected


@pytest.mark.parametrize("moment", ["before finish", "in the middle of the array"])
def test_a_kill_between_begin_and_finish_costs_this_unit_only(tmp_path, moment):
    code = f"""
import os, numpy as np
from pathlib import Path
from lazyrich.artifacts import Store
store = Store(Path({str(tmp_path / "x.zarr")!r}))
for name in ("one", "two"):
    unit = store.unit(name, {A!r})
    unit.begin()
    if name == "two" and {moment!r} != "before finish":
        (unit.path / "x").mkdir()
        os.kill(os.getpid(), 9)
    unit.array("x", np.ones(3), ("sample",))
    if name == "two":
        os.kill(os.getpid(), 9)
    unit.finish("cpu")
"""
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SCRIPTS)})
    assert done.returncode == -9
    store = Store(tmp_path / "x.zarr")
    assert not make(store, "one", A)
    assert make(store, "two", A)


# -- manifests -----------------------------------------------------------------------------------------------------------


def manifest(tmp_path, *names, **content):
    path = tmp_path / "x.json"
    with artifacts.writing(path, "x.zarr") as store:
        for name in names:
            make(store, name, A)
        write_manifest(path, "stage", "x.zarr", [store.unit(name, A) for name in names], **content)
    return path


def test_writing_again_changes_no_byte(tmp_path):
    path = manifest(tmp_path, "u", "v/w", spec={"b": 1, "a": 2.0})
    before = path.read_bytes()
    path.unlink()
    assert manifest(tmp_path, "u", "v/w", spec={"b": 1, "a": 2.0}).read_bytes() == before


def test_what_a_manifest_says(tmp_path):
    path = manifest(tmp_path, "u", "v", spec={"a": 2})
    found = read_manifest(path)
    assert (found["stage"], found["store"], found["spec"], list(found["units"])) == (
        "stage",
        "x.zarr",
        {"a": 2},
        ["u", "v"],
    )
    assert found["units"]["u"]["fingerprint"] == A
    other = read_manifest(manifest(tmp_path, "u", "v", spec={"a": 3}))
    assert other["fingerprint"] != found["fingerprint"] and other["units"] == found["units"]
    assert np.array_equal(read_unit(path, found, "u")["x"][...], np.ones(3))
    with pytest.raises(Exception, match="read-only"):
        read_unit(path, found, "u").create_group("new")


def test_a_unit_that_is_not_complete_enters_no_manifest(tmp_path):
    path = tmp_path / "x.json"
    with artifacts.writing(path, "x.zarr") as store:
        unit = store.unit("u", A)
        unit.begin()
        with pytest.raises(KeyError):
            write_manifest(path, "stage", "x.zarr", [unit])
    assert not path.exists()


def test_reading_errors_say_what_to_do(tmp_path):
    with pytest.raises(ArtifactError, match=r"nothing\.json does not exist; run the workflow"):
        read_manifest(tmp_path / "nothing.json")
    (tmp_path / "broken.json").write_text('{"stage": ')
    with pytest.raises(ArtifactError, match="is no valid manifest .* delete it and rerun"):
        read_manifest(tmp_path / "broken.json")
    path = manifest(tmp_path, "u")
    found = read_manifest(path)
    make(Store(tmp_path / "x.zarr"), "u", B)
    with pytest.raises(
        ArtifactError, match=f"has fingerprint {B[:12]}, but .*x.json says {A[:12]}; delete the manifest and rerun"
    ):
        read_unit(path, found, "u")
    artifacts.shutil.rmtree(tmp_path / "x.zarr")
    with pytest.raises(ArtifactError, match="which is not there; delete the manifest and rerun"):
        read_unit(path, found, "u")


def test_a_store_is_held_while_it_is_written(tmp_path):
    path = tmp_path / "a.b.json"  # run names have dots
    with (
        artifacts.writing(path, "x.zarr"),
        pytest.raises(BlockingIOError),
        artifacts.exclusive(tmp_path / "a.b.lock", wait=0),
    ):
        pass


# -- files ---------------------------------------------------------------------------------------------------------------


def test_files_are_replaced_whole_and_leave_nothing_beside_them(tmp_path):
    path = tmp_path / "new" / "x.txt"
    write_text(path, "one")
    write_text(path, "two é")
    assert path.read_text(encoding="utf-8") == "two é"
    assert [entry.name for entry in path.parent.iterdir()] == ["x.txt"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.txt"
    write_text(path, "old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_numbers_that_json_lacks_become_words_that_float_reads(tmp_path):
    write_json(tmp_path / "x.json", {"a": [float("inf"), -float("inf"), 1.5], "b": {"c": float("nan")}})

    def refuse(word):
        raise AssertionError(word)

    found = json.loads((tmp_path / "x.json").read_text(), parse_constant=refuse)
    assert found == {"a": ["inf", "-inf", 1.5], "b": {"c": "nan"}}
    assert np.isnan(float(found["b"]["c"])) and float(found["a"][1]) == -np.inf


def test_xarray_opens_a_unit_with_labelled_dimensions(tmp_path):
    unit = Store(tmp_path / "x.zarr").unit("draw-0", "a" * 64)
    unit.begin()
    unit.array("inputs", np.arange(6.0).reshape(2, 3), ("sample", "feature"))
    opened = xarray.open_zarr(unit.path, consolidated=False)
    assert opened["inputs"].dims == ("sample", "feature")
    np.testing.assert_array_equal(opened["inputs"], np.arange(6.0).reshape(2, 3))
