"""Worlds to change: one completed run a session, copied for each test that changes something."""

import shutil
from pathlib import Path

import pytest
from world import World

SLOW = "config/experiments/one2024.yaml"


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world in which everything has been run once. Only to be read and copied."""
    world = World.new(tmp_path_factory.mktemp("first") / "world")
    finished = world.run()
    assert finished.status == 0, finished.output
    return world


@pytest.fixture
def done_world(first_run: World, tmp_path: Path) -> World:
    """A copy of the completed world, for one test."""
    return first_run.copy(tmp_path / "world")


@pytest.fixture(scope="session")
def slow_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world with one slow experiment (slow.yaml), not run yet, whose trainings save their state ten times a second."""
    world = World.new(tmp_path_factory.mktemp("slow") / "world")
    for path in (world / "config/experiments").iterdir():
        path.unlink()
    shutil.copy2(Path(__file__).parent / "slow.yaml", world / SLOW)
    world.edit(
        "config/datasets.yaml", "order: 2, train: 32, test: 32, probe: 16", "order: 2, train: 32, test: 32, probe: 64"
    )
    world.edit("workflow_scripts/lazyrich/training/run.py", "SAVE_EVERY = 10.0", "SAVE_EVERY = 0.1")
    return world
