"""Stacks by explicit products: gradients and whole trainings against autograd, one network at a time, in float64."""

import itertools
import json
import runpy
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lazyrich.models.activations import ACTIVATIONS
from lazyrich.models.cnn import CNN
from lazyrich.models.layers import Linear
from lazyrich.models.mlp import MLP
from lazyrich.models.parametrization import Parametrization
from lazyrich.training import objective
from lazyrich.training.batches import BLOCK, Batches
from lazyrich.training.chain import Chained, chain_of, multiply
from lazyrich.training.elementwise import IN_PLACE, Elementwise
from lazyrich.training.ensemble import Alone
from lazyrich.training.loop import Training
from lazyrich.training.samples import ALIGNED, STEPS_AHEAD, Batch, Packed, Samples
from lazyrich.training.stack import Vmapped
from lazyrich.training.stacking import NETWORKS, VALUES, VMAP_OPERATIONS, assemble, operations, stack_limit
from small_runs import finish, network, samples

CPU = torch.device("cpu")


def mlps(count, inputs=5, outputs=2, width=7, hidden_layers=2, activation="tanh", bias=True):
    """Networks in float64 whose biases are not zero."""
    found = []
    for seed in range(count):
        module = MLP(
            inputs, outputs, width, hidden_layers, ACTIVATIONS[activation], Parametrization("mup", gamma=0.5), bias
        )
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        found.append(module)
    return found


def batches(count, size=6, inputs=(5,), outputs=2, offsets=True):
    generator = torch.Generator().manual_seed(100)

    def draw(*shape):
        return torch.randn(count, size, *shape, generator=generator, dtype=torch.float64)

    labels = torch.randint(outputs, (count, size), generator=generator)
    return Batch(draw(*inputs), draw(outputs), labels, draw(outputs) if offsets else None)


def expected_gradients(module, batch, index, loss):
    """One network's gradients by autograd, of the loss as torch has it."""
    outputs = module(batch.inputs[index])
    if batch.offsets is not None:
        outputs = outputs - batch.offsets[index]
    if loss == "mse":
        value = nn.functional.mse_loss(outputs, batch.targets[index])
    else:
        value = nn.functional.cross_entropy(outputs, batch.labels[index])
    return torch.autograd.grad(value, list(module.parameters()))


def check_gradients(modules, batch, loss, kind=Chained):
    stack = assemble(modules, stacked=True)
    assert type(stack) is kind
    for _ in range(2):  # the second time in memory that the first has left
        stack.differentiate(batch, loss)
    found = stack._views(stack.parameters()[0].grad)
    for index, module in enumerate(modules):
        for (name, _), expected in zip(
            module.named_parameters(), expected_gradients(module, batch, index, loss), strict=True
        ):
            torch.testing.assert_close(found[name][index], expected, rtol=1e-12, atol=1e-13)


# -- gradients -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradients_are_those_of_autograd(activation, bias, loss):
    check_gradients(mlps(3, activation=activation, bias=bias), batches(3), loss)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 4), size=st.integers(1, 9), inputs=st.integers(1, 9), outputs=st.integers(1, 4),
    width=st.integers(1, 20), hidden_layers=st.integers(1, 3), bias=st.booleans(), offsets=st.booleans(),
    activation=st.sampled_from(["relu", "gelu"]), loss=st.sampled_from(["mse", "cross_entropy"]),
)  # fmt: skip
def test_gradients_of_any_shape(count, size, inputs, outputs, width, hidden_layers, bias, offsets, activation, loss):
    modules = mlps(count, inputs, outputs, width, hidden_layers, activation, bias)
    check_gradients(modules, batches(count, size, (inputs,), outputs, offsets), loss)


def test_inputs_of_several_axes_are_flattened():
    check_gradients(mlps(2, inputs=12), batches(2, inputs=(3, 2, 2)), "mse")


