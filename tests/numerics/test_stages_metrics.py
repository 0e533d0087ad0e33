"""The stage metrics on tiny runs: each metric against direct computation, and what is left alone."""

import math

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk
from lazyrich.kernels.features import conjugate_kernel
from lazyrich.metrics import member
from lazyrich.metrics.measures import feature_learning_gap
from small_runs import DIGITS, dataset, kernels, measure, member_data, run_spec, seeds, spectra, train


def value(table, metric, stage="final", **where):
    (found,) = [
        row["value"] for row in table
        if row["metric"] == metric and row["stage"] == stage and all(row[key] == wanted for key, wanted in where.items())
    ]  # fmt: skip
    return found


def test_ntk_strength_by_hand(tmp_path, trained):
    run, data = trained
    table = measure(
        tmp_path, {"ntk_strength": {"kernel": "ntk"}}, member_data(run, data, kernels(tmp_path, run, data))[:1]
    )
    x = data.split(0, "probe").inputs.double()
    first, last = (empirical_ntk(run.model("seed-0", step).double(), x).numpy() for step in (0, 60))
    plain = 1 - (first * last).sum() / np.sqrt((first**2).sum() * (last**2).sum())
    centre = np.eye(24) - 1 / 24
    first, last = centre @ first @ centre, centre @ last @ centre
    centered = 1 - (first * last).sum() / np.sqrt((first**2).sum() * (last**2).sum())
    assert centered > 1e-3
    assert value(table, "ntk_strength") == pytest.approx(centered, rel=1e-8)
    assert value(table, "ntk_strength_uncentered") == pytest.approx(plain, rel=1e-8)
    assert value(table, "ntk_strength", "initial") == value(table, "ntk_strength_uncentered", "initial") == 0
    assert {row["step"] for row in table if row["stage"] == "final"} == {60}


def test_a_kernel_larger_than_memory_is_read_in_bands_with_the_same_result(tmp_path, trained, monkeypatch):
    run, data = trained
    members = member_data(run, data, kernels(tmp_path, run, data))[:1]
    in_memory = measure(tmp_path / "a", {"ntk_strength": {"kernel": "ntk"}}, members)
    monkeypatch.setattr(member, "IN_MEMORY", 0)
    monkeypatch.setattr(member.MemberData, "kernel", None)
    in_bands = measure(tmp_path / "b", {"ntk_strength": {"kernel": "ntk"}}, members)
    for metric in ("ntk_strength", "ntk_strength_uncentered"):
        assert value(in_bands, metric) == pytest.approx(value(in_memory, metric), rel=1e-12)


def test_conjugate_kernel_metrics_by_hand_and_what_they_need(tmp_path, trained):
    run, data = trained
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel")
    options = {"kernel": "ck", "spectrum": "spectrum"}
    members = member_data(run, data, stored, spectra(tmp_path, stored))[:1]
    table = measure(tmp_path, {"conjugate_kernel_strength": options}, members)
    matrix = conjugate_kernel(run.model("seed-0", 60).double(), data.split(0, "probe").inputs.double()).numpy()
    values, vectors = np.linalg.eigh(matrix)
    shares = np.clip(values, 0, None) / values.sum()
    entropy = -sum(share * math.log(share) for share in shares if share > 0)
    assert value(table, "conjugate_kernel_effective_dimension") == pytest.approx(math.exp(entropy), rel=1e-6)
    outputs = members[0].outputs(60, data.split(0, "probe").inputs).numpy()
    basis = np.linalg.svd(outputs, full_matrices=False)[0]
    assert value(table, "conjugate_kernel_utility") == pytest.approx(
        np.square(basis.T @ vectors[:, -10:]).sum() / 10, rel=1e-6
    )
    assert not [row for row in table if row["metric"] == "conjugate_kernel_utility" and row["stage"] == "initial"]
    few = member_data(run, data, stored, spectra(tmp_path, stored, vectors=9))[:1]
    with pytest.raises(ValueError, match=r"needs 10 eigenvectors, but 9 were kept; raise `spectra\.spectrum\.vectors`"):
        measure(tmp_path / "few", {"conjugate_kernel_strength": options}, few)


def test_the_utility_of_a_collapsed_network_is_one(tmp_path):
    """Features that are a linear image of the outputs: C directions carry the kernel, and they are those of the outputs."""
    data = dataset(tmp_path, DIGITS)
    run = train(
        tmp_path,
        data,
        run_spec(seeds(1), model={"centered": False, "width": 10, "hidden_layers": 1, "activation": "linear"}),
    )
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel", at=["final"])
    members = member_data(run, data, stored, spectra(tmp_path, stored))
    stored_kernel = stored.matrix("seed-0", "final")
    assert np.linalg.matrix_rank(stored_kernel) == 10
    from lazyrich.metrics.measures import conjugate_kernel_strength

    member = members[0]
    member.kernel = lambda kernel, stage, *_: stored_kernel  # only `final` was computed here
    rows = {
        row.metric: row.value for row in conjugate_kernel_strength.measure(member, kernel="ck", spectrum="spectrum")
    }
    assert rows["conjugate_kernel_utility"] == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("labels", ["true", "shuffled"])
