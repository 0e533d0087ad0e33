"""Training against plain loops, alone against in company, in one go against killed at every step."""

import dataclasses
import io
import math

import pytest
import torch

from lazyrich.datasets.reading import Split
from lazyrich.models.parametrization import learning_rate_scale
from lazyrich.models.state import flatten_parameters
from lazyrich.training.batches import Batches
from lazyrich.training.loop import Training
from lazyrich.training.objective import schedule
from lazyrich.training.steps import logarithmic
from small_runs import TRAINING, finish, network

CPU = torch.device("cpu")
CNN = {"architecture": "cnn", "width": 4, "gamma": 0.5}
RESNET = {"architecture": "resnet", "width": 2, "hidden_layers": 1, "bias": True}
VIT = {"architecture": "vit", "width": 8, "heads": 2, "hidden_layers": 1, "bias": True}


def same(left, right):
    """The same, bit for bit: history, status and every checkpoint."""
    return (
        repr(left.rows) == repr(right.rows)
        and (left.status, left.steps) == (right.status, right.steps)
        and all(
            a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in zip(left.checkpoints, right.checkpoints, strict=True)
        )
    )


# -- company -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize(
    ("model", "input_shape", "outputs"),
    [
        ({}, (6,), 1),
        ({"bias": True, "width": 24, "activation": "tanh"}, (20,), 3),
        ({"bias": True, "width": 64, "activation": "gelu", "hidden_layers": 3}, (20,), 1),
        ({"width": 256, "centered": False}, (20,), 1),
        (CNN, (1, 8, 8), 10),
    ],
    ids=["mlp", "mlp with biases", "deeper mlp", "wide mlp", "cnn"],
)
def test_the_company_changes_no_bit(model, input_shape, outputs, optimizer, precision):
    training = {
        "optimizer": optimizer,
        "precision": precision,
        "learning_rate": 0.01 if optimizer == "adam" else 0.1,
        "max_steps": 8,
    }

    def member(seed):
        return network(seed, model, training, input_shape, outputs)

    alone = {seed: finish([member(seed)])[0] for seed in range(5)}
    for company in ([0, 1], [4, 2, 0], [0, 1, 2, 3, 4]):
        for found in finish([member(seed) for seed in company]):
            assert same(found, alone[found.member.seed]), f"seed {found.member.seed} in {company}"


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_members_that_see_other_data_and_stop_at_other_steps_change_no_bit(optimizer):
    common = {
        "optimizer": optimizer,
        "learning_rate": 0.01 if optimizer == "adam" else 0.5,
        "max_steps": 60,
        "check_every": 1,
    }
    own = [
        {"train_size": 8}, {"train_size": 16, "labels": "shuffled"}, {"train_size": 24}, {"train_size": 60}, {"train_size": 9},
    ]  # fmt: skip
    plain = finish([network(0, {}, {**common, **changes}) for changes in own])
    # A target that some reach early, some late, some never.
    target = sorted(found.rows[-1][1] for found in plain)[2] * 1.05

    def members():
        return [network(seed, {}, {**common, **changes, "stop_train_loss": target}) for seed, changes in enumerate(own)]

    together, alone = finish(members()), [finish([found])[0] for found in members()]
    ends = [found.steps[-1] for found in together]
    assert len(set(ends)) > 2 and {"converged", "finished"} == {found.status for found in together}
    for first, second in zip(together, alone, strict=True):
        assert same(first, second)


# -- plain loops -----------------------------------------------------------------------------------------------------------


