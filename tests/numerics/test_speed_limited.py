"""Speed limited optimisation against hand-written loops, alone and in the project's training."""

import copy
import io
import math

import pytest
import torch

from lazyrich.models.mlp import MLP
from lazyrich.models.parametrization import Parametrization
from lazyrich.models.resnet import build as build_resnet
from lazyrich.models.state import flatten_parameters
from lazyrich.training import SpeedLimitedSGD, speed_groups
from lazyrich.training import run as training_run
from lazyrich.training.loop import Training
from lazyrich.training.objective import schedule
from small_runs import Killed, dataset, digests, finish, network, run_spec, samples, seeds, train

CPU = torch.device("cpu")
SPEEDS = (500.0, 0.002, 3.0)
FOREACH = pytest.mark.parametrize("foreach", [True, False])


def mlp(bias=False, seed=0):
    module = MLP(6, 2, 16, 2, torch.relu, Parametrization("standard"), bias)
    module.reset_parameters(torch.Generator().manual_seed(seed))
    return module.double()


def differentiate(module, scale=1.0):
    data = samples(24, (6,), 2, seed=1)
    module.zero_grad()
    (scale * (module(data.inputs.double()) - data.targets.double()).square().mean()).backward()


def take_steps(module, optimizer, count):
    for _ in range(count):
        differentiate(module)
        optimizer.step()
    return flatten_parameters(module)


def by_hand(module, speeds, rates, eps=1e-12, decay=0.0):
    """The equation, tensor by tensor."""
    for rate in rates:
        differentiate(module)
        for layer, speed in zip([*module.hidden, module.readout], speeds, strict=True):
            for tensor in layer.parameters():
                gradient = tensor.grad + decay * tensor.detach()
                norm = math.sqrt(float((gradient * gradient).sum()))
                tensor.data = tensor.data - rate * speed * gradient / (norm + eps)
    return flatten_parameters(module)


# -- steps -----------------------------------------------------------------------------------------------------------------


@FOREACH
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_every_tensor_moves_by_rate_times_speed_whatever_its_gradient(foreach, scale):
    module = mlp(bias=True)
    optimizer = SpeedLimitedSGD(speed_groups(module, SPEEDS), lr=1e-3, eps=0, foreach=foreach)
    before = {name: tensor.detach().clone() for name, tensor in module.named_parameters()}
    differentiate(module, scale)
    optimizer.step()
    for layer, speed in zip(("hidden.0", "hidden.1", "readout"), SPEEDS, strict=True):
        for part in ("weight", "bias"):
            tensor = module.get_parameter(f"{layer}.{part}")
            change = tensor.detach() - before[f"{layer}.{part}"]
            assert float(change.norm()) == pytest.approx(1e-3 * speed, rel=1e-9)
            torch.testing.assert_close(change / change.norm(), -tensor.grad / tensor.grad.norm())


@FOREACH
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_equals_a_loop_by_hand(foreach, bias, decay):
    module, other = mlp(bias), mlp(bias)
    groups = speed_groups(module, SPEEDS)
    optimizer = SpeedLimitedSGD(groups, lr=1e-3, eps=1e-3, weight_decay=decay, foreach=foreach)
    found, expected = take_steps(module, optimizer, 8), by_hand(other, SPEEDS, [1e-3] * 8, 1e-3, decay)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not torch.allclose(found, by_hand(mlp(bias), SPEEDS, [1e-3] * 8, 0.0, decay), rtol=1e-6)


def test_a_speed_is_one_and_a_grouping_changes_nothing():
    together, apart = mlp(bias=True), mlp(bias=True)
    one = SpeedLimitedSGD(together.parameters(), lr=1e-2)
    each = SpeedLimitedSGD([{"params": [tensor]} for tensor in apart.parameters()], lr=1e-2, speed=1)
    assert torch.equal(take_steps(together, one, 5), take_steps(apart, each, 5))
    assert [group["speed"] for group in speed_groups(together)] == [1, 1, 1]


def test_tensors_of_several_types_and_shapes_move_as_one_by_one():
    generator = torch.Generator().manual_seed(0)
    start = [torch.randn(4, 3, 3, 3, generator=generator), torch.randn((), generator=generator).double()]
    start += [torch.randn(5, generator=generator).bfloat16(), torch.randn(7, 2, generator=generator)]
    ends = []
    for foreach in (True, False):
        tensors = [torch.nn.Parameter(value.clone()) for value in start]
        optimizer = SpeedLimitedSGD(tensors, lr=0.1, speed=2, weight_decay=0.1, foreach=foreach)
        for _ in range(4):
            for tensor in tensors:
                tensor.grad = tensor.detach().sin()
            optimizer.step()
        ends.append(tensors)
    for first, second, value in zip(*ends, start, strict=True):
        torch.testing.assert_close(first, second)
        assert not torch.equal(first, value)


