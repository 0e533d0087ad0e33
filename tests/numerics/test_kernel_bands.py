"""Kernels that several jobs compute: side by side, killed, incomplete, and larger than memory."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazyrich.artifacts import ArtifactError
from small_runs import BandedKernel, banded_kernel, digests, kernels

ROOT = Path(__file__).parents[2]
SHARD = 8

#: Computes one band, a little slowly, so that two of them overlap and a kill strikes in the middle.
WORKER = """
import sys, time, torch
from pathlib import Path
from lazyrich.datasets.reading import Dataset
from lazyrich.kernels.objects import empirical_ntk
from lazyrich.training.reading import TrainedRun
from small_runs import banded_kernel

torch.set_num_threads(1)
folder, run, data, band, pause = *map(Path, sys.argv[1:4]), int(sys.argv[4]), float(sys.argv[5])
compute = empirical_ntk.compute

def slowly(*arguments):
    time.sleep(pause)
    return compute(*arguments)

empirical_ntk.compute = slowly
while not (folder / "go").exists():
    time.sleep(0.01)
banded_kernel(folder, TrainedRun(run), Dataset(data), bands=2, shard=4).compute(band)
"""


def start(kernel: BandedKernel, band: int, pause: float = 0.01) -> subprocess.Popen:
    folder = kernel.manifest.parents[1]
    arguments = [str(path) for path in (folder, kernel.wanted.run.path, kernel.wanted.dataset.path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "workflow_scripts"), str(ROOT / "tests")])}
    return subprocess.Popen([sys.executable, "-c", WORKER, *arguments, str(band), str(pause)], env=environment)


def shards(kernel: BandedKernel) -> dict[Path, int]:
    """The shards that are there, and when they were written."""
    found = (path for path in kernel.manifest.with_suffix(".zarr").glob("*/kernel/c/*/*") if path.name.isdigit())
    return {path: path.stat().st_mtime_ns for path in found}


def metadata(kernel: BandedKernel) -> dict[Path, int]:
    """When the descriptions of the arrays and units were written."""
    return {path: path.stat().st_mtime_ns for path in kernel.manifest.with_suffix(".zarr").rglob("zarr.json")}


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def compute_all(kernel: BandedKernel) -> None:
    kernel.prepare()
    for band in range(kernel.bands):
        kernel.compute(band)


@pytest.mark.slow
def test_two_processes_write_one_store_and_a_killed_one_is_taken_up(tmp_path, trained):
    """Bit for bit what one job computes, though both write at once and one of them is killed with SIGKILL in between."""
    whole = kernels(tmp_path, *trained, "whole", shard=4)
    kernel = banded_kernel(tmp_path, *trained, bands=2, shard=4)
    kernel.prepare()
    prepared = metadata(kernel)
    first, second = start(kernel, 0), start(kernel, 1, pause=0.05)
    (tmp_path / "go").touch()
    wait_for(lambda: len(shards(kernel)) > 30)
    os.kill(second.pid, signal.SIGKILL)
    assert second.wait() == -signal.SIGKILL
    assert first.wait(60) == 0
    assert kernel.record("band-0").exists() and not kernel.record("band-1").exists()
    before = shards(kernel)
    everything = 3 * (24 // 4) ** 2
    assert 30 < len(before) < everything

    kernel.compute(1)
    after = shards(kernel)
    assert len(after) == everything
    assert {path: after[path] for path in before} == before, "a shard that was there was written again"
    assert metadata(kernel) == prepared, "bands write shards and nothing else"
    assembled = kernel.assemble()
    assert not list(kernel.manifest.parent.rglob("*.partial"))
    assert {name: unit["arrays"] for name, unit in assembled.manifest["units"].items()} == {
        name: unit["arrays"] for name, unit in whole.manifest["units"].items()
    }
    assert assembled.manifest["kernels"] == whole.manifest["kernels"]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 24), st.integers(0, 20), st.integers(3, 24), st.integers(1, 5))
def test_any_number_of_bands_gives_the_same_kernel(tmp_path_factory, trained, n1, n2, shard, bands):
    tmp_path = tmp_path_factory.mktemp("bands")
    shape = {"rows": {"probe": n1}, "columns": {"train": n2} if n2 else None, "shard": shard, "at": ["final"]}
    shape |= {"object": "conjugate_kernel"}
    whole = kernels(tmp_path, *trained, "whole", **shape)
    kernel = banded_kernel(tmp_path, *trained, bands, **shape)
    compute_all(kernel)
    found = kernel.assemble()
    assert {name: unit["arrays"] for name, unit in found.manifest["units"].items()} == {
        name: unit["arrays"] for name, unit in whole.manifest["units"].items()
    }


def test_the_number_of_bands_is_no_property_of_the_result(tmp_path, trained):
    """Another number finds every shard; the manifest is the same to the byte."""
    kernel = banded_kernel(tmp_path, *trained, bands=3, shard=SHARD, band=8)
    compute_all(kernel)
    before = digests(kernel.assemble())
    written, times = kernel.manifest.read_bytes(), shards(kernel)
    other = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD)
    compute_all(other)
    assert digests(other.assemble()) == before
    assert digests(kernels(tmp_path, *trained, shard=SHARD)) == before
    assert shards(kernel) == times
    assert json.loads(written)["units"] == json.loads(kernel.manifest.read_bytes())["units"]


def test_a_band_needs_a_prepared_store(tmp_path, trained):
    kernel = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD)
    with pytest.raises(
        ArtifactError, match=r"seed-0.initial is not prepared for this kernel; delete .*ntk.bands and rerun"
    ):
        kernel.compute(0)
    kernel.prepare()
    other = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD, code="another")
    with pytest.raises(ArtifactError, match="is not prepared for this kernel"):
        other.compute(0)


def test_preparing_again_keeps_what_is_there(tmp_path, trained):
    kernel = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD)
    kernel.prepare()
    kernel.compute(0)
    before = shards(kernel)
    kernel.prepare()
    assert shards(kernel) == before
    kernel.compute(1)
    kernel.assemble()
    kernel.prepare()
    assert kernel.assemble().stages("seed-0") == {"initial": 0, "final": 60}


# -- what is not assembled -------------------------------------------------------------------------------------------------


def lose(path: Path) -> None:
    path.unlink()


def spoil(value: float) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = bytearray(path.read_bytes())
        content[:8] = np.float64(value).tobytes()
        path.write_bytes(content)

    return change


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lose, r"shards that are missing: \(2, 1\) \(1 in all\)"),
        (spoil(float("nan")), r"shards that are not finite: \(2, 1\) \(1 in all\)"),
        (spoil(float("inf")), r"shards that are not finite: \(2, 1\) \(1 in all\)"),
        (spoil(1e3), r"shards that are not symmetric: \(2, 1\), \(1, 2\) \(2 in all\)"),
    ],
    ids=["missing", "NaN", "infinite", "not symmetric"],
)
def test_a_damaged_store_is_refused_and_mended_by_the_next_run(tmp_path, trained, damage, said):
    kernel = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD, at=["final"])
    compute_all(kernel)
    shard = kernel.manifest.with_suffix(".zarr") / "seed-0.final" / "kernel" / "c" / "2" / "1"
    damage(shard)
    with pytest.raises(ArtifactError, match=said + "; run the workflow again"):
        kernel.assemble()
    assert not kernel.manifest.exists() and not shard.exists()
    # The records are gone, so that a workflow computes the bands again: here by hand.
    assert not kernel.record("band-0").exists() and not kernel.record("band-1").exists()
    compute_all(kernel)
    whole = kernels(tmp_path, *trained, "whole", shard=SHARD, at=["final"])
    assert np.array_equal(kernel.assemble().matrix("seed-0", "final"), whole.matrix("seed-0", "final"))


def test_a_diagonal_tile_that_is_not_symmetric_is_refused(tmp_path, trained):
    kernel = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD, at=["final"])
    compute_all(kernel)
    unit = kernel.manifest.with_suffix(".zarr") / "seed-0.final" / "kernel" / "c"
    content = bytearray((unit / "0" / "0").read_bytes())
    content[8:16] = np.float64(-7.0).tobytes()  # entry (0, 1) alone
    (unit / "0" / "0").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"not symmetric: \(0, 0\) \(1 in all\)"):
        kernel.assemble()


def test_bands_of_another_kernel_and_missing_bands_are_refused(tmp_path, trained):
    kernel = banded_kernel(tmp_path, *trained, bands=2, shard=SHARD, at=["final"])
    compute_all(kernel)
    record = kernel.record("band-1")
    whole = record.read_text(encoding="utf-8")
    record.write_text(whole.replace(kernel.wanted.units[0].fingerprint, "0" * 64), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"band-1.json is the record of other kernels"):
        kernel.assemble()
    kernel.compute(0)
    record.write_text(whole.replace('"bands": 2', '"bands": 3'), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"are not those of all bands"):
        kernel.assemble()
    assert not kernel.manifest.exists()


# -- memory ----------------------------------------------------------------------------------------------------------------

#: A kernel of 256 MiB, from a few points that are repeated, by two bands; what the process holds beyond what it held before.
LARGE = """
import resource, sys, torch
from pathlib import Path
from lazyrich.artifacts import Unit
from lazyrich.kernels.shards import KernelShards
from lazyrich.tiling import Tiling

points = torch.randn(8192, 4, generator=torch.Generator().manual_seed(0))
tiling = Tiling(len(points), len(points), 1024, True)
gram = lambda rows, columns: (rows @ (rows if columns is None else columns).T).numpy()

def held():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

shards = KernelShards(Unit(Path(sys.argv[1]), "kernel", "fingerprint"), tiling)
shards.create("float32")
shards.write(tiling.tiles[:1], gram, points, None, lambda: None)
before = held()
for tiles in tiling.bands(2):
    shards.write(tiles, gram, points, None, lambda: None)
shards.verify()
print(held() - before)
"""


@pytest.mark.slow
def test_a_store_larger_than_the_memory_budget(tmp_path):
    """A matrix of 256 MiB is written and checked within 64 MiB: a few tiles of 4 MiB at a time."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts"), "OMP_NUM_THREADS": "1"}
    out = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path / "large.zarr")], env=environment, capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    size = sum(path.stat().st_size for path in (tmp_path / "large.zarr" / "kernel" / "kernel" / "c").rglob("*"))
    assert size > 256 * 2**20
    assert float(out.stdout) < 64, f"{out.stdout} MiB"
