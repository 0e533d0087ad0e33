"""The feature-learning gap of members that share a kernel: what each gets does not depend on its company."""

import itertools
import math

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import bisect
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


# -- at the network's own training loss ------------------------------------------------------------------------------

MATCHED = {"closed_form": False, "kernel": "ntk", "epsilon": 0.1, "matched": True}


def one_gap(table, name):
    (found,) = [row["value"] for row in table if row["metric"] == name]
    return found


def flow_to_loss(own, y, other, loss):
    """Gradient flow by the matrix exponential, (I - exp(-K t)) y = K times the weights; the time by bisection."""

    def residuals(log_time):
        return expm(-own * math.exp(log_time)) @ y

    time = bisect(lambda log_time: np.square(residuals(log_time)).mean() - loss, -20, 20, xtol=1e-12)
    return other @ np.linalg.solve(own, y - residuals(time))


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("labels", ["true", "shuffled"])
def test_the_matched_gap_is_to_the_flow_of_the_initial_kernel_at_the_final_training_loss(tmp_path, centered, labels):
    data = dataset(tmp_path)
    spec = run_spec(
        {"seed-1": {"seed": 1}},
        model={"centered": centered, "parametrization": "ntk"},
        training={"train_size": 12, "labels": labels},
    )
    run = train(tmp_path, data, spec)
    stored = kernels(tmp_path, run, data, at=["initial"], rows={"train": 16, "test": 20}, columns={"train": 16})
    (member,) = member_data(run, data, stored)
    table = measure(tmp_path, {"feature_learning_gap": MATCHED}, [member])
    x, y = member.train.inputs.double(), member.train.targets.double().numpy()
    test = data.split(1, "test")
    z, truth = test.inputs[:20].double(), test.targets[:20].double().numpy()
    first, last = (run.model("seed-1", step).double() for step in (0, run.steps("seed-1")[-1]))
    own, other = (empirical_ntk(first, points, x).detach().numpy() for points in (x, z))
    start, end, start_at_test, end_at_test = (
        network(points).detach().numpy() for points in (x, z) for network in (first, last)
    )
    loss = np.square(end - centered * start - y).mean()  # a centred network is what it has learned
    base, base_at_test = (0, 0) if centered else (start, start_at_test)
    assert 0.02 < loss / np.square(y - base).mean() < 0.9  # it was stopped on the way
    predictions = base_at_test + flow_to_loss(own, y - base, other, loss)
    error = np.square(predictions - truth).mean() / truth.var()
    network = np.square(end_at_test - centered * start_at_test - truth).mean() / truth.var()
    assert one_gap(table, "ntk_test_error_matched") == pytest.approx(error, rel=1e-5)
    assert one_gap(table, "test_error_ratio_matched") == pytest.approx(network / error, rel=1e-5)
    assert one_gap(table, "feature_learning_gap_matched") == pytest.approx(error - network, rel=1e-4)
    assert abs(one_gap(table, "ntk_test_error_empirical") / error - 1) > 0.01  # the one that is not stopped is another
    assert {row["stage"] for row in table} == {"final"}


def test_matched_rows_are_there_if_asked_for(tmp_path):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec({"seed-0": {}}))
    stored = kernels(tmp_path, run, data, at=["initial"], rows={"train": 24, "test": 20}, columns={"train": 24})
    members = member_data(run, data, stored)
    plain = {name: option for name, option in MATCHED.items() if name != "matched"}
    without, asked = (
        {row["metric"]: row["value"] for row in measure(tmp_path, {"feature_learning_gap": options}, members)}
        for options in (plain, MATCHED)
    )
    assert not [name for name in without if name.endswith("matched")]
    assert {name: value for name, value in asked.items() if not name.endswith("matched")} == without
    assert len(asked) == len(without) + 3
    few = kernels(tmp_path / "few", run, data, at=["initial"], rows={"train": 23, "test": 20})
    assert measure(tmp_path / "few", {"feature_learning_gap": MATCHED}, member_data(run, data, few)) == []


def test_the_matched_gap_of_a_very_lazy_network_is_zero(tmp_path):
    """Full-batch gradient descent in small steps, gamma 1e-3: the network is the flow of its own initial kernel. It is stopped long
    before it fits, so that regression with that kernel is something else."""
    data = dataset(tmp_path)
    training = {"train_size": 24, "batch_size": "full", "learning_rate": 0.02, "max_steps": 200, "precision": "float64",
                "check_every": 200}  # fmt: skip
    entries = {"seed-0": {}, "seed-1": {"seed": 1}, "gamma-3_seed-0": {"set": {"model.gamma": 3}}}
    run = train(tmp_path, data, run_spec(entries, {"width": 64, "gamma": 1e-3}, training))
    stored = kernels(tmp_path, run, data, at=["initial"], rows={"train": 24, "test": 32}, columns={"train": 24})
    *lazy, rich = (
        {row.metric: row.value for row in feature_learning_gap.measure(member, **MATCHED)}
        for member in member_data(run, data, stored)
    )
    for found in lazy:
        assert abs(found["feature_learning_gap_matched"]) < 3e-4 and abs(found["feature_learning_gap_empirical"]) > 0.05
        assert found["test_error_ratio_matched"] == pytest.approx(1, abs=3e-4)
    assert abs(rich["feature_learning_gap_matched"]) > 3e-3


# -- the critical size with the empirical kernel ---------------------------------------------------------------------


