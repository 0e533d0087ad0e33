"""A kernel that is too large for one job: what runs, what a kill costs, what the number of bands changes."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from world import PATIENCE, World, job_process, wait_for

from lazyrich.configuration import load
from lazyrich.datasets.reading import Dataset
from lazyrich.fingerprints import WITHOUT_INFLUENCE, first_party
from lazyrich.plan import KERNEL_SCRIPTS, Plan
from lazyrich.plugins import module_name
from lazyrich.training.reading import TrainedRun
from small_runs import kernels

pytestmark = pytest.mark.slow

EXPERIMENT = "config/experiments/one2024.yaml"
KERNEL = "results/kernels/large/base/ntk"
BANDS = {"kernel_band large/base/ntk/0", "kernel_band large/base/ntk/1"}

#: Added to the kernel object, so that a kill strikes in the middle of a band, and what is computed is counted.
SLOWLY = """

_compute = compute


def compute(*arguments):
    open("computed", "a").write(".")
    __import__("time").sleep(0.05)
    return _compute(*arguments)
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with one experiment (bands.yaml), run but for its kernels, that is killed in a band and run to its end."""
    world = World.new(tmp_path_factory.mktemp("bands") / "world")
    for path in (world / "config/experiments").iterdir():
        path.unlink()
    shutil.copy2(Path(__file__).parent / "bands.yaml", world / EXPERIMENT)
    world.edit(
        "config/datasets.yaml", "order: 2, train: 32, test: 32, probe: 16", "order: 2, train: 32, test: 32, probe: 64"
    )
    with (world / "workflow_scripts/lazyrich/kernels/objects/empirical_ntk.py").open("a", encoding="utf-8") as file:
        file.write(SLOWLY)
    return world


def shards(world: World) -> dict[Path, int]:
    """The shards of all kernels, and when they were written."""
    found = ((world / KERNEL).with_suffix(".zarr")).glob("*/kernel/c/*/*")
    return {path: path.stat().st_mtime_ns for path in found if path.name.isdigit()}


def computed(world: World) -> int:
    return (world / "computed").stat().st_size


def test_bands_are_jobs_and_a_killed_one_computes_only_missing_tiles(world: World, tmp_path: Path):
    kernel = {"kernel_store large/base/ntk", *BANDS, "kernel large/base/ntk"}
    small = "results/kernels/large/base/conjugate.json"
    everything = {"dataset steps", "train large/base", *kernel, "kernel large/base/conjugate"}
    assert world.dry_run(f"{KERNEL}.json", small) == everything, "bands for the large kernel alone"
    command = ("-m", "snakemake", "--cores", "1", f"{KERNEL}.json")
    with world.start(*command) as started:
        wait_for(lambda: len(shards(world)) > 20, "a part of the first band", PATIENCE)
        job_process(started, "kernel_band.py").kill()
        assert started.wait(PATIENCE) != 0
    before = shards(world)
    # Four kernels of four by four shards, of which the band that was killed has about the half.
    assert 20 < len(before) < 64 and not (world / f"{KERNEL}.json").exists()

    finished = world.python(*command)
    assert finished.status == 0, finished.output
    after = shards(world)
    assert len(after) == 64
    assert {path: after[path] for path in before} == before, "a shard that was there was written again"
    # The lower half of four by four tiles, four kernels; at most the one that was being computed twice.
    assert computed(world) in (40, 41)
    assert not (world / f"{KERNEL}.bands").exists() or not list((world / f"{KERNEL}.bands").iterdir())

    run, data = TrainedRun(world / "results/runs/large/base/run.json"), Dataset(world / "results/datasets/steps.json")
    options = json.loads((world / f"{KERNEL}.json").read_text(encoding="utf-8"))["spec"]
    whole = kernels(tmp_path, run, data, **options)
    assert arrays(world) == {name: unit["arrays"] for name, unit in whole.manifest["units"].items()}


def arrays(world: World) -> dict[str, dict]:
    units = json.loads((world / f"{KERNEL}.json").read_text(encoding="utf-8"))["units"]
    return {name: unit["arrays"] for name, unit in units.items()}


def test_another_number_of_bands_computes_nothing(world: World):
    assert world.dry_run(f"{KERNEL}.json") == set()
    before, manifest, count = shards(world), (world / f"{KERNEL}.json").read_bytes(), computed(world)
    world.edit(EXPERIMENT, "band: 32", "band: 24")
    three = {"kernel_store large/base/ntk", *BANDS, "kernel_band large/base/ntk/2", "kernel large/base/ntk"}
    assert world.dry_run(f"{KERNEL}.json") == three
    world.edit(EXPERIMENT, "band: 24", "band: null")
    assert world.dry_run(f"{KERNEL}.json") == {"kernel large/base/ntk"}
    finished = world.python("-m", "snakemake", f"{KERNEL}.json")
    assert finished.status == 0, finished.output
    assert "0 kernels to compute, 4 computed before" in world.log("kernel/large/base/ntk")
    assert (shards(world), (world / f"{KERNEL}.json").read_bytes(), computed(world)) == (before, manifest, count)


def test_the_code_digest_of_kernels_covers_all_that_their_jobs_imported(world: World):
    covered = {
        name
        for script in KERNEL_SCRIPTS
        for name in first_party(script, (module_name("kernels", "empirical_ntk"), module_name("models", "mlp")))
    }
    records = [*(world / "results/logs").glob("kernel*/**/*.job.json")]
    jobs = [json.loads(path.read_text(encoding="utf-8")) for path in records]
    assert {record["job"]["script"] for record in jobs} == set(KERNEL_SCRIPTS)
    for record in jobs:
        imported = set(record["modules"]) - WITHOUT_INFLUENCE - {"lazyrich.fingerprints"}
        assert imported <= covered, record["job"]["title"]
    assert len({record["job"]["code"] for record in jobs}) == 1


def test_memory_and_time_grow_with_the_kernel_and_with_the_attempt(world: World):
    def plan(**options: object) -> Plan:
        kernel = {"rows": {"probe": 64}, "shard": 16, "band": 32, **options}
        return Plan(load(world.root, {"experiments": {"large": {"kernels": {"ntk": kernel}}}}), world.root)

    job = SimpleNamespace(experiment="large", run="base", kernel="ntk", band="0")
    small, large = plan(), plan(shard=16384)
    assert small.resources.kernel_memory(job, 1) < 5000 < 10_000 < large.resources.kernel_memory(job, 1) < 15_000
    assert [small.resources.kernel_memory(job, attempt) for attempt in (1, 2)] == [4000, 8000]
    assert [small.resources.kernel_runtime(job, attempt) for attempt in (1, 2)] == [120, 240]
