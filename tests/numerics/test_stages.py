"""The stages dataset and train on tiny runs: what is computed, what is left alone, and what a kill costs."""

import csv

import numpy as np
import pytest
import torch

from lazyrich.artifacts import read_unit
from lazyrich.training import run as training_run
from lazyrich.training.loop import Training
from lazyrich.training.members import build
from small_runs import (
    CHAIN,
    DIGITS,
    Killed,
    dataset,
    digests,
    measure,
    member_data,
    run_spec,
    seeds,
    train,
)

# -- datasets ------------------------------------------------------------------------------------------------------------


def test_more_draws_keep_those_that_exist(tmp_path):
    before = dataset(tmp_path)
    more = dataset(tmp_path, {**CHAIN, "draws": 4})
    assert list(more.manifest["units"]) == ["draw-0", "draw-1", "draw-2", "draw-3"]
    assert digests(before).items() <= digests(more).items()
    inputs = [more.split(seed, "train").inputs for seed in range(6)]
    assert torch.equal(inputs[0], inputs[4]) and not torch.equal(inputs[0], inputs[1])
    other = dataset(tmp_path, {**CHAIN, "rank": 4})
    assert not set(map(str, digests(other).values())) & set(map(str, digests(before).values()))


def test_a_dataset_says_what_it_holds(tmp_path):
    found = dataset(tmp_path, DIGITS)
    assert found.shape() == ((1, 8, 8), 10)
    split = found.split(1, "probe")
    assert split.inputs.shape == (24, 1, 8, 8) and split.labels.dtype == torch.int64
    group = read_unit(found.path, found.manifest, "draw-1")
    assert group["probe/inputs"].metadata.dimension_names == ("sample", "channel", "height", "width")


def test_a_dataset_that_is_not_finite_is_refused(tmp_path, monkeypatch):
    from lazyrich.datasets import chain_monomial

    draw = chain_monomial.generate
    monkeypatch.setattr(
        chain_monomial, "generate", lambda *a: {k: {n: v / 0 for n, v in s.items()} for k, s in draw(*a).items()}
    )
    with (
        pytest.raises(ValueError, match="dataset 'chain', split 'train': inputs holds values that are not finite"),
        np.errstate(all="ignore"),
    ):
        dataset(tmp_path)


# -- training ------------------------------------------------------------------------------------------------------------


def test_a_trained_run_reads_back(tmp_path):
    data = dataset(tmp_path)
    spec = run_spec(
        {"seed-0": {}, "gamma-0.5_seed-1": {"seed": 1, "axes": {"gamma": 0.5}, "set": {"model.gamma": 0.5}}},
        task="chain",
    )
    run = train(tmp_path, data, spec)
    name = "gamma-0.5_seed-1"
    assert run.members == ["seed-0", name] and run.seed(name) == 1 and run.model_spec(name)["gamma"] == 0.5
    assert run.axes(name) == {"task": "chain", "gamma": 0.5} and run.axes("seed-0") == {"task": "chain"}
    steps = run.info(name)["steps"]
    assert steps == [0, 1, 2, 5, 10, 20] and (run.step(name, "initial"), run.step(name, "final")) == (0, 20)
    fresh = build(run.model_spec(name), "experiment", 1, *data.shape())
    assert np.array_equal(
        run.parameters(name, 0), torch.nn.utils.parameters_to_vector(fresh.parameters()).detach().numpy()
    )
    history, member = run.history(name), member_data(run, data)[1]
    test = data.split(1, "test")
    error = float((member.outputs(20, test.inputs) - test.targets).square().mean())
    assert history["step"][-1] == 20 and history["test_loss"][-1] == pytest.approx(error, rel=1e-5)
    assert run.info(name)["final"]["test_loss"] == history["test_loss"][-1]
    with pytest.raises(ValueError, match=r"has no checkpoint at step 3; it has \[0, 1, 2"):
        run.parameters(name, 3)


def test_more_seeds_and_axes_leave_what_is_trained_alone(tmp_path):
    data = dataset(tmp_path)
    before = train(tmp_path, data, run_spec(seeds(2)))
    axes = {f"gamma-{gamma}_seed-0": {"axes": {"gamma": gamma}, "set": {"model.gamma": gamma}} for gamma in (0.5, 2)}
    old = {name: {**entry, "axes": {"gamma": 1}} for name, entry in seeds(3).items()}
    after = train(tmp_path, data, run_spec({**old, **axes}))
    assert digests(before).items() <= digests(after).items() and len(after.members) == 5
    # The axis is new, and holds for those that were trained before it.
    assert [after.axes(name)["gamma"] for name in after.members] == [1, 1, 1, 0.5, 2]
    back = train(tmp_path, data, run_spec(seeds(2)))
    assert digests(back) == digests(before)