@FOREACH
@pytest.mark.parametrize("eps", [0.0, 1e-60, 1e-12])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_gradient_and_at_a_zero_gradient_nothing_moves(foreach, eps, dtype):
    still, moving, none = (torch.nn.Parameter(torch.ones(3, 2, dtype=dtype)) for _ in range(3))
    optimizer = SpeedLimitedSGD([still, moving, none], lr=0.1, eps=eps, foreach=foreach)
    optimizer.step()
    still.grad, moving.grad = torch.zeros_like(still), torch.ones_like(moving)
    optimizer.step()
    assert torch.equal(still, torch.ones_like(still)) and torch.equal(none, torch.ones_like(none))
    assert float((moving.detach() - 1).norm()) == pytest.approx(0.1, rel=1e-6)
    moving.grad[0, 0] = math.inf
    optimizer.step()
    assert moving.isnan().any() and not still.isnan().any()


def test_it_goes_on_around_a_minimum_at_a_constant_rate_and_converges_at_a_falling_one():
    ends = []
    for factor in (1.0, 0.9):
        weight = torch.nn.Parameter(torch.tensor([1.0, -0.7], dtype=torch.float64))
        optimizer = SpeedLimitedSGD([weight], lr=0.2)
        fall = torch.optim.lr_scheduler.ExponentialLR(optimizer, factor)
        for _ in range(200):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()
            fall.step()
        ends.append(float(weight.detach().norm()))
    assert ends[0] > 0.01 and ends[1] < 1e-6


# -- an optimiser of torch ---------------------------------------------------------------------------------------------------


def test_schedulers_change_the_rate_of_every_group():
    module, rates = mlp(), [1e-2, 1e-2 * 0.9, 1e-2 * 0.81, 1e-2 * 0.729]
    groups = speed_groups(module, SPEEDS)
    groups[2]["lr"] = 5e-3
    optimizer = SpeedLimitedSGD(groups, lr=1e-2)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step)
    for _ in rates:
        take_steps(module, optimizer, 1)
        scheduler.step()
    expected = by_hand(mlp(), (*SPEEDS[:2], SPEEDS[2] / 2), rates)
    torch.testing.assert_close(flatten_parameters(module), expected, rtol=1e-12, atol=1e-12)


def test_a_saved_state_goes_on_bit_for_bit():
    module = mlp()
    optimizer = SpeedLimitedSGD(speed_groups(module, SPEEDS), lr=1e-3, eps=1e-6)
    optimizer.param_groups[1]["lr"] = 0.5
    take_steps(module, optimizer, 3)
    memory = io.BytesIO()
    torch.save(optimizer.state_dict(), memory)
    memory.seek(0)
    other = copy.deepcopy(module)
    again = SpeedLimitedSGD(speed_groups(other), lr=7.0)
    again.load_state_dict(torch.load(memory, weights_only=True))
    assert again.state_dict() == optimizer.state_dict() and not again.state_dict()["state"]
    assert [group["speed"] for group in again.param_groups] == list(SPEEDS)
    assert torch.equal(take_steps(module, optimizer, 3), take_steps(other, again, 3))


def test_a_closure_computes_gradients_and_gives_the_loss():
    weight = torch.nn.Parameter(torch.ones(4))

    def closure():
        loss = weight.square().sum()
        loss.backward()
        return loss

    assert float(SpeedLimitedSGD([weight], lr=0.5).step(closure).detach()) == 4
    torch.testing.assert_close(weight.detach(), torch.full((4,), 0.75))


@pytest.mark.parametrize("key", ["lr", "speed", "eps", "weight_decay"])
@pytest.mark.parametrize("value", [-1e-9, math.nan, math.inf])
def test_numbers_that_are_not_at_least_0_are_refused(key, value):
    weight, other = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    message = f"{key} is {value!r}; give a finite number of at least 0"
    with pytest.raises(ValueError, match=message):
        SpeedLimitedSGD([weight], **{"lr": 0.1, key: value})
    with pytest.raises(ValueError, match=message):
        SpeedLimitedSGD([{"params": [weight], key: value}], lr=0.1)
    optimizer = SpeedLimitedSGD([weight], lr=0.1)
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [other], key: value})
    assert len(optimizer.param_groups) == 1


def test_sparse_gradients_are_refused():
    embedding = torch.nn.Embedding(4, 2, sparse=True)
    embedding(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="takes no sparse gradients"):
        SpeedLimitedSGD(embedding.parameters(), lr=0.1).step()


def test_layers_are_the_modules_with_parameters():
    module = mlp(bias=True)
    groups = speed_groups(module, SPEEDS)
    assert [group["speed"] for group in groups] == list(SPEEDS)
    layers = [*module.hidden, module.readout]
    for group, layer in zip(groups, layers, strict=True):
        assert all(a is b for a, b in zip(group["params"], layer.parameters(), strict=True))
    tied = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh(), torch.nn.Linear(3, 3))
    tied[2].weight = tied[0].weight
    assert [len(group["params"]) for group in speed_groups(tied)] == [2, 1]
    resnet = build_resnet({"width": 2, "hidden_layers": 1}, (1, 4, 4), 3)
    assert len(speed_groups(resnet)) == 1 + 3 * 2 + 2 + 1
    with pytest.raises(ValueError, match=r"are 2 speeds, but .* 3 layers with weights \(hidden.0, hidden.1, readout\)"):
        speed_groups(module, (1, 2))


