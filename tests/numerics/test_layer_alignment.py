"""1 - CKA of hidden layers: from features against Gram matrices and the formula, and the layers of trained networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from cases import CASES
from lazyrich.kernels.feature_distance import centered_kernel_distance_from_features
from lazyrich.metrics.measures import conjugate_kernel_strength
from lazyrich.models.features import penultimate_features
from lazyrich.models.hidden import hidden_features
from small_runs import DIGITS, dataset, kernels, measure, member_data, run_spec, seeds, spectra, train


def distance(A, B):
    """1 - CKA, written out."""
    H = np.eye(len(A)) - 1 / len(A)
    K, L = H @ A @ A.T @ H, H @ B @ B.T @ H
    return 1 - np.sum(K * L) / np.linalg.norm(K) / np.linalg.norm(L)


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 14), p=st.integers(1, 16), q=st.integers(1, 16), seed=st.integers(0, 99))
def test_equals_the_formula(n, p, q, seed):
    rng = np.random.default_rng(seed)
    A, B, C = rng.standard_normal((n, p)) + 3, rng.standard_normal((n, q)), rng.standard_normal((n, p))
    assert centered_kernel_distance_from_features(A, B) == pytest.approx(distance(A, B), abs=1e-9)
    assert centered_kernel_distance_from_features(A, C) == pytest.approx(distance(A, C), abs=1e-9)
    # What CKA does not see: a shift, a scale; and, here, no rotation is undone.
    assert centered_kernel_distance_from_features(A, 7 * A - 2) == pytest.approx(0, abs=1e-14)
    rotation = np.linalg.qr(rng.standard_normal((p, p)))[0]
    assert centered_kernel_distance_from_features(A, A @ rotation) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("change", [1e-2, 1e-5, 1e-7])
def test_small_changes_keep_their_digits(change):
    """To second order 1 - CKA = ||M||^2 - <K, M>^2 over 2 ||K||^2, with M the change of the kernel K of unit length."""
    rng = np.random.default_rng(0)
    A, D = rng.standard_normal((30, 4)), rng.standard_normal((30, 4))
    found = centered_kernel_distance_from_features(A, A + change * D)
    A, D = A - A.mean(axis=0), D - D.mean(axis=0)
    K, M = A @ A.T, A @ D.T + D @ A.T
    second_order = (np.sum(M * M) - np.sum(K * M) ** 2 / np.sum(K * K)) / np.sum(K * K) / 2
    assert found == pytest.approx(change**2 * second_order, rel=max(20 * change, 1e-6))


def test_constant_features_have_no_distance_and_mistakes_are_refused():
    A = np.random.default_rng(0).standard_normal((9, 2))
    constant = np.tile([0.1, 1 / 3], (9, 1))  # a mean of which is another number in the last bit
    assert (constant.mean(axis=0) != constant[0]).any()
    assert np.isnan(centered_kernel_distance_from_features(A, constant))
    assert centered_kernel_distance_from_features(A, A) == 0
    with pytest.raises(ValueError, match=r"\(9, 2\) and \(8, 2\)"):
        centered_kernel_distance_from_features(A, A[1:])
    with pytest.raises(ValueError, match="not finite"):
        centered_kernel_distance_from_features(A, np.full_like(A, np.nan))


# -- features of layers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [2, 512])
def test_features_of_a_hand_made_network(batch_size):
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(inplace=True), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)
    ).double()  # fmt: skip
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1))
    x = torch.randn(5, 1, 2, 2, generator=torch.Generator().manual_seed(0)).double()
    found = hidden_features(model, x, batch_size)
    assert list(found) == ["0", "4"] and model.training
    pooled = torch.stack([x.clamp(min=0).mean(dim=(1, 2, 3)), (-x).clamp(min=0).mean(dim=(1, 2, 3))], dim=1)
    torch.testing.assert_close(found["0"], pooled)
    torch.testing.assert_close(found["4"], torch.tanh(model[4](pooled)).detach())


class Skipping(nn.Module):
    """A skip connection that adds in place to what entered the layer beside it."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.readout = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 1)

    def forward(self, x):
        hidden = self.first(x)
        hidden += self.second(hidden)
        return self.readout(hidden)


def test_features_are_those_of_the_moment_in_which_they_enter():
    model, x = Skipping(), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    found = hidden_features(model, x)
    entering = model.first(x).detach()
    torch.testing.assert_close(found["first"], entering)
    torch.testing.assert_close(found["second"], (entering + model.second(entering)).detach())


@pytest.mark.parametrize("name", ["relu", "multipliers", "convolution and batch normalisation"])
def test_the_last_are_those_in_front_of_the_readout(name):
    case = next(case for case in CASES if case.name == name)
    model, x = case.model(), case.inputs(4)
    torch.testing.assert_close(list(hidden_features(model, x).values())[-1], penultimate_features(model, x))


