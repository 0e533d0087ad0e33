"""Training sets with some or all labels permuted."""

import pytest
import torch

from lazyrich.datasets.reading import Split, labels_are_true, training_set

COUNT = 1000


def whole():
    """Samples that can be told apart: sample i has input i, label i mod 10 and target i."""
    number = torch.arange(2 * COUNT)
    return Split(number[:, None].float(), number[:, None].float(), number % 10)


def of(noise, labels="true", seed=0, experiment="noisy"):
    training = {"train_size": COUNT, "labels": labels, "label_noise": noise}
    return training_set(whole(), training, experiment, seed)


def moved(split):
    return split.targets[:, 0] != split.inputs[:, 0]


def test_without_noise_every_sample_keeps_its_label():
    assert not moved(of(0)).any()
    assert labels_are_true({"labels": "true", "label_noise": 0}) and labels_are_true({"labels": "true"})
    assert not labels_are_true({"labels": "true", "label_noise": 0.1})
    assert not labels_are_true({"labels": "shuffled", "label_noise": 0})


@pytest.mark.parametrize("noise", [0.1, 0.5, 1])
def test_the_share_of_labels_is_permuted_among_its_samples(noise):
    split = of(noise)
    assert torch.equal(split.inputs[:, 0], torch.arange(COUNT).float())  # inputs stay
    assert sorted(split.targets[:, 0].tolist()) == list(range(COUNT))  # as do the labels as a whole
    assert torch.equal(split.labels, split.targets[:, 0].long() % 10)  # labels and targets move together
    share = moved(split).sum().item()
    assert noise * COUNT - 15 <= share <= noise * COUNT  # a random permutation leaves about one where it is
    disturbed = moved(split).nonzero()[:, 0]
    assert set(split.targets[disturbed, 0].long().tolist()) == set(disturbed.tolist())


def test_a_smaller_share_is_part_of_a_larger_one():
    few, many = moved(of(0.2)), moved(of(0.6))
    assert (few & ~many).sum() <= 5  # but for those that a permutation leaves in place
    assert of(1).targets.ne(of(0.6).targets).sum() > COUNT / 3


def test_noise_depends_on_experiment_and_seed_alone():
    assert torch.equal(of(0.3).targets, of(0.3).targets)
    assert not torch.equal(of(0.3).targets, of(0.3, seed=1).targets)
    assert not torch.equal(of(0.3).targets, of(0.3, experiment="other").targets)


def test_of_shuffled_labels_all_are_permuted():
    assert moved(of(0, "shuffled")).sum() > COUNT - 15
