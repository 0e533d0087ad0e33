"""The early-time C-NFA against small steps of gradient descent, its kernel form, and random-matrix predictions of networks."""

import copy
import math

import numpy as np
import pytest
import torch

from cases import CASES, multiplied_layers
from lazyrich.kernels.preactivation import preactivation_tangent_kernel
from lazyrich.metrics.ansatz import centered_correlation
from lazyrich.metrics.feature_matrices import effective_weight, layer_gradients, ptk_feature_covariance
from lazyrich.models import mlp
from lazyrich.theory.early_time import (
    early_time_correlation,
    early_time_correlation_from_kernel,
    weight_velocities,
)
from lazyrich.theory.free_probability import quadratic_network_cumulants, random_matrix_correlation
from small_runs import CHAIN, DIGITS, dataset, measure, member_data, run_spec, seeds, train

#: Without a gradient for a layer's weight, or for each sample at each layer.
EXCLUDED = ("frozen", "attention", "transformer layer", "positions merged into samples")
#: Shared and tied layers, skip connections, convolutions and tokens before linear layers; of several outputs.
NETWORKS = [
    case
    for case in CASES
    if case.dtype == torch.float64
    and case.linear_layers(case.model())
    and not case.name.startswith(EXCLUDED)
    and case.name != "vision transformer"
]


def quadratic(d, k, seed, parametrization="ntk"):
    spec = {"width": k, "hidden_layers": 1, "activation": "quadratic", "parametrization": parametrization}
    model = mlp.build(spec, (d,), 1).double()
    model.reset_parameters(torch.Generator().manual_seed(seed))
    return model


