"""Datasets that are made from files: found, verified, watched for changes; and what the user sees if they are not there."""

import gzip
import hashlib
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from world import World

from lazyrich.configuration import load
from lazyrich.fingerprints import WITHOUT_INFLUENCE, first_party
from lazyrich.plan import Plan

pytestmark = pytest.mark.slow

OVERLAY = Path(__file__).parent / "files.yaml"
DATA = ("--config", "data=data", "offline=true")
#: The experiment on each dataset, and what follows from its metrics.
CHAIN = {"own": "on_own/base", "pictures": "on_pictures/base"}


def images(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (40, 6, 6), dtype=np.uint8)


def write_pictures(folder: Path, seed: int = 0) -> dict[str, str]:
    """A file of images and one of labels in MNIST's format; their digests."""
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.arange(40, dtype=np.uint8) % 10
    digests = {}
    for name, array in (("IMAGES", images(seed)), ("LABELS", labels)):
        head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        content = gzip.compress(head + array.tobytes(), mtime=0)
        (folder / f"{name.lower()}.gz").write_bytes(content)
        digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def write_own(path: Path, seed: int = 0) -> None:
    random = np.random.default_rng(seed)
    np.savez(path, inputs=random.normal(size=(30, 3)), targets=random.normal(size=30))


@pytest.fixture
def world(first_run: World, tmp_path: Path) -> World:
    """The completed world, with the overlay and its files."""
    world = first_run.copy(tmp_path / "world")
    text = OVERLAY.read_text(encoding="utf-8")
    for name, digest in write_pictures(world / "data" / "pictures").items():
        text = text.replace(name, digest)
    (world / "files.yaml").write_text(text, encoding="utf-8")
    write_own(world / "own.npz")
    return world


def run(world: World, *targets: str):
    return world.run(*targets, "--configfile", "files.yaml", *DATA)


def dry_run(world: World) -> set[str]:
    return world.dry_run("training", "--configfile", "files.yaml", *DATA) - {"training"}


def test_files_are_found_verified_and_watched(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LAZYRICH_DATA", raising=False)
    finished = run(world, "training")
    assert finished.status == 0, finished.output
    record = json.loads((world / "results/downloads/pictures.json").read_text())["files"]
    assert {entry["path"] for entry in record.values()} == {"data/pictures/images.gz", "data/pictures/labels.gz"}
    manifest = json.loads((world / "results/datasets/pictures.json").read_text())
    (unit,) = manifest["units"].values()
    assert unit["info"]["files"] == {name: entry["sha256"] for name, entry in record.items()}
    assert unit["info"]["classes"] == list("0123456789") and manifest["input_shape"] == [1, 6, 6]
    assert dry_run(world) == set()

    # another file of one's own: its dataset alone, and what follows from it
    write_own(world / "own.npz", seed=1)
    assert dry_run(world) == {"download own", "dataset own", "train on_own/base"}
    before = json.loads((world / "results/datasets/own.json").read_text())["units"]["draw-0"]
    assert run(world, "training").status == 0
    after = json.loads((world / "results/datasets/own.json").read_text())["units"]["draw-0"]
    assert after["fingerprint"] != before["fingerprint"]
    assert after["arrays"]["train/inputs"]["sha256"] != before["arrays"]["train/inputs"]["sha256"]

    # the folder of the files elsewhere: where they lie decides nothing
    (world / "data").rename(world / "moved")
    assert world.dry_run("datasets", "--configfile", "files.yaml", "--config", "data=moved", "offline=true") == set()
    covered = first_party("download.py", ("lazyrich.datasets.mnist",))
    job = json.loads((world / "results/logs/download/pictures.job.json").read_text())
    assert set(job["modules"]) - set(covered) - WITHOUT_INFLUENCE - {"lazyrich.fingerprints"} == set()
    plan = Plan(load(world.root), world.root)
    assert plan.datasets.data == ""  # no setting of this machine in the plan


def test_a_missing_file_ends_in_a_message_that_says_where_to_put_it(world: World):
    (world / "data/pictures/labels.gz").unlink()
    finished = run(world, "datasets")
    assert finished.status != 0 and "Traceback" not in finished.output
    assert "download pictures: FAILED" in finished.output
    assert "data/pictures/labels.gz" in finished.output
    assert not (world / "results/datasets/pictures.json").exists()
    assert (world / "results/datasets/own.json").exists()  # what does not need it goes on
    write_pictures(world / "data/pictures")
    mended = run(world, "datasets")
    assert mended.status == 0, mended.output


def test_another_file_under_the_name_of_the_one_asked_for_is_refused(world: World):
    write_pictures(world / "data/pictures", seed=1)
    finished = run(world, "datasets")
    assert finished.status != 0 and "Traceback" not in finished.output
    assert "data/pictures/images.gz" in finished.output and "sha256" in finished.output.lower()
    assert not (world / "results/datasets/pictures.json").exists()


def test_a_file_that_changes_after_it_was_found_is_not_read(world: World):
    assert run(world, "results/downloads/pictures.json").status == 0
    write_pictures(world / "data/pictures", seed=1)
    finished = run(world, "datasets")
    assert finished.status != 0 and "Traceback" not in finished.output
    assert "delete results/downloads/pictures.json and rerun" in finished.output


def test_offline_says_which_official_files_to_place_where(world: World):
    text = (world / "files.yaml").read_text()
    (world / "files.yaml").write_text(text.replace(text[text.index(", files:") : text.index("}}}") + 2], ""))
    finished = run(world, "datasets")
    assert finished.status != 0 and "Traceback" not in finished.output
    for name in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        assert f"resources/downloads/mnist/{name}" in finished.output, finished.output
    assert "offline" in finished.output and "f68b3c2dcbeaaa9fbdd348bbdeb94873" in finished.output
