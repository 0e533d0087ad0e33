"""Which samples a step sees with which labels, and which networks are trained as one stack."""

import math

import numpy as np
import pytest
import torch

from lazyrich.datasets.reading import training_set
from lazyrich.training.batches import BLOCK, Batches
from lazyrich.training.members import Member, stacks
from small_runs import TRAINING, finish, network, samples


@pytest.mark.parametrize(("count", "batch"), [(24, 8), (25, 8), (7, 7), (BLOCK + 5, 4096), (1, 1)])
def test_an_epoch_sees_every_sample_at_most_once(count, batch):
    batches = Batches(count, batch, "e", 0)
    for epoch in range(3):
        steps = count // batch
        seen = torch.cat([batches.indices(epoch * steps + step) for step in range(steps)])
        assert len(seen) == steps * batch == len(seen.unique()) and seen.min() >= 0 and seen.max() < count


def test_batches_are_a_function_of_experiment_seed_and_step():
    first = Batches(50, 10, "e", 0)
    in_order = [first.indices(step).clone() for step in range(2000)]
    again = Batches(50, 10, "e", 0)
    for step in (1999, 3, 700, 0):
        assert torch.equal(again.indices(step), in_order[step])
    assert not torch.equal(in_order[0], in_order[5])  # the next epoch
    assert not torch.equal(in_order[0], Batches(50, 10, "e", 1).indices(0))
    assert not torch.equal(in_order[0], Batches(50, 10, "f", 0).indices(0))


def test_permutations_are_uniform():
    batches = Batches(4, 4, "e", 0)
    counts = np.zeros((4, 4))
    for epoch in range(4000):
        counts[torch.arange(4), batches.indices(epoch)] += 1
    assert np.abs(counts / 4000 - 0.25).max() < 5 * math.sqrt(0.25 * 0.75 / 4000)


def test_stacks_hold_small_networks_of_one_kind():
    def member(name, **training):
        return Member(name, "e", 0, {}, {"width": 4}, {**TRAINING, **training}, name)

    found = [
        member("a"), member("b", train_size=100), member("c", labels="shuffled"), member("d", train_size=4),
        member("e", learning_rate=0.2), member("f", batch_size="full"), member("large"), member("large too"),
    ]  # fmt: skip
    limits = {one.name: 1 if one.name.startswith("large") else 64 for one in found}
    assert [[one.name for one in group] for group in stacks(found, limits)] == [
        ["a", "b", "c"], ["d"], ["e"], ["f"], ["large"], ["large too"],
    ]  # fmt: skip
    many = [member(str(number)) for number in range(130)]
    for limit, lengths in ((64, [64, 64, 2]), (100, [100, 30]), (1, [1] * 130)):
        assert [len(group) for group in stacks(many, {one.name: limit for one in many})] == lengths


def test_shuffled_labels_keep_the_marginals_and_the_initial_weights():
    whole = samples(64, (5,), 3, seed=0)
    true = training_set(whole, {"train_size": 40, "labels": "true"}, "e", 1)
    shuffled = training_set(whole, {"train_size": 40, "labels": "shuffled"}, "e", 1)
    assert torch.equal(true.inputs, shuffled.inputs) and torch.equal(true.inputs, whole.inputs[:40])
    assert torch.equal(true.labels.sort().values, shuffled.labels.sort().values) and not torch.equal(
        true.labels, shuffled.labels
    )
    assert torch.equal(shuffled.targets.argmax(dim=1), shuffled.labels)  # targets and labels move together
    again = training_set(whole, {"train_size": 40, "labels": "shuffled"}, "e", 1)
    assert torch.equal(shuffled.labels, again.labels)
    assert not torch.equal(
        shuffled.labels, training_set(whole, {"train_size": 40, "labels": "shuffled"}, "e", 2).labels
    )
    start = [
        finish([network(1, {}, {"labels": labels, "max_steps": 1})])[0].checkpoints[0][1]
        for labels in ("true", "shuffled")
    ]
    assert torch.equal(*start)