def gaussian_data(n, d, seed, exponent=0.0, labels="random"):
    """Inputs of covariance k^-exponent, and labels that are noise or the chain monomial of rank 5."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, d)) * np.arange(1, d + 1) ** (-exponent / 2)
    y = rng.standard_normal(n) if labels == "random" else sum(X[:, i] * X[:, (i + 1) % 5] for i in range(5))
    return torch.from_numpy(X), torch.from_numpy(y)


@pytest.mark.parametrize("case", NETWORKS, ids=lambda case: case.name)
def test_a_small_step_of_gradient_descent(case):
    """Of networks that are centred: their residuals are the targets."""
    initial, x = case.model().eval(), case.inputs(9)
    y = torch.randn((9, case.outputs), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    layers = [i for i, m in enumerate(initial.modules()) if isinstance(m, torch.nn.Linear)]

    def of(model):
        modules = list(model.modules())
        return [modules[i] for i in layers]

    trained = copy.deepcopy(initial)
    outputs = trained(x).reshape(9, -1)
    loss = (outputs - outputs.detach() - y).square().mean()
    loss.backward()
    with torch.no_grad():
        for parameter in trained.parameters():
            if parameter.grad is not None:
                parameter -= 1e-6 * parameter.grad
    predicted = early_time_correlation(initial, x, y, of(initial), batch_size=4)
    compared = 0
    for layer, before, value in zip(of(trained), of(initial), predicted, strict=True):
        K = ptk_feature_covariance(trained, x, layer)
        measured = centered_correlation(effective_weight(layer), effective_weight(before), K)
        if math.isfinite(measured):
            compared += 1
            assert value == pytest.approx(measured, abs=1e-3)
        else:
            assert math.isnan(value)
    assert compared


def test_kernel_form_equals_the_cheap_form():
    """Of layers behind others, with multipliers, of one output and of several."""
    network = multiplied_layers().double()
    for seed, model in enumerate(
        [network, torch.nn.Sequential(*network, torch.nn.Tanh(), torch.nn.Linear(2, 1).double())]
    ):
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        x = torch.randn((11, 6), generator=generator, dtype=torch.float64)
        layers = [model[0], model[2]]
        entering = [x, model[:2](x).detach()]
        outputs = model(x).shape[1]
        residuals = torch.randn((11, outputs), generator=generator, dtype=torch.float64)
        found = early_time_correlation(model, x, residuals, layers)
        for inputs, gradients, value in zip(entering, layer_gradients(model, x, layers), found, strict=True):
            rows = gradients.outputs.detach().reshape(11 * outputs, -1)
            reference = early_time_correlation_from_kernel(rows @ rows.T, inputs, residuals)
            assert value == pytest.approx(reference, abs=1e-10)
    kernel = preactivation_tangent_kernel(model, "0", x)
    assert found[0] == pytest.approx(early_time_correlation_from_kernel(kernel, x, residuals[:, 0]), abs=1e-10)


def test_velocity_by_hand():
    """f = a^T (W x)^2: Wdot = (1/n) sum_a r_a 2 (a o W x_a) x_a^T, of the effective weight."""
    model, (X, y) = quadratic(5, 7, 0), gaussian_data(6, 5, 0)
    W, a = effective_weight(model.hidden[0]), effective_weight(model.readout)[0]
    x, r = X.numpy(), y.numpy()
    expected = sum(2 * r[s] * np.outer(a * (W @ x[s]), x[s]) for s in range(6)) / 6
    (found,) = weight_velocities(model, X, y, [model.hidden[0]], batch_size=4)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert all(parameter.grad is None for parameter in model.parameters())
    # In terms of M = 4 W^T diag(a^2) W: rho(A M A, A M S M A).
    M, A, S = 4 * W.T @ (a[:, None] ** 2 * W), x.T @ (r[:, None] * x), x.T @ x
    F, G = A @ M @ A, A @ M @ S @ M @ A
    (value,) = early_time_correlation(model, X, y, [model.hidden[0]])
    assert value == pytest.approx(np.vdot(F, G) / np.linalg.norm(F) / np.linalg.norm(G), abs=1e-12)


def test_bad_arguments_are_named():
    model, (X, y) = quadratic(4, 3, 0), gaussian_data(5, 4, 0)
    with pytest.raises(ValueError, match="both must be at least 1"):
        weight_velocities(model, X[:0], y[:0], [model.hidden[0]])
    with pytest.raises(ValueError, match="4 residuals for 5 samples"):
        weight_velocities(model, X, y[:4], [model.hidden[0]])
    with pytest.raises(ValueError, match="for 1 outputs a sample"):
        weight_velocities(model, X, y[:, None].repeat(1, 2), [model.hidden[0]])
    with pytest.raises(ValueError, match="not a trainable"):
        weight_velocities(model, X, y, [torch.nn.Linear(4, 3)])
    with pytest.raises(ValueError, match="not a trainable"):
        weight_velocities(model.requires_grad_(False), X, y, [model.hidden[0]])
    with pytest.raises(ValueError, match="do not fit"):
        early_time_correlation_from_kernel(np.eye(4), np.ones((5, 2)), np.ones(5))
    model.requires_grad_(True)
    assert math.isnan(early_time_correlation(model, X, 0 * y, [model.hidden[0]])[0])


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
@pytest.mark.parametrize(
    ("n", "k", "exponent", "labels", "tolerance"),
    [
        (1000, 200, 0, "random", 0.015),
        (1000, 50, 0, "random", 0.03),
        (1000, 200, 0, "chain", 0.02),
        (200, 200, 0, "random", 0.015),
        (1000, 200, 1, "chain", 0.04),
        (1000, 200, 1, "random", 0.05),
    ],
)
def test_random_matrix_prediction_of_networks(n, k, exponent, labels, tolerance, parametrization):
    """Of one set of data, the mean over draws of the weights; its error is of order 1/d over the rank of what the data weigh."""
    X, y = gaussian_data(n, 200, 1, exponent, labels)
    observed, predicted = [], []
    for seed in range(6):
        model = quadratic(200, k, seed, parametrization)
        observed += early_time_correlation(model, X, y, [model.hidden[0]])
        cumulants = quadratic_network_cumulants(effective_weight(model.readout)[0], 200)
        predicted.append(random_matrix_correlation(X, y, cumulants))
    assert np.mean(predicted) == pytest.approx(np.mean(observed), abs=tolerance)


def rows(folder, data, model, training, layers=(0,)):
    run = train(folder, data, run_spec(seeds(1), model, {"batch_size": 48, "train_size": 48, **training}))
    (member,) = member_data(run, data)
    table = measure(folder, {"early_time_alignment": {"layers": list(layers)}}, [member])
    return {(row["metric"].removeprefix("early_time_nfa_"), row["layer"]): row for row in table}, member


SMALL = {"learning_rate": 1e-4, "max_steps": 2, "precision": "float64", "labels": "shuffled"}


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_rows_of_a_network_with_several_layers_and_outputs(tmp_path, centered, loss):
    model = {"activation": "tanh", "centered": centered, "parametrization": "standard"}
    found, member = rows(tmp_path, dataset(tmp_path, DIGITS), model, {**SMALL, "loss": loss}, (1, 0))
    assert set(found) == {(name, f"hidden.{i}") for name in ("predicted", "measured") for i in range(2)}
    for layer in ("hidden.0", "hidden.1"):
        predicted, measured = found["predicted", layer], found["measured", layer]
        assert (predicted["step"], measured["step"]) == (0, 1)
        assert predicted["value"] == pytest.approx(measured["value"], abs=1e-3)
    # it is the residuals of this network, on the labels that it saw, that decide
    x, y = (part.double() for part in (member.train.inputs, member.train.targets))
    initial = member.model(0)
    other = early_time_correlation(initial, x, y - (0 if not centered else initial(x).detach()), [initial.hidden[0]])
    assert abs(other[0] - found["measured", "hidden.0"]["value"]) > 1e-3


QUADRATIC = {"hidden_layers": 1, "activation": "quadratic", "width": 24}


def test_random_matrix_row_of_a_quadratic_network(tmp_path):
    found, member = rows(tmp_path, dataset(tmp_path), QUADRATIC, SMALL)
    assert set(found) == {(name, "hidden.0") for name in ("predicted", "random_matrix", "measured")}
    assert found["predicted", "hidden.0"]["value"] == pytest.approx(found["measured", "hidden.0"]["value"], abs=1e-3)
    a = member.model(0).readout.weight.detach()[0]
    expected = random_matrix_correlation(member.train.inputs, member.train.targets, quadratic_network_cumulants(a, 8))
    assert found["random_matrix", "hidden.0"]["value"] == pytest.approx(expected, rel=1e-9)
    assert found["random_matrix", "hidden.0"]["step"] == 0


@pytest.mark.parametrize(
    "change", [{"bias": True}, {"activation": "relu"}, {"hidden_layers": 2}, {"data": DIGITS}], ids=str
)
def test_no_random_matrix_row_elsewhere(tmp_path, change):
    change = dict(change)
    found, _ = rows(tmp_path, dataset(tmp_path, change.pop("data", CHAIN)), {**QUADRATIC, **change}, SMALL)
    assert set(found) == {(name, "hidden.0") for name in ("predicted", "measured")}
