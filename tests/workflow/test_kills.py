"""Jobs killed in the middle: a rerun gives the same bits, and computes only what is missing."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from world import Command, World, job_process, wait_for

pytestmark = pytest.mark.slow

RUN = "results/runs/slow/base"
TILES = "results/kernels/slow/base/ntk.zarr"


def kill_the_job(command: Command, script: str) -> None:
    """SIGKILL to the job alone: Snakemake sees it fail, and ends."""
    job_process(command, script).kill()
    assert command.wait(60) != 0


def kill_everything(command: Command, script: str) -> None:
    """SIGKILL to the whole process group: nobody can tidy up, and Snakemake's lock stays."""
    job_process(command, script)
    command.kill_all()


KILLS = {"the job": kill_the_job, "everything": kill_everything}


@pytest.fixture(scope="module")
def undisturbed(slow_world: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The slow world, trained and with its kernels, nothing killed."""
    world = slow_world.copy(tmp_path_factory.mktemp("undisturbed") / "world")
    finished = world.run("--until", "kernel")
    assert finished.status == 0, finished.output
    return world


def arrays(world: World, manifest: str) -> dict[str, dict]:
    """The digests of every array of every unit."""
    entries = json.loads((world / manifest).read_text(encoding="utf-8"))["units"]
    return {name: entry["arrays"] for name, entry in entries.items()}


def attributes(unit: Path) -> dict:
    try:
        return json.loads((unit / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (FileNotFoundError, ValueError, KeyError):
        return {}


def complete(world: World) -> dict[str, dict]:
    """The attributes of the networks that are trained and stored."""
    found = {unit.name: attributes(unit) for unit in (world / RUN / "checkpoints.zarr").glob("*seed-*")}
    return {name: content for name, content in found.items() if content.get("complete")}


def history(world: World) -> list[str]:
    return sorted((world / RUN / "history.csv").read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_killed_training_goes_on_bit_for_bit(
    slow_world: World, undisturbed: World, tmp_path: Path, kill: Callable[[Command, str], None]
):
    world, resume = slow_world.copy(tmp_path / "world"), tmp_path / "world" / RUN / "resume.pt"
    with world.start("workflow_scripts/reproduce.py", "--until", "train") as command:
        wait_for(lambda: len(complete(world)) == 2, "the first group is trained")
        then = time.time_ns()
        wait_for(lambda: resume.exists() and resume.stat().st_mtime_ns > then, "the second group has saved its state")
        kill(command, "train.py")
    before = complete(world)
    assert len(before) == 2 and resume.exists() and not (world / RUN / "run.json").exists()

    finished = world.run("--until", "train")
    assert finished.status == 0, finished.output
    log = world.log("train/slow/base")
    assert "2 networks to train, 2 trained before" in log
    assert "going on from step " in log
    assert not resume.exists()
    assert arrays(world, f"{RUN}/run.json") == arrays(undisturbed, f"{RUN}/run.json")
    assert {"parameters", "steps", "history/train_loss"} <= set(next(iter(arrays(world, f"{RUN}/run.json").values())))
    assert history(world) == history(undisturbed)
    after = complete(world)
    assert {name: after[name] for name in before} == before, "what was trained before the kill was touched"


def test_a_training_killed_before_its_first_saved_state_starts_anew(
    slow_world: World, undisturbed: World, tmp_path: Path
):
    world = slow_world.copy(tmp_path / "world")
    world.edit("workflow_scripts/lazyrich/training/run.py", "SAVE_EVERY = 0.1", "SAVE_EVERY = 1000.0")
    with world.start("workflow_scripts/reproduce.py", "--until", "train") as command:
        wait_for((world / RUN / "history.csv").exists, "training has begun")
        kill_everything(command, "train.py")
    finished = world.run("--until", "train")
    assert finished.status == 0, finished.output
    assert arrays(world, f"{RUN}/run.json") == arrays(undisturbed, f"{RUN}/run.json")
    assert history(world) == history(undisturbed)


def tiles(world: World) -> dict[Path, int]:
    """The tiles that are there, each a file of its own, and when they were written."""
    while True:
        # A running job sets a store of other code aside: what is being listed may be gone, and then the list is made anew.
        with suppress(FileNotFoundError):
            found = (path for path in (world / TILES).glob("*/kernel/c/*/*") if path.name.isdigit())
            return {path.relative_to(world.root): path.stat().st_mtime_ns for path in found}


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_a_killed_kernel_job_computes_only_missing_tiles(
    undisturbed: World, tmp_path: Path, kill: Callable[[Command, str], None]
):
    world = undisturbed.copy(tmp_path / "world")
    (world / "results/kernels/slow/base/ntk.json").unlink()
    # The tiles of a tiny kernel take no time; this gives the kill time to strike. As the code is another, all are computed again.
    world.edit(
        "workflow_scripts/lazyrich/kernels/objects/empirical_ntk.py", "    return empirical_ntk(",
        "    open('computed', 'a').write('.')\n    __import__('time').sleep(0.05)\n    return empirical_ntk(",
    )  # fmt: skip
    everything = tiles(undisturbed)
    with world.start("workflow_scripts/reproduce.py", "--until", "kernel") as command:
        old = set(everything.values())
        wait_for(lambda: len(set(tiles(world).values()) - old) > 40, "two kernels and a part of the third")
        kill(command, "kernel.py")
    before = {path: written for path, written in tiles(world).items() if written not in old}
    assert 40 < len(before) < len(everything)
    counted = (world / "computed").stat().st_size

    finished = world.run("--until", "kernel")
    assert finished.status == 0, finished.output
    after = tiles(world)
    assert set(after) == set(everything)
    assert {path: after[path] for path in before} == before, "a tile that was there was written again"
    # Ten tiles a kernel (the lower half of four by four), eight kernels; at most the one that was being computed twice.
    assert counted >= 20
    assert (world / "computed").stat().st_size in (80, 81)
    manifest = "results/kernels/slow/base/ntk.json"
    assert arrays(world, manifest) == arrays(undisturbed, manifest)
