"""Splits that stay in memory: read once, bounded, and never written by those who share them."""

import pytest
import torch

from lazyrich.datasets import reading
from lazyrich.datasets.reading import training_set
from small_runs import TRAINING, dataset, kernels, measure, member_data, run_spec, seeds, train

CIRCLE = [(seed, name) for seed in (0, 1) for name in ("train", "test", "probe")]


@pytest.fixture
def data(tmp_path):
    return dataset(tmp_path)


@pytest.fixture
def reads(monkeypatch):
    """Every (draw, split) that is read from disk."""
    found = []
    original = reading.Dataset._read

    def counted(self, unit, name):
        found.append((unit, name))
        return original(self, unit, name)

    monkeypatch.setattr(reading.Dataset, "_read", counted)
    return found


def test_each_split_of_a_draw_is_read_once(data, reads):
    for _ in range(3):
        for seed, name in CIRCLE:
            split = data.split(seed, name)
            assert split is data.split(seed + 2, name)  # two draws
    assert sorted(reads) == sorted((f"draw-{seed}", name) for seed, name in CIRCLE)
    assert not torch.equal(data.split(0, "test").inputs, data.split(1, "test").inputs)


def test_what_is_kept_is_bounded_and_the_split_read_last_always_kept(data, reads, monkeypatch):
    nbytes = data.split(0, "train").nbytes
    assert nbytes == 48 * (8 + 1) * 4
    monkeypatch.setattr(reading, "KEPT_BYTES", 2 * nbytes)
    for seed in (1, 0):
        data.split(seed, "train")
    assert len(reads) == 2  # both fit
    data.split(0, "test")  # and push out the one asked for longest ago: that of draw 1
    data.split(0, "train")
    assert len(reads) == 3
    data.split(1, "train")
    assert reads[3:] == [("draw-1", "train")]
    monkeypatch.setattr(reading, "KEPT_BYTES", 0)
    data.split(1, "probe")
    data.split(1, "probe")
    assert reads[4:] == [("draw-1", "probe")]


def test_nothing_that_reads_a_split_writes_into_it(tmp_path, data):
    before = {key: data.split(*key) for key in CIRCLE}
    copies = {key: (split.inputs.clone(), split.targets.clone()) for key, split in before.items()}
    run = train(tmp_path, data, run_spec(seeds(2), model={"centered": False}, training={"labels": "shuffled"}))
    stored = kernels(tmp_path, run, data, rows={"train": 24, "test": 16})
    gap = {"closed_form": True, "kernel": "ntk", "epsilon": 0.1}
    metrics = {"test_error": {}, "ntk_strength": {"kernel": "ntk"}, "feature_learning_gap": gap, "feature_quality": {}}
    measure(tmp_path, metrics, member_data(run, data, stored))
    shuffled = training_set(data.split(0, "train"), {**TRAINING, "labels": "shuffled"}, "experiment", 0)
    assert not torch.equal(shuffled.targets, copies[0, "train"][1][:24])
    for key, (inputs, targets) in copies.items():
        split = data.split(*key)
        assert split is before[key]
        assert torch.equal(split.inputs, inputs) and torch.equal(split.targets, targets)