def plain_loop(found, input_shape, outputs):
    """What training should do, one module at a time, with the optimisers of torch."""
    training, model = found.member.training, found.member.model
    start = network(found.member.seed, model, training, input_shape, outputs)
    module, data = start.module.double(), start.train.to(CPU, torch.float64)
    with torch.no_grad():
        offset = module(data.inputs) if model["centered"] else torch.zeros(())
    rate = training["learning_rate"]
    if training["optimizer"] != "adam":
        rate *= learning_rate_scale(model, module)
    options = {"lr": rate, "weight_decay": training["weight_decay"]}
    if training["optimizer"] == "adam":
        optimizer = torch.optim.Adam(module.parameters(), **options)
    else:
        optimizer = torch.optim.SGD(
            module.parameters(),
            momentum=training["momentum"] if training["optimizer"] == "momentum" else 0.0,
            **options,
        )
    order = Batches(
        len(data.targets), min(training["train_size"], training["batch_size"]), "experiment", found.member.seed
    )
    for step in range(training["max_steps"]):
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(training, step)
        chosen = order.indices(step)
        error = module(data.inputs[chosen]) - (offset[chosen] if model["centered"] else 0)
        if training["loss"] == "mse":
            loss = torch.nn.functional.mse_loss(error, data.targets[chosen])
        else:
            loss = torch.nn.functional.cross_entropy(error, data.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return flatten_parameters(module)


PLAIN = [
    {"optimizer": "sgd"},
    {"optimizer": "sgd", "weight_decay": 0.05, "schedule": "linear", "warmup_steps": 5},
    {"optimizer": "momentum", "momentum": 0.7, "schedule": "cosine"},
    {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.01},
    {"optimizer": "momentum", "loss": "cross_entropy"},
    {"optimizer": "sgd", "learning_rate_scaling": "function_space", "train_size": 5},
]


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("changes", PLAIN, ids=lambda changes: " ".join(map(str, changes.values())))
@pytest.mark.parametrize(
    ("model", "input_shape"),
    [({"gamma": 0.5}, (6,)), ({**CNN, "centered": False}, (1, 8, 8)), (RESNET, (1, 4, 4)), (VIT, (1, 4, 4))],
    ids=["mlp", "cnn", "resnet", "vit"],
)
def test_equals_a_plain_loop(model, input_shape, changes, stacked):
    training = {"precision": "float64", "max_steps": 15, **changes}
    networks = [network(seed, model, training, input_shape, 3) for seed in range(3 if stacked else 1)]
    for found in finish(networks, stacked):
        expected = plain_loop(found, input_shape, 3)
        assert found.steps[-1] == 15
        torch.testing.assert_close(found.checkpoints[-1][1], expected, rtol=1e-9, atol=1e-11)
        assert not torch.allclose(found.checkpoints[0][1], expected, rtol=1e-3)


def test_without_scaling_the_rate_is_handed_over_as_it_is():
    steps = {}
    for scaling in ("none", "function_space"):
        training = {"learning_rate_scaling": scaling, "max_steps": 1, "precision": "float64", "learning_rate": 1e-3}
        found = finish([network(0, {"gamma": 0.5}, training)])[0]
        steps[scaling] = found.checkpoints[-1][1] - found.checkpoints[0][1]
    factor = learning_rate_scale(found.member.model, found.module)
    assert factor == 16 * 0.25
    torch.testing.assert_close(steps["function_space"], factor * steps["none"], rtol=1e-6, atol=1e-12)


# -- killed and taken up again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize(
    ("model", "input_shape"),
    [({"bias": True}, (6,)), ({**CNN, "width": 2}, (1, 4, 4)), (VIT, (1, 4, 4))],
    ids=["mlp", "cnn", "vit"],
)
def test_a_saved_training_goes_on_bit_for_bit_from_every_step(model, input_shape, optimizer, stacked):
    common = {
        "optimizer": optimizer,
        "learning_rate": 0.02 if optimizer == "adam" else 0.5,
        "max_steps": 16,
        "check_every": 2,
    }

    def members(target=None):
        sizes = (8, 40, 16) if stacked else (16,)
        return [
            network(seed, model, {**common, "train_size": size, "stop_train_loss": target}, input_shape)
            for seed, size in enumerate(sizes)
        ]

    # Some stop before the end.
    target = 1.001 * min(row[1] for found in finish(members(), stacked) for row in found.rows if row[0] == 10)

    training = Training(members(target), stacked, CPU)
    states = []
    while training.running:
        memory = io.BytesIO()
        torch.save(training.state(), memory)
        states.append((memory, [list(found.checkpoints) for found in training.networks]))
        training.advance()
    assert min(found.steps[-1] for found in training.networks) < 16
    assert not stacked or len({found.steps[-1] for found in training.networks}) > 1
    for memory, checkpoints in states:
        memory.seek(0)
        again = Training(members(target), stacked, CPU)
        again.load_state(torch.load(memory, weights_only=True))
        for found, earlier in zip(again.networks, checkpoints, strict=True):
            found.checkpoints.extend(earlier)
        while again.running:
            again.advance()
        assert all(same(*pair) for pair in zip(training.networks, again.networks, strict=True))


# -- what a training records ----------------------------------------------------------------------------------------------


def test_a_centred_network_starts_at_zero_and_its_loss_is_that_of_the_difference():
    found = finish([network(0, {"gamma": 0.1}, {"precision": "float64", "max_steps": 10})])[0]
    data, fresh = found.train, network(0, {"gamma": 0.1}, {"precision": "float64"}).module.double()
    assert found.rows[0][1] == pytest.approx(float(data.targets.square().mean()), rel=1e-12)
    with torch.no_grad():
        start = fresh(data.inputs)
        torch.nn.utils.vector_to_parameters(found.checkpoints[-1][1], fresh.parameters())
        end = fresh(data.inputs)
    assert start.abs().max() > 0.1
    assert found.rows[-1][1] == pytest.approx(float((end - start - data.targets).square().mean()), rel=1e-9)


