"""The feature-learning gap of members that share a kernel: what each gets does not depend on its company."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk
from lazyrich.metrics.measures import feature_learning_gap
from small_runs import dataset, kernels, measure, member_data, run_spec, train

SIZES = (8, 17, 40)
OPTIONS = {"closed_form": True, "kernel": None, "epsilon": 0.1}


def sized(sizes=SIZES, seeds=(0, 1), **changes):
    """Members of each size and seed."""
    return {
        f"train_size-{size}_seed-{seed}": {
            "seed": seed,
            "axes": {"train_size": size},
            "set": {"training.train_size": size, **changes},
        }
        for size in sizes
        for seed in seeds
    }


def gaps(folder, data, members, model=None):
    """(seed, size, metric) -> value of a run with these members."""
    run = train(folder, data, run_spec(members, model=model))
    rows = measure(folder, {"feature_learning_gap": OPTIONS}, member_data(run, data))
    return {
        (row["seed"], row["train_size"], row["metric"]): row["value"]
        for row in rows
        if row["metric"] != "critical_dataset_size"
    }


def agree(found, expected):
    assert found.keys() == expected.keys()
    for key, number in expected.items():
        assert found[key] == pytest.approx(number, rel=1e-10), key


def factorisations(monkeypatch):
    """The sizes of each regression that is made."""
    asked = []
    original = feature_learning_gap.learning_curve

    def counted(K, y, K_test, y_test, sizes, **options):
        asked.append(list(sizes))
        return original(K, y, K_test, y_test, sizes, **options)

    monkeypatch.setattr(feature_learning_gap, "learning_curve", counted)
    return asked


@pytest.mark.parametrize("centered", [True, False])
def test_members_that_differ_in_size_share_one_factor_and_get_what_they_get_alone(tmp_path, monkeypatch, centered):
    data, model = dataset(tmp_path), {"centered": centered, "parametrization": "ntk"}
    asked = factorisations(monkeypatch)
    together = gaps(tmp_path, data, sized(), model)
    assert asked == [list(SIZES)] * 2  # one for each seed
    for size in SIZES:
        alone = gaps(tmp_path / str(size), data, sized([size]), model)
        agree(alone, {key: value for key, value in together.items() if key[1] == size})
    # With a new size that member alone is measured; the others are taken as they are.
    more = gaps(tmp_path, data, sized([*SIZES, 48]), model)
    assert len(more) > len(together) and {key: more[key] for key in together} == together


def test_centered_networks_that_see_one_draw_share_one_factor(tmp_path, monkeypatch):
    """Whatever else they differ in: the kernel regression knows neither seed nor width. There are two draws."""
    data, asked = dataset(tmp_path), factorisations(monkeypatch)
    found = gaps(tmp_path, data, sized(seeds=(0, 1, 2)))
    assert asked == [list(SIZES)] * 2
    for size in SIZES:
        assert found[0, size, "ntk_test_error"] == found[2, size, "ntk_test_error"] != found[1, size, "ntk_test_error"]


def test_shuffled_labels_are_other_labels_at_each_size(tmp_path, monkeypatch):
    data, asked = dataset(tmp_path), factorisations(monkeypatch)
    together = gaps(tmp_path, data, sized(seeds=(0,), **{"training.labels": "shuffled"}))
    assert asked == [[size] for size in SIZES]
    for size in SIZES:
        alone = gaps(tmp_path / str(size), data, sized([size], (0,), **{"training.labels": "shuffled"}))
        agree(alone, {key: value for key, value in together.items() if key[1] == size})


def test_where_the_shared_factor_needs_more_jitter_each_size_gets_a_factor_of_its_own(tmp_path, monkeypatch):
    """The kernel of the largest size is given an eigenvalue below zero, which is no reason to smooth the others."""
    data = dataset(tmp_path)
    expected = gaps(tmp_path, data, sized(seeds=(0,)))
    kernel = feature_learning_gap.relu_ntk

    def spoilt(x1, x2=None, **network):
        K = kernel(x1, x2, **network)
        if x2 is None and len(K) == SIZES[-1]:
            values, vectors = np.linalg.eigh(K)
            K -= (values[0] + 1e-4) * np.outer(vectors[:, 0], vectors[:, 0])
        return K

    monkeypatch.setattr(feature_learning_gap, "relu_ntk", spoilt)
    found = gaps(tmp_path / "spoilt", data, sized(seeds=(0,)))
    assert found[0, SIZES[-1], "ntk_jitter"] > 1e-4
    small = {key: value for key, value in expected.items() if key[1] != SIZES[-1]}
    agree({key: found[key] for key in small}, small)
    assert {value for (_, _, metric), value in small.items() if metric == "ntk_jitter"} == {1e-6}


def test_the_predictor_of_a_network_that_is_not_centered_starts_from_its_initial_outputs(tmp_path):
    data = dataset(tmp_path)
    model = {"centered": False, "parametrization": "ntk"}
    run = train(tmp_path, data, run_spec(sized(seeds=(1,)), model=model))
    stored = kernels(tmp_path, run, data, at=["initial"], rows={"train": 40, "test": 32}, columns={"train": 40})
    table = measure(tmp_path, {"feature_learning_gap": {**OPTIONS, "kernel": "ntk"}}, member_data(run, data, stored))
    values = {(row["train_size"], row["metric"]): row["value"] for row in table if "train_size" in row}
    every, test = data.split(1, "train"), data.split(1, "test")
    z, truth = test.inputs.double(), test.targets.double().numpy()
    for member in run.members:
        size = run.info(member)["training"]["train_size"]
        x, y = every.inputs[:size].double(), every.targets[:size].double().numpy()
        network = run.model(member, 0).double()
        start, start_at_test = (network(points).detach().numpy() for points in (x, z))
        assert np.abs(start).max() > 0.1

        def error(own, other, unit, y=y - start, start=start_at_test):
            fit = KernelRidge(alpha=1e-6 * unit, kernel="precomputed").fit(own, y)
            return np.square(start + fit.predict(other) - truth).mean() / truth.var()

        unit = np.diag(relu_ntk(every.inputs, hidden_layers=2)).mean()
        expected = error(relu_ntk(x, hidden_layers=2), relu_ntk(z, x, hidden_layers=2), unit)
        assert values[size, "ntk_test_error"] == pytest.approx(expected, rel=1e-8)
        own, other = (empirical_ntk(network, points, x).numpy() for points in (x, z))
        expected = error(own, other, np.diag(own).mean())
        assert values[size, "ntk_test_error_empirical"] == pytest.approx(expected, rel=1e-5)