def test_each_ratio_has_its_critical_size():
    common = {"experiment": "e", "run": "base", "step": 10, "stage": "final", "layer": ""}
    ratios = {
        "test_error_ratio": {0: (1, 0.1, 0.01), 1: (1, 0.1, 0.2)},
        "test_error_ratio_empirical": {0: (1, 0.01), 1: (1, 0.5)},
        "test_error_ratio_matched": {0: (1, 0.001), 1: (1, 0.001)},
    }
    table = [
        {
            **common,
            "seed": seed,
            "status": "finished",
            "train_size": 10 ** (place + 2),
            "metric": metric,
            "value": value,
        }
        for metric, seeds in ratios.items()
        for seed, values in seeds.items()
        for place, value in enumerate(values)
    ]
    rows = list(feature_learning_gap.summarize(table, epsilon=0.05, matched=True))
    found = {(row["metric"], row["seed"]): row["value"] for row in rows}
    assert found == pytest.approx({
        ("critical_dataset_size", 0): 10 ** (3 + math.log10(2)), ("critical_dataset_size", 1): math.inf,
        ("critical_dataset_size_empirical", 0): 10 ** (2 + math.log10(20) / 2), ("critical_dataset_size_empirical", 1): math.inf,
    })  # fmt: skip
    assert len(rows) == 4
    lost = {**table[0], "seed": 1, "train_size": 5, "status": "diverged", "metric": "test_error", "value": math.nan}
    rows = feature_learning_gap.summarize([*table, lost], epsilon=0.05)
    assert {row["seed"] for row in rows if math.isnan(row["value"])} == {1}


def test_the_empirical_critical_size_is_read_at_the_sizes_that_the_kernel_holds(tmp_path):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(sized((8, 16, 40), (0,))))
    stored = kernels(tmp_path, run, data, at=["initial"], rows={"train": 16, "test": 32}, columns={"train": 16})
    members = member_data(run, data, stored)

    def summary(epsilon):
        options = {"feature_learning_gap": {**OPTIONS, "kernel": "ntk", "epsilon": epsilon}}
        table = measure(tmp_path, options, members)
        curves = {
            name: [(row["train_size"], row["value"]) for row in table if row["metric"] == name]
            for name in feature_learning_gap.CRITICAL
        }
        return curves, {row["metric"]: row["value"] for row in table if row["metric"].startswith("critical")}

    curves, high = summary(1e9)
    assert [len(curve) for curve in curves.values()] == [3, 2]
    assert high == {"critical_dataset_size": 8, "critical_dataset_size_empirical": 8}
    curves, low = summary(1e-9)
    assert low == {"critical_dataset_size": math.inf, "critical_dataset_size_empirical": math.inf}
    (first, at_first), (last, at_last) = curves["test_error_ratio_empirical"]
    between = math.sqrt(at_first * at_last)  # in the middle of the logarithms
    expected = math.sqrt(first * last) if at_last < at_first else math.inf
    assert summary(between)[1]["critical_dataset_size_empirical"] == pytest.approx(expected)


# -- the standard parametrization ------------------------------------------------------------------------------------


def weighted_ntk(a, b, rates):
    """Theta_1 = a_1 S_1 and Theta_(l+1) = a_(l+1) S_(l+1) + E[phi' phi'] Theta_l for ReLU, entry by entry."""
    kernel = np.empty((len(a), len(b)))
    for i, j in itertools.product(range(len(a)), range(len(b))):
        s, p, q = (float(u @ v) / len(u) for u, v in ((a[i], b[j]), (a[i], a[i]), (b[j], b[j])))
        theta = rates[0] * s
        for rate in rates[1:]:
            angle = math.acos(max(-1.0, min(1.0, s / math.sqrt(p * q))))
            s = math.sqrt(p * q) * (math.sin(angle) + (math.pi - angle) * math.cos(angle)) / (2 * math.pi)
            p, q = p / 2, q / 2
            theta = rate * s + (math.pi - angle) / (2 * math.pi) * theta
        kernel[i, j] = theta
    return kernel


def test_in_the_standard_parametrization_layers_count_by_their_fan_in(tmp_path):
    """So the predictor depends on the width, and members of different widths share none."""
    data = dataset(tmp_path)  # inputs of 8 numbers
    entries = {f"width-{width}_seed-0": {"axes": {"width": width}, "set": {"model.width": width}} for width in (4, 64)}
    run = train(tmp_path, data, run_spec(entries, {"parametrization": "standard"}, {"learning_rate": 0.005}))
    members = member_data(run, data)
    table = measure(tmp_path, {"feature_learning_gap": OPTIONS}, members)
    found = {(row["width"], row["metric"]): row["value"] for row in table if "width" in row}
    test, every = data.split(0, "test"), data.split(0, "train").inputs.double().numpy()
    z, truth = test.inputs.double().numpy(), test.targets.double().numpy()
    plain = {}
    for member, width in zip(members, (4, 64), strict=True):
        x, y = member.train.inputs.double().numpy(), member.train.targets.double().numpy()

        def error(rates, x=x, y=y):
            unit = np.mean([weighted_ntk(point[None], point[None], rates) for point in every])
            fit = KernelRidge(alpha=1e-6 * unit, kernel="precomputed").fit(weighted_ntk(x, x, rates), y)
            return np.square(fit.predict(weighted_ntk(z, x, rates)) - truth).mean() / truth.var()

        expected, plain[width] = error((8, width, width)), error((1, 1, 1))
        network = np.square(member.outputs(member.steps[-1], test.inputs).numpy() - truth).mean() / truth.var()
        assert found[width, "ntk_test_error"] == pytest.approx(expected, rel=1e-6)
        assert found[width, "test_error_ratio"] == pytest.approx(network / expected, rel=1e-6)
        assert found[width, "feature_learning_gap"] == pytest.approx(expected - network, rel=1e-4, abs=1e-8)
        assert abs(expected / plain[width] - 1) > 1e-3
    assert abs(found[4, "ntk_test_error"] / found[64, "ntk_test_error"] - 1) > 1e-3