def test_full_batches_take_every_sample_in_every_step():
    full = finish([network(0, {}, {"batch_size": "full", "precision": "float64"})])[0]
    shuffled = finish([network(0, {}, {"batch_size": 24, "precision": "float64"})])[0]
    larger = finish([network(0, {}, {"batch_size": 1000, "precision": "float64"})])[0]
    torch.testing.assert_close(full.checkpoints[-1][1], shuffled.checkpoints[-1][1], rtol=1e-10, atol=1e-12)
    assert same(shuffled, larger)


def test_accuracy_is_the_share_of_samples_whose_largest_output_is_their_label():
    found = finish([network(0, {}, {"loss": "cross_entropy", "max_steps": 300, "learning_rate": 1.0}, outputs=3)])[0]
    assert found.rows[-1][3] == 1.0 and 0 <= found.rows[-1][4] <= 1
    assert found.rows[0][3] == pytest.approx(
        float((found.train.labels == 0).double().mean())
    )  # all outputs are 0: argmax is 0
    assert math.isnan(finish([network(0, {}, {}, outputs=1)])[0].rows[-1][3])


@pytest.mark.parametrize("target", [None, 1e-9])
def test_divergence_is_recorded_when_it_is_noticed_and_harms_nobody(target):
    training = {"learning_rate": 0.2, "max_steps": 400, "check_every": 10, "evaluate": {"per_decade": 1, "first": 1}}
    training["stop_train_loss"] = target

    def members():
        networks = [network(seed, {}, training) for seed in range(3)]
        data = networks[1].train
        networks[1] = dataclasses.replace(networks[1], train=Split(1e12 * data.inputs, data.targets, data.labels))
        networks[1].checkpoints = []
        return networks

    sane, broken, other = finish(members())
    assert broken.status == "diverged" and broken.steps[-1] < 60
    assert not math.isfinite(broken.rows[-1][1]) and all(math.isfinite(row[1]) for row in broken.rows[:-1])
    assert (sane.status, other.status) == ("finished", "finished")
    assert same(sane, finish([members()[0]])[0])


def test_training_stops_at_the_first_check_at_which_the_target_is_reached():
    training = {
        "stop_train_loss": 0.05,
        "check_every": 7,
        "max_steps": 5000,
        "learning_rate": 0.5,
        "batch_size": "full",
    }
    found = finish([network(0, {}, training)])[0]
    assert found.status == "converged"
    end = found.steps[-1]
    assert end % 7 == 0 and found.rows[-1][0] == end and found.rows[-1][1] <= 0.05 < found.rows[-2][1]
    unhindered = finish([network(0, {}, {**training, "stop_train_loss": None, "max_steps": end - 7})])[0]
    assert unhindered.rows[-1][1] > 0.05


def test_checkpoints_and_evaluations_stand_at_their_steps():
    training = {
        "max_steps": 50,
        "checkpoints": {"per_decade": 2, "first": 3},
        "evaluate": {"per_decade": 0, "first": 1},
    }
    found = finish([network(0, {}, training)])[0]
    assert found.steps == [0, 3, 9, 30, 50] == [step for step, _ in found.checkpoints]
    assert [row[0] for row in found.rows] == [0, 50]
    until = finish([network(0, {}, {**training, "max_steps": 9})])[0]
    assert torch.equal(until.checkpoints[-1][1], found.checkpoints[2][1])


def test_steps_spaced_in_the_logarithm():
    assert logarithmic({"per_decade": 1, "first": 1}, 1000) == [1, 10, 100, 1000]
    assert logarithmic({"per_decade": 3, "first": 1}, 30) == [1, 2, 5, 10, 22]
    assert logarithmic({"per_decade": 4, "first": 20}, 19) == []
    assert logarithmic({"per_decade": 0, "first": 1}, 100) == []
    assert logarithmic({"per_decade": 40, "first": 1}, 10)[:4] == [1, 2, 3, 4]  # each step once


def test_schedules():
    def at(step, **changes):
        return schedule({**TRAINING, "max_steps": 100, **changes}, step)

    assert [at(step) for step in (0, 99)] == [1, 1]
    assert [at(step, warmup_steps=4) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]
    assert at(60, warmup_steps=20, schedule="linear") == 0.5 and at(100, schedule="linear") == 0
    assert at(50, schedule="cosine") == pytest.approx(0.5) and at(25, schedule="cosine") == pytest.approx(
        (1 + 0.5**0.5) / 2
    )
    assert at(10, warmup_steps=100, schedule="cosine") == 0.11


def test_cross_entropy_of_a_regression_is_explained():
    with pytest.raises(ValueError, match="needs labels.*use `loss: mse`"):
        finish([network(0, {}, {"loss": "cross_entropy"}, outputs=1)])