# -- training -----------------------------------------------------------------------------------------------------------------

TRAINING = {"optimizer": "speed_limited", "learning_rate": 1e-2, "speeds": list(SPEEDS), "batch_size": "full",
            "precision": "float64"}  # fmt: skip


@pytest.mark.parametrize("scaling", ["function_space", "none"])
@pytest.mark.parametrize("changes", [{}, {"schedule": "cosine", "warmup_steps": 3, "weight_decay": 0.1}])
@pytest.mark.parametrize("bias", [False, True])
def test_training_equals_a_loop_by_hand(scaling, changes, bias):
    """In the maximal-update parametrization with gamma 1/2, where gradient descent would have its rate scaled by 4."""
    training = {**TRAINING, "learning_rate_scaling": scaling, "max_steps": 12, **changes}
    model = {"gamma": 0.5, "bias": bias}
    (found,) = finish([network(0, model, training)], stacked=False)
    settings, start = found.member.training, network(0, model, training)
    module, data = start.module.double(), start.train.to(CPU, torch.float64)
    with torch.no_grad():
        offset = module(data.inputs)
    for step in range(12):
        module.zero_grad()
        (module(data.inputs) - offset - data.targets).square().mean().backward()
        for layer, speed in zip([*module.hidden, module.readout], SPEEDS, strict=True):
            for tensor in layer.parameters():
                gradient = tensor.grad + settings["weight_decay"] * tensor.detach()
                tensor.data -= 1e-2 * schedule(settings, step) * speed * gradient / (gradient.norm() + 1e-12)
    torch.testing.assert_close(found.checkpoints[-1][1], flatten_parameters(module), rtol=1e-10, atol=1e-12)


def test_without_speeds_every_layer_has_speed_1():
    training = {key: value for key, value in TRAINING.items() if key != "speeds"}
    (found,) = finish([network(0, {}, training)], stacked=False)
    (ones,) = finish([network(0, {}, {**TRAINING, "speeds": [1, 1, 1]})], stacked=False)
    (other,) = finish([network(0, {}, TRAINING)], stacked=False)
    assert torch.equal(found.checkpoints[-1][1], ones.checkpoints[-1][1])
    assert not torch.equal(found.checkpoints[-1][1], other.checkpoints[-1][1])


def test_networks_without_a_chain_are_trained_too():
    model = {"architecture": "cnn", "width": 4}
    training = {**TRAINING, "speeds": [1, 2, 3, 4], "max_steps": 1}
    (found,) = finish([network(0, model, training, (1, 8, 8), 3)], stacked=False)
    start = network(0, model, training, (1, 8, 8), 3).module.requires_grad_(False)
    after = dict(found.module.named_parameters())
    for (name, before), speed in zip(start.named_parameters(), training["speeds"], strict=True):
        assert float((after[name].detach() - before.double()).norm()) == pytest.approx(1e-2 * speed, rel=1e-6)


def test_a_wrong_number_of_speeds_ends_training_before_it_starts():
    with pytest.raises(ValueError, match="2 speeds, but the network has 3 layers with weights .* give `speeds` one"):
        Training([network(0, {}, {**TRAINING, "speeds": [1, 2]})], False, CPU)


def test_a_stack_is_refused():
    with pytest.raises(ValueError, match="does not keep layers apart, .* train each network alone"):
        Training([network(seed, {}, TRAINING) for seed in range(2)], True, CPU)


def test_a_run_trains_its_networks_alone_and_the_others_in_stacks(tmp_path, monkeypatch):
    sgd = {"training.optimizer": "sgd"}
    members = {**seeds(2), **{f"sgd_seed-{seed}": {"seed": seed, "set": sgd} for seed in range(2)}}
    groups, start = [], Training.__init__

    def noted(self, networks, stacked, device):
        groups.append((len(networks), stacked))
        start(self, networks, stacked, device)

    monkeypatch.setattr(Training, "__init__", noted)
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(members, training=TRAINING))
    assert sorted(groups) == [(1, False), (1, False), (2, True)] and len(run.members) == 4


@pytest.mark.parametrize("kill_at", [5, 30])
def test_a_killed_training_goes_on_and_is_bit_identical(tmp_path, monkeypatch, kill_at):
    training = {**TRAINING, "schedule": "linear", "batch_size": 8, "precision": "float32"}
    spec, data = run_spec(seeds(2), training=training), dataset(tmp_path)
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
    arrays = [{name: found for name, (found, _) in digests(each).items()} for each in (run, reference)]
    assert arrays[0] == arrays[1] and len(taken) - before <= 42 - kill_at + 3
