"""The residual network and the vision transformer in training: movement by width, alone and in company, digits, kernels."""

import warnings

import pytest
import torch

from lazyrich.kernels.empirical_ntk_reference import empirical_ntk as reference
from lazyrich.kernels.layerwise.ntk import empirical_ntk
from lazyrich.models import resnet, vit
from lazyrich.models.features import penultimate_features
from lazyrich.models.parametrization import learning_rate_scale
from lazyrich.training.stacking import NETWORKS, stack_limit
from small_runs import DIGITS, dataset, finish, kernels, network, run_spec, train

SMALL = {
    "resnet": {"architecture": "resnet", "width": 4, "hidden_layers": 1},
    "vit": {"architecture": "vit", "width": 16, "hidden_layers": 1},
}


# -- how much moves in a few steps, by width ---------------------------------------------------------------------------------

#: Architecture, widths, image size; the learning rate of each parametrization, at which nothing is far from linear.
WIDTHS = {"resnet": (resnet.build, (8, 64), 4), "vit": (vit.build, (16, 128), 8)}
RATES = {"standard": 0.01, "ntk": 0.5, "mup": 0.5}


def movement(build, parametrization, width, side, seed):
    """Mean squares of the change of features and of outputs in three steps of gradient descent."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(16, 1, side, side, generator=generator, dtype=torch.float64)
    y = torch.sign(x.flatten(1)[:, :2])
    spec = {"width": width, "hidden_layers": 1, "parametrization": parametrization}
    model = build(spec, x.shape[1:], 2).double()
    model.reset_parameters(torch.Generator().manual_seed(seed))
    features, outputs = penultimate_features(model, x), model(x).detach()
    rate = RATES[parametrization] * learning_rate_scale(spec, model)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x) - outputs, y).backward()
        optimizer.step()
    changes = penultimate_features(model, x) - features, model(x).detach() - outputs
    return torch.stack([change.square().mean() for change in changes])


def growth(architecture, parametrization):
    """By which factors the root mean square changes of features and outputs grow where the width grows eightfold."""
    build, widths, side = WIDTHS[architecture]
    small, large = (
        torch.stack([movement(build, parametrization, width, side, seed) for seed in range(3)]).mean(0).sqrt()
        for width in widths
    )
    assert small.min() > 1e-3  # something moved
    return (large / small).tolist()


@pytest.mark.parametrize("architecture", SMALL)
def test_in_mup_features_and_outputs_move_alike_at_every_width(architecture):
    assert all(1 / 1.4 < factor < 1.4 for factor in growth(architecture, "mup"))


@pytest.mark.parametrize("architecture", SMALL)
def test_in_the_other_parametrizations_they_do_not(architecture):
    """Eightfold width: in ntk features move 8^(-1/2) = 0.35 times as far; in standard, at one rate, 2.8 times, outputs 8 times."""
    features, outputs = growth(architecture, "ntk")
    assert features < 0.6 and 1 / 1.4 < outputs < 1.4
    features, outputs = growth(architecture, "standard")
    assert features > 1.6 and outputs > 4


# -- alone and in company ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
@pytest.mark.parametrize("architecture", SMALL)
def test_a_stack_trains_as_each_network_alone(architecture, optimizer):
    model = {**SMALL[architecture], "width": 8, "gamma": 0.5, "bias": True}
    training = {"optimizer": optimizer, "precision": "float64", "max_steps": 6, "learning_rate": 0.01}
    stack, loop = (
        [network(seed, model, {**training, "train_size": 24 - seed}, (1, 4, 4), 3) for seed in range(3)]
        for _ in range(2)
    )
    assert stack_limit(stack[0].module, (1, 4, 4), 8) == NETWORKS
    finish(stack)
    for found, alone in zip(stack, loop, strict=True):
        finish([alone], stacked=False)
        (_, start), (_, end) = found.checkpoints[0], found.checkpoints[-1]
        assert (end - start).abs().max() > 1e-4
        torch.testing.assert_close(end, alone.checkpoints[-1][1], rtol=1e-10, atol=1e-11)


# -- through the stages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", SMALL)
def test_digits_are_learned_and_kernels_follow(architecture, tmp_path):
    """True and shuffled labels of 64 digits are fitted; the NTK at the checkpoints is that of automatic differentiation."""
    data = dataset(tmp_path, DIGITS)
    training = {
        "train_size": 64, "optimizer": "momentum", "learning_rate": 2.0, "batch_size": 32, "max_steps": 600,
        "stop_train_loss": 0.03,
    }  # fmt: skip
    entries = {"true": {}, "shuffled": {"set": {"training.labels": "shuffled"}}}
    run = train(tmp_path, data, run_spec(entries, SMALL[architecture], training))
    for name in entries:
        losses = run.history(name)["train_loss"]
        assert run.info(name)["status"] == "converged", losses
        assert losses[0] == pytest.approx(0.09, abs=0.001) and losses[-1] <= 0.03  # centred, and targets e_c - 1/10
    accuracy = {name: run.history(name)["test_accuracy"][-1] for name in entries}
    assert accuracy["true"] > 0.4 > 0.3 > accuracy["shuffled"]

    probe = torch.as_tensor(data.split(0, "probe").inputs).double()
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the layers of")
        stored = kernels(tmp_path, run, data)
    conjugate = kernels(tmp_path, run, data, name="ck", object="conjugate_kernel")
    for stage in ("initial", "final"):
        model = run.model("true", run.step("true", stage)).double()
        expected = reference(model, probe)
        found = torch.from_numpy(stored.matrix("true", stage))
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 * float(expected.max()))
        features = penultimate_features(model, probe)
        torch.testing.assert_close(torch.from_numpy(conjugate.matrix("true", stage)), features @ features.T)
    initial, final = (stored.matrix("true", stage) for stage in ("initial", "final"))
    assert abs(final - initial).max() > 0.1 * abs(initial).max()


@pytest.mark.parametrize("outputs", ["trace", "full", "class-diagonal"])
@pytest.mark.parametrize("parametrization", ["standard", "mup"])
@pytest.mark.parametrize("architecture", SMALL)
def test_the_fast_ntk_knows_every_layer(architecture, parametrization, outputs):
    found = network(0, {**SMALL[architecture], "bias": True, "parametrization": parametrization}, {}, (3, 8, 8), 3)
    model = found.module.double()
    x = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    expected = reference(model, x, outputs=outputs)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the layers of")
        kernel = empirical_ntk(model, x, outputs=outputs)
    torch.testing.assert_close(kernel, expected, rtol=1e-10, atol=1e-12 * float(expected.abs().max()))