@pytest.mark.parametrize("function", [*ACTIVATIONS.values(), nn.functional.softplus], ids=lambda f: f.__name__)
def test_elementwise_functions_pull_gradients_back(function):
    values = torch.linspace(-3, 3, 40, dtype=torch.float64).reshape(
        2, 4, 5
    )  # no zero among them, where relu has a kink
    gradient = torch.linspace(1, 2, 40, dtype=torch.float64).reshape(2, 4, 5)
    free = values.clone().requires_grad_()
    (expected,) = torch.autograd.grad(function(free), free, gradient)
    for overwrite in (True, False):
        step = Elementwise(function, overwrite)
        torch.testing.assert_close(step.forward(values.clone()), function(values), rtol=0, atol=0)
        torch.testing.assert_close(step.backward(gradient.clone()), expected, rtol=1e-14, atol=0)
    assert len(IN_PLACE) == 3


@pytest.mark.parametrize("shape", [(1, 2, 1, 3), (3, 2, 2, 2), (1, 40, 30, 20), (4, 40, 30, 20), (1, 30, 8, 1)])
def test_products_ignore_what_is_where_they_write(shape):
    """A network that has diverged leaves NaN behind, in memory that others get."""
    networks, rows, inner, columns = shape
    left = torch.randn(networks, rows, inner, dtype=torch.float64)
    right = torch.randn(networks, columns, inner, dtype=torch.float64).mT
    out = torch.full((networks, rows, columns), float("nan"), dtype=torch.float64)
    torch.testing.assert_close(multiply(out, left, right, 0.5), torch.einsum("smk,skn->smn", left, right) / 2)


# -- which architectures -----------------------------------------------------------------------------------------------------


class Chain(nn.Module):
    """Somebody's architecture: a chain in torch's own layers."""

    def __init__(self, steps):
        super().__init__()
        self.layers = nn.ModuleList(step for step in steps if isinstance(step, nn.Module))
        self.steps = steps

    def chain(self):
        return list(self.steps)

    def forward(self, inputs):
        return nn.Sequential(
            nn.Flatten(), *(step if isinstance(step, nn.Module) else Function(step) for step in self.steps)
        )(inputs)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.forward = function


CHAINS = {
    "layers of two kinds": lambda: [nn.Linear(5, 4), nn.SiLU(), Linear(4, 4), torch.tanh, nn.Linear(4, 2, bias=False)],
    "functions in a row": lambda: [
        nn.Linear(5, 2),
        torch.tanh,
        torch.relu,
        torch.sigmoid,
        torch.tanh,
        torch.square,
        torch.tanh,
    ],
    "layers in a row": lambda: [nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 2)],
    "equal widths": lambda: [nn.Linear(5, 5), torch.sigmoid, nn.Linear(5, 5), torch.relu, nn.Linear(5, 2), torch.exp],
}


@pytest.mark.parametrize("name", CHAINS)
def test_any_chain_can_be_stacked(name):
    modules = [Chain(CHAINS[name]()).double() for _ in range(3)]
    for seed, module in enumerate(modules):
        generator = torch.Generator().manual_seed(seed)
        for parameter in module.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    check_gradients(modules, batches(3), "mse")


def no_chain():
    shared, frozen, other = nn.Linear(4, 4), nn.Linear(4, 4), type("Other", (nn.Linear,), {})(4, 4)
    frozen.requires_grad_(False)
    incomplete, buffered = Chain([nn.Linear(4, 4)]), Chain([nn.Linear(4, 4)])
    incomplete.scale = nn.Parameter(torch.ones(()))
    buffered.register_buffer("scale", torch.ones(()))
    return {
        "no chain": nn.Sequential(nn.Linear(4, 4)),
        "shared layer": Chain([shared, torch.relu, shared]),
        "frozen layer": Chain([nn.Linear(4, 4), frozen]),
        "unknown kind of layer": Chain([other]),
        "parameter outside of layers": incomplete,
        "buffer": buffered,
        "no layer": Chain([torch.relu]),
        "function first": Chain([torch.relu, nn.Linear(4, 4)]),
    }


@pytest.mark.parametrize("name", no_chain())
def test_what_is_no_plain_chain_is_left_to_vmap(name):
    module = no_chain()[name]
    assert chain_of(module) is None
    if [*module.parameters()]:
        assert type(assemble([module, module], stacked=True)) is Vmapped