def test_going_back_to_an_earlier_training_trains_nothing(tmp_path, monkeypatch):
    data = dataset(tmp_path)
    first = train(tmp_path, data, run_spec(seeds(2)))
    text = first.path.read_text()
    other = train(tmp_path, data, run_spec(seeds(2), training={"learning_rate": 0.2}))
    assert not set(map(str, digests(first).values())) & set(map(str, digests(other).values()))
    monkeypatch.setattr(Training, "advance", None)
    assert train(tmp_path, data, run_spec(seeds(2))).path.read_text() == text


def history_file(run):
    with (run.path.parent / "history.csv").open() as handle:
        return list(csv.DictReader(handle))


MIXED = {
    **{f"seed-{seed}": {"seed": seed} for seed in range(3)},
    "large_seed-0": {"set": {"model.width": 256}},  # alone
    "lr_seed-0": {"set": {"training.learning_rate": 0.3}},  # a second stack
}


def compare(run, reference):
    assert {name: arrays for name, (arrays, _) in digests(run).items()} == {
        n: a for n, (a, _) in digests(reference).items()
    }
    for name in reference.members:
        assert run.info(name) == reference.info(name)
        group = read_unit(run.path, run.manifest, name)
        assert group["parameters"].shape[0] == group["steps"].shape[0] == len(reference.info(name)["steps"])
    written = history_file(run)
    assert sorted(map(str, written)) == sorted(map(str, history_file(reference)))
    assert not list(run.path.parent.glob("*.pt"))


@pytest.mark.parametrize("kill_at", [19, 27, 46])
def test_a_killed_training_goes_on_and_is_bit_identical(tmp_path, monkeypatch, kill_at):
    """Killed at the ``kill_at``-th step of the run; the last state saved is two steps older, checkpoints lie beyond it."""
    spec = run_spec(MIXED, training={"check_every": 1})
    data = dataset(tmp_path)
    (tmp_path / "whole").mkdir()
    reference = train(tmp_path / "whole", data, spec)
    advance, save, taken = Training.advance, training_run._save, []

    def counted(self):
        taken.append(self.step)
        if len(taken) == kill_at:
            raise Killed
        advance(self)

    monkeypatch.setattr(Training, "advance", counted)
    monkeypatch.setattr(training_run, "_save", lambda state, path: save(state, path) if len(taken) % 3 == 1 else None)
    with pytest.raises(Killed):
        train(tmp_path, data, spec, save_every=0)
    before = len(taken)
    run = train(tmp_path, data, spec, save_every=0)
    compare(run, reference)
    assert len(taken) - before <= 63 - kill_at + 3  # of the 3 groups' 21 each, at most 3 again


@pytest.mark.parametrize("stored", [0, 1, 2])
def test_a_kill_while_results_are_stored_costs_no_training(tmp_path, monkeypatch, stored):
    """Some of a stack are stored already: the others are not trained from the start, and the stack is what it was."""
    spec, data = run_spec(seeds(3)), dataset(tmp_path)
    reference = train(tmp_path / "whole", data, spec)
    finish, calls = training_run._finish, []

    def killed(*arguments):
        if len(calls) == stored:
            raise Killed
        calls.append(arguments)
        finish(*arguments)

    monkeypatch.setattr(training_run, "_finish", killed)
    with pytest.raises(Killed):
        train(tmp_path, data, spec, save_every=0)
    monkeypatch.setattr(training_run, "_finish", finish)
    advance, taken = Training.advance, []
    monkeypatch.setattr(Training, "advance", lambda self: (taken.append(self.step), advance(self)))
    compare(train(tmp_path, data, spec), reference)
    assert min(taken) > 15


@pytest.mark.parametrize("content", [b"", b"half a file", b"other"])
def test_a_state_that_is_damaged_or_of_other_networks_is_left_aside(tmp_path, content):
    spec, data = run_spec(seeds(2)), dataset(tmp_path)
    reference = train(tmp_path / "whole", data, spec)
    (tmp_path / "run").mkdir()
    path = tmp_path / "run" / "resume.pt"
    if content == b"other":
        torch.save({"members": ["somebody else's"], "training": {}}, path)
    else:
        path.write_bytes(content)
    compare(train(tmp_path, data, spec), reference)


def test_true_and_shuffled_labels_start_from_the_same_weights_with_equal_marginals(tmp_path):
    data = dataset(tmp_path, DIGITS)
    spec = run_spec({"seed-0": {}, "labels-shuffled_seed-0": {"set": {"training.labels": "shuffled"}}})
    run = train(tmp_path, data, spec)
    assert np.array_equal(*(run.parameters(name, 0) for name in run.members))
    true, shuffled = (member.train for member in member_data(run, data))
    assert torch.equal(true.labels.bincount(minlength=10), shuffled.labels.bincount(minlength=10))
    assert torch.equal(true.inputs, shuffled.inputs) and not torch.equal(true.labels, shuffled.labels)


def test_no_global_random_state_is_touched(tmp_path):
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(2), training={"labels": "shuffled"}))
    measure(tmp_path, {"neural_feature_ansatz": {"layers": [0], "null_rotations": 2}}, member_data(run, data)[:1])
    assert torch.equal(before[0], torch.get_rng_state()) and np.array_equal(before[1], np.random.get_state()[1])
