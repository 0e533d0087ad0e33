"""One run at a time; a lock is respected as long as its holder lives, and no longer."""

import time
from base64 import b64encode
from pathlib import Path

import psutil
import pytest
from world import Command, World, family, job_process, wait_for

pytestmark = pytest.mark.slow

HISTORY = "results/runs/slow/base/history.csv"


@pytest.fixture
def endless_world(slow_world: World, tmp_path: Path) -> World:
    """A world whose training outlasts every test."""
    world = slow_world.copy(tmp_path / "world")
    world.edit("config/experiments/one2024.yaml", "max_steps: 3000", "max_steps: 10000000")
    return world


def training(world: World, *command: str) -> Command:
    """Start a run and wait until its training has begun, and is all that still runs: the figure of the datasets does not wait for it."""
    started = world.start(*command)
    try:
        wait_for((world / HISTORY).exists, "training has begun")
        wait_for(lambda: _drawn(world), "the figure of the datasets is drawn")
    except AssertionError:
        started.kill_all()
        raise AssertionError(started.output) from None
    return started


def _drawn(world: World) -> bool:
    """Whether the figure of the datasets is there, and Snakemake has written all that it has to say of it.

    Snakemake dates the files of a job anew when it takes note of its end, which on a busy machine can be seconds after they appeared.
    """
    noted = world / ".snakemake/metadata" / b64encode(b"results/figures/datasets.png").decode()
    before = snapshot(world)
    time.sleep(1)
    return noted in before and snapshot(world) == before


def snapshot(world: World) -> dict[Path, int]:
    """When each file was changed, but for those that the training itself writes."""
    paths = (
        path
        for path in world.root.rglob("*")
        if path.is_file() and not {"runs", "__pycache__"} & set(path.parts) and "/logs/train/" not in path.as_posix()
    )
    return {path: path.stat().st_mtime_ns for path in paths}


def test_a_second_run_ends_at_once_and_changes_nothing(endless_world: World):
    with training(endless_world, "workflow_scripts/reproduce.py") as first:
        before = snapshot(endless_world)
        second = endless_world.run()
        assert second.status == 4
        assert "Another run is writing results/" in second.output and "nothing was changed" in second.output
        assert first.poll() is None
        job_process(first, "train.py")
        assert snapshot(endless_world) == before


def test_a_living_snakemake_is_respected(endless_world: World):
    with training(endless_world, "-m", "snakemake", "--quiet", "all") as snakemake:
        before = snapshot(endless_world)
        finished = endless_world.run()
        assert finished.status == 4
        assert f"Snakemake is running in this folder (process {snakemake.pid}" in finished.output
        assert snakemake.poll() is None
        after = snapshot(endless_world)
        assert {path: after.get(path) for path in before} == before


def test_a_job_ends_with_its_workflow_and_the_lock_is_released(endless_world: World):
    with training(endless_world, "workflow_scripts/reproduce.py") as command:
        job = job_process(command, "train.py")
        for process in family(command):
            if process.pid != job.pid:
                process.kill()
        command.wait()
        assert any((endless_world / ".snakemake/locks").iterdir())
        wait_for(lambda: not job.is_running() or job.status() == psutil.STATUS_ZOMBIE, "the orphaned job ends", 5)
        assert "the workflow (process" in endless_world.log("train/slow/base")
    # Nobody is left, so the next run takes the folder over.
    finished = endless_world.run("--until", "dataset")
    assert finished.status == 0, finished.output
    assert "An earlier run was killed; taking up its work." in finished.output
    assert not list((endless_world / ".snakemake").glob("locks/*"))