def test_vmapped_gradients_are_those_of_autograd():
    def build(seed):
        module = CNN((2, 4, 4), 2, 3, torch.tanh, Parametrization("ntk"), bias=True)
        module.reset_parameters(torch.Generator().manual_seed(seed))
        return module.double()

    check_gradients([build(seed) for seed in range(3)], batches(3, inputs=(2, 4, 4)), "cross_entropy", kind=Vmapped)
    check_gradients([build(0)], batches(1, inputs=(2, 4, 4)), "mse", kind=Vmapped)


def test_stacks_are_limited_by_size():
    def mlp(width):
        return MLP(32, 1, width, 2, torch.relu, Parametrization("mup"))

    assert stack_limit(mlp(64), (32,), 128) == NETWORKS
    few = stack_limit(mlp(512), (32,), 128)
    assert few == VALUES // (32 * 512 + 512**2 + 512 + 2 * 128 * (512 + 512 + 1)) and 1 < few < NETWORKS
    assert stack_limit(mlp(512), (32,), 1024) < few
    assert stack_limit(mlp(3000), (32,), 1) == 1


def test_other_architectures_are_stacked_while_their_forward_pass_is_short():
    def cnn(width):
        return CNN((1, 8, 8), 10, width, torch.relu, Parametrization("mup"))

    by_hand = 2 * (64 * 9 * 8 + 16 * 9 * 8 * 16 + 64 * 64 + 64 * 10)
    assert operations(cnn(8), (1, 8, 8), 32) == 32 * by_hand
    size = int(VMAP_OPERATIONS // by_hand)
    assert stack_limit(cnn(8), (1, 8, 8), size) == NETWORKS and stack_limit(cnn(8), (1, 8, 8), size + 1) == 1


def test_a_network_alone_is_a_stack_only_if_asked():
    (module,) = mlps(1)
    assert type(assemble([module], stacked=False)) is Alone and type(assemble([module], stacked=True)) is Chained
    with pytest.raises(ValueError, match="too many values"):
        assemble(mlps(2), stacked=False)


# -- whole trainings -----------------------------------------------------------------------------------------------------------

GRID = list(itertools.product(["mse", "cross_entropy"], ["sgd", "momentum", "adam"], [True, False], [True, False]))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_stack_trains_as_each_network_alone(activation):
    """Over losses, optimisers, biases, centring, batches and decay: equal to 1e-12 after several steps."""
    for number, (loss, optimizer, bias, centered) in enumerate(GRID):
        full = number % 3 == 0
        model = {"activation": activation, "bias": bias, "centered": centered, "width": 9, "gamma": 0.5}
        training = {
            "loss": loss, "optimizer": optimizer, "precision": "float64", "max_steps": 6, "learning_rate": 0.001,
            "batch_size": "full" if full else 7, "weight_decay": 0.1 if number % 2 else 0, "schedule": "cosine",
        }  # fmt: skip
        sizes = [24, 24, 24] if full else [24, 7, 60]
        stack, loop = (
            [network(seed, model, {**training, "train_size": size}) for seed, size in enumerate(sizes)]
            for _ in range(2)
        )
        finish(stack)
        for alone in loop:
            finish([alone], stacked=False)
        for found, alone in zip(stack, loop, strict=True):
            check_equal(found, alone)


def check_equal(found, alone):
    """One history and one end, up to rounding; and not because nothing has happened."""
    (_, start), (_, end) = found.checkpoints[0], found.checkpoints[-1]
    assert found.steps == alone.steps and (end - start).abs().max() > 1e-6
    torch.testing.assert_close(end, alone.checkpoints[-1][1], rtol=1e-12, atol=1e-12)
    histories = [torch.tensor(one.rows, dtype=torch.float64) for one in (found, alone)]
    torch.testing.assert_close(*histories, rtol=1e-11, atol=1e-12, equal_nan=True)


# -- samples and batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(24, 8), (25, 8), (7, 7), (BLOCK // 3, 1000), (BLOCK + 5, 4096)])
def test_batches_of_many_steps_are_those_of_each(count, size):
    one, many = Batches(count, size, "e", 0), Batches(count, size, "e", 0)
    expected = torch.stack([one.indices(step) for step in range(3, 3 + 40)])
    assert torch.equal(many.steps(3, 40), expected)


def test_packed_parts_start_on_cache_lines_and_are_views():
    parts = [torch.randn(length, 3) for length in (5, 16, 1, 33)]
    packed = Packed(parts)
    for start, view, part in zip(packed.starts, packed.views(), parts, strict=True):
        assert torch.equal(view, part) and start % ALIGNED == 0 and view.data_ptr() % 64 == 0
    room = packed.room(3)
    packed.take(torch.tensor([4, packed.starts[3], packed.starts[3] + 32]), room)
    assert torch.equal(room, torch.stack([parts[0][4], parts[3][0], parts[3][32]]))
    equal = [torch.randn(5, 3) for _ in range(4)]
    assert torch.equal(Packed(equal).side_by_side(), torch.stack(equal))


@pytest.mark.parametrize("full", [True, False])
def test_each_network_sees_its_own_samples_also_after_others_have_left(full):
    sizes = [20, 20, 20] if full else [20, 9, 40]
    splits = [samples(size, (3, 2), 2, seed) for seed, size in enumerate(sizes)]
    order = None if full else [Batches(size, 8, "e", seed) for seed, size in enumerate(sizes)]
    offsets = [split.targets + 1 for split in splits]
    found = Samples(splits, order)
    found.subtract(offsets)
    for active, steps in (([0, 1, 2], range(STEPS_AHEAD + 3)), ([0, 2], range(5, 9)), ([2], range(200, 203))):
        if len(active) < 3:
            found.keep([0, 2] if active == [0, 2] else [1])
        for step in steps:
            batch = found.batch(step)
            for index, number in enumerate(active):
                split = splits[number]
                chosen = slice(None) if full else order[number].indices(step)
                assert torch.equal(batch.inputs[index], split.inputs[chosen])
                assert torch.equal(batch.targets[index], split.targets[chosen])
                assert torch.equal(batch.labels[index], split.labels[chosen])
                assert torch.equal(batch.offsets[index], offsets[number][chosen])


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_gradient_at_the_outputs_is_that_of_the_loss_reported(loss):
    batch = batches(3, outputs=4)
    outputs = torch.randn(3, 6, 4, dtype=torch.float64, requires_grad=True)
    centred = outputs - batch.offsets
    parts = zip(centred, batch.targets, batch.labels, strict=True)
    total = sum(objective.sample_losses(loss, *part).mean() for part in parts)
    (expected,) = torch.autograd.grad(total, outputs)
    torch.testing.assert_close(
        objective.output_gradient(loss, outputs.detach(), batch), expected, rtol=1e-13, atol=1e-15
    )


# -- what is left behind -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_those_that_go_on_keep_parameters_and_moments(optimizer):
    training = Training([network(seed, {"bias": True}, {"optimizer": optimizer}) for seed in range(4)], True, CPU)
    for _ in range(3):
        training.advance()
    stack, (leaf,) = training.ensemble, training.ensemble.parameters()
    moments = [value for value in training.optimizer.state[leaf].values() if value.shape == leaf.shape]
    assert len(moments) == {"sgd": 0, "momentum": 1, "adam": 2}[optimizer]
    before = [{name: value.clone() for name, value in stack._views(vector).items()} for vector in (leaf, *moments)]
    stack.keep([3, 1], training.optimizer)
    moments = [value for value in training.optimizer.state[leaf].values() if value.shape == leaf.shape]
    for old, vector in zip(before, (leaf, *moments), strict=True):
        for name, value in stack._views(vector).items():
            assert torch.equal(value, old[name][[3, 1]])
    assert len(before) == 1 + len(moments) and stack.size == 2
    for start in (value.data_ptr() for value in stack._views(leaf).values()):
        assert start % 64 == 0


def test_the_benchmark_times_both_ways(monkeypatch, tmp_path, capsys):
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "stacked_training.py"
    options = ["--widths", "4", "--members", "2", "--batches", "4", "--repetitions", "1", "--optimizer", "adam"]
    monkeypatch.setattr(sys, "argv", [str(path), *options, "--output", str(tmp_path / "times.json")])
    runpy.run_path(str(path), run_name="__main__")
    (case,) = json.loads((tmp_path / "times.json").read_text())["cases"]
    assert case["stacked"] > 0 and case["loop/stacked"] > 0
    assert capsys.readouterr().out.splitlines()[-1].split()[:3] == ["4", "2", "4"]