def test_networks_without_hidden_layers_are_refused():
    with pytest.raises(ValueError, match="calls 1 linear"):
        hidden_features(nn.Linear(2, 1), torch.ones(3, 2))
    with pytest.raises(ValueError, match="0 samples in batches"):
        hidden_features(nn.Linear(2, 1), torch.ones(0, 2))


# -- the metric ------------------------------------------------------------------------------------------------------


def test_rows_of_an_mlp_end_with_the_strength_of_the_conjugate_kernel(tmp_path, trained):
    run, data = trained
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel")
    member = member_data(run, data, stored, spectra(tmp_path, stored))[0]
    table = measure(tmp_path, {"layer_alignment": {"samples": None}}, [member])
    values = {(row["step"], row["layer"]): row["value"] for row in table}
    assert sorted(values) == sorted((step, layer) for step in member.steps for layer in ("hidden.0", "hidden.1"))
    assert all((value == 0) == (step == 0) for (step, _), value in values.items())
    strength = {
        (row.step, row.metric): row.value
        for row in conjugate_kernel_strength.measure(member, kernel="ck", spectrum="spectrum")
    }
    assert values[60, "hidden.1"] == pytest.approx(strength[60, "conjugate_kernel_strength"], rel=1e-8)
    x = data.split(0, "probe").inputs.double().flatten(1)
    first, last = (
        torch.relu(run.model("seed-0", step).double().hidden[0](x)).detach().numpy() for step in (0, 60)
    )  # 24 samples, 16 units: no Gram matrix is formed
    assert values[60, "hidden.0"] == pytest.approx(distance(first, last), rel=1e-8)


def test_rows_of_a_cnn(tmp_path):
    data = dataset(tmp_path, DIGITS)
    run = train(tmp_path, data, run_spec(seeds(1), model={"architecture": "cnn", "width": 4}))
    table = measure(tmp_path, {"layer_alignment": {"samples": 20}}, member_data(run, data))
    final = {row["layer"]: row["value"] for row in table if row["stage"] == "final"}
    assert list(final) == ["hidden.0", "hidden.1", "hidden.2"]
    x = data.split(0, "probe").inputs[:20].double()

    def pooled(model, depth):
        features = x
        for layer in model.hidden[:depth]:
            features = nn.functional.avg_pool2d(torch.relu(layer(features)), 2)
        return features.flatten(1).detach().numpy()

    models = [run.model("seed-0", step).double() for step in (0, 20)]
    for depth, layer in ((1, "hidden.0"), (2, "hidden.1")):
        expected = distance(*(pooled(model, depth) for model in models))
        assert final[layer] == pytest.approx(expected, rel=1e-8) and expected > 1e-6


def test_the_conjugate_kernel_of_an_uncentred_network_is_read_at_initialisation_too(tmp_path):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(1), model={"centered": False}))
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel")
    (member,) = member_data(run, data, stored, spectra(tmp_path, stored))
    rows = conjugate_kernel_strength.measure(member, kernel="ck", spectrum="spectrum")
    found = {(row.metric, row.step): row.value for row in rows}
    x = data.split(0, "probe").inputs.double()
    initial = stored.matrix("seed-0", "initial")
    for step, stage in ((0, "initial"), (20, "final")):
        K = stored.matrix("seed-0", stage)
        f = run.model("seed-0", step).double()(x).detach().numpy()[:, 0]
        leading = np.linalg.eigh(K)[1][:, -1]
        share = (leading @ f) ** 2 / (f @ f)  # with one output, span and norm are the same
        assert found["conjugate_kernel_power", step] == pytest.approx(share, rel=1e-6)
        assert found["conjugate_kernel_utility", step] == pytest.approx(share, rel=1e-6)
        plain = 1 - np.sum(initial * K) / np.linalg.norm(initial) / np.linalg.norm(K)
        assert found["conjugate_kernel_strength_uncentered", step] == pytest.approx(plain, rel=1e-7, abs=1e-14)


def test_power_counts_directions_by_their_size(tmp_path, trained):
    run, data = trained
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel")
    member = member_data(run, data, stored, spectra(tmp_path, stored))[0]
    rows = conjugate_kernel_strength.measure(member, kernel="ck", spectrum="spectrum")
    found = {(row.metric, row.step): row.value for row in rows}
    outputs = member.outputs(60, data.split(0, "probe").inputs).numpy()
    vectors = np.linalg.eigh(stored.matrix("seed-0", "final"))[1][:, -10:]
    expected = np.square(vectors.T @ outputs).sum() / np.square(outputs).sum()
    assert found["conjugate_kernel_power", 60] == pytest.approx(expected, rel=1e-6)
    assert ("conjugate_kernel_power", 0) not in found