def test_feature_learning_gap_against_kernel_ridge(tmp_path, labels):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(1), training={"labels": labels, "train_size": 24}))
    stored = kernels(tmp_path, run, data, at=["initial"], rows={"train": 24, "test": 12}, columns={"train": 24})
    (member,) = member_data(run, data, stored)
    table = measure(
        tmp_path, {"feature_learning_gap": {"closed_form": True, "kernel": "ntk", "epsilon": 0.1}}, [member]
    )
    x, y = member.train.inputs.double().numpy(), member.train.targets.double().numpy()
    assert (labels == "true") == np.array_equal(y, data.split(0, "train").targets[:24].double().numpy())
    test = data.split(0, "test")
    z, truth = test.inputs.double().numpy(), test.targets.double().numpy()

    def ridge(own, other, truth, unit):
        fit = KernelRidge(alpha=1e-6 * unit, kernel="precomputed").fit(own, y)
        return np.square(fit.predict(other) - truth).mean() / truth.var()

    # Jitter is a share of the mean over all training points of the draw, whatever the size of the training set.
    unit = np.diag(relu_ntk(data.split(0, "train").inputs, hidden_layers=2)).mean()
    error = ridge(relu_ntk(x, hidden_layers=2), relu_ntk(z, x, hidden_layers=2), truth, unit)
    network = np.square(member.outputs(20, test.inputs).numpy() - truth).mean() / truth.var()
    assert value(table, "ntk_test_error") == pytest.approx(error, rel=1e-6)
    assert value(table, "test_error_ratio") == pytest.approx(network / error, rel=1e-6)
    assert value(table, "feature_learning_gap") == pytest.approx(error - network, rel=1e-6)
    own = empirical_ntk(run.model("seed-0", 0).double(), member.train.inputs.double()).numpy()
    other = empirical_ntk(
        run.model("seed-0", 0).double(), test.inputs[:12].double(), member.train.inputs.double()
    ).numpy()
    expected = ridge(own, other, truth[:12], np.diag(own).mean())
    assert value(table, "ntk_test_error_empirical") == pytest.approx(expected, rel=1e-5)
    small = train(tmp_path, data, run_spec(seeds(1), training={"labels": labels, "train_size": 25}))
    (member,) = member_data(small, data, kernels(tmp_path, small, data, at=["initial"], rows={"train": 24, "test": 12}))
    table = measure(
        tmp_path, {"feature_learning_gap": {"closed_form": False, "kernel": "ntk", "epsilon": 0.1}}, [member]
    )
    assert table == []  # the kernel holds fewer points than the network saw


def test_errors_are_relative_to_the_variance_of_the_test_targets(tmp_path):
    data = dataset(tmp_path, DIGITS)
    run = train(tmp_path, data, run_spec(seeds(1)))
    (member,) = member_data(run, data)
    table = measure(tmp_path, {"test_error": {}}, [member])
    targets, outputs = data.split(0, "test").targets.double(), member.outputs(20, data.split(0, "test").inputs)
    expected = float((outputs - targets).square().mean() / (targets - targets.mean(dim=0)).square().mean())
    assert value(table, "test_error") == pytest.approx(expected, rel=1e-5)
    accuracy = float((outputs.argmax(dim=1) == data.split(0, "test").labels).double().mean())
    assert value(table, "test_accuracy") == pytest.approx(accuracy)
    assert len(table) == 4 * len(member.history["step"])


def rows_of(ratios, seed=0, status="finished", **axes):
    common = {
        "experiment": "e",
        "run": "base",
        **axes,
        "seed": seed,
        "status": status,
        "step": 10,
        "stage": "final",
        "layer": "",
    }
    return [
        {**common, "train_size": size, "metric": "test_error_ratio", "value": ratio} for size, ratio in ratios.items()
    ]


def test_critical_size_of_each_seed_from_rows():
    falling = {100: 1.0, 1000: 0.1, 10_000: 0.01}
    table = [
        *rows_of(falling, 0, task="a"), *rows_of({**falling, 10_000: 0.2}, 1, task="a"), *rows_of({100: 0.01}, 0, task="b"),
        {**rows_of({100: 1.0}, 0, task="a")[0], "metric": "ntk_test_error"},
    ]  # fmt: skip
    found = {(row["task"], row["seed"]): row["value"] for row in feature_learning_gap.summarize(table, epsilon=0.05)}
    assert found[("a", 0)] == pytest.approx(10 ** (3 + math.log10(2)), rel=1e-9)  # a line in the logarithms
    assert found[("a", 1)] == math.inf and found[("b", 0)] == 100
    assert all(
        row["metric"] == "critical_dataset_size" and "train_size" not in row
        for row in feature_learning_gap.summarize(table, 0.1)
    )
    assert list(feature_learning_gap.summarize([{"metric": "test_error_ratio", "value": 1.0, "status": ""}], 0.1)) == []


def test_a_seed_of_which_a_size_diverged_has_no_critical_size():
    diverged = {**rows_of({1000: math.nan}, 0, "diverged")[0], "metric": "test_error"}
    table = [*rows_of({100: 1.0, 10_000: 0.01}, 0), diverged, *rows_of({100: 1.0, 1000: 0.1, 10_000: 0.01}, 1)]
    found = {row["seed"]: row["value"] for row in feature_learning_gap.summarize(table, epsilon=0.1)}
    assert math.isnan(found[0]) and found[1] == pytest.approx(1000)


def test_summaries_follow_the_rows_of_members(tmp_path):
    data = dataset(tmp_path)
    sizes = {f"train_size-{size}_seed-{seed}": {"seed": seed, "axes": {"train_size": size}, "set": {"training.train_size": size}}
             for size in (8, 16, 32) for seed in (0, 1)}  # fmt: skip
    run = train(tmp_path, data, run_spec(sizes, task="chain"))
    options = {"closed_form": True, "kernel": None, "epsilon": 1e9}
    table = measure(tmp_path, {"test_error": {}, "feature_learning_gap": options}, member_data(run, data))
    summary = [row for row in table if row["metric"] == "critical_dataset_size"]
    assert [(row["seed"], row["task"], row["value"], row["step"], row["stage"]) for row in summary] == [
        (0, "chain", 8, None, ""), (1, "chain", 8, None, ""),
    ]  # fmt: skip
    assert all(
        {"experiment", "run", "task", "train_size", "seed", "status", "layer"} <= set(row)
        for row in table
        if row not in summary
    )


def test_a_diverged_member_has_its_errors_and_nothing_else(tmp_path, trained):
    run, data = trained
    stored = kernels(tmp_path, run, data)
    table = measure(tmp_path, {"test_error": {}, "ntk_strength": {"kernel": "ntk"}}, member_data(run, data, stored))
    rows = [row for row in table if row["status"] == "diverged"]
    assert {row["metric"] for row in rows} == {"train_error", "test_error", "train_accuracy", "test_accuracy"}
    errors = [row["value"] for row in rows if row["metric"] == "train_error"]
    assert all(math.isfinite(error) for error in errors[:-1]) and not math.isfinite(errors[-1])
    # Read back from the store as it was measured.
    again = measure(tmp_path, {"test_error": {}, "ntk_strength": {"kernel": "ntk"}}, member_data(run, data, stored))
    assert repr(again) == repr(table)


def counting(monkeypatch, *names):
    """Which (member, metric) are measured."""
    from lazyrich.plugins import load

    measured = []
    for name in names:
        module = load("metrics", name)

        def counted(member, name=name, original=module.measure, **options):
            measured.append((member.name, name))
            return original(member, **options)

        monkeypatch.setattr(module, "measure", counted)
    return measured


def test_a_new_metric_option_or_member_leaves_the_others_alone(tmp_path, monkeypatch):
    data = dataset(tmp_path)
    measured = counting(monkeypatch, "test_error", "ntk_strength", "feature_quality")

    def run_and_measure(count, metrics, **code):
        measured.clear()
        run = train(tmp_path, data, run_spec(seeds(count)))
        stored = kernels(tmp_path, run, data)
        measure(tmp_path, metrics, member_data(run, data, stored), {name: code.get(name, "code") for name in metrics})
        return set(measured)

    two, three = ["seed-0", "seed-1"], ["seed-0", "seed-1", "seed-2"]
    metrics = {"test_error": {}, "ntk_strength": {"kernel": "ntk"}}
    assert run_and_measure(2, metrics) == {(member, metric) for member in two for metric in metrics}
    assert run_and_measure(2, metrics) == set()
    more = {**metrics, "feature_quality": {}}
    assert run_and_measure(2, more) == {(member, "feature_quality") for member in two}
    assert run_and_measure(3, more) == {("seed-2", metric) for metric in more}
    assert run_and_measure(3, more, ntk_strength="edited") == {(member, "ntk_strength") for member in three}
    assert run_and_measure(2, metrics) == set()  # going back
