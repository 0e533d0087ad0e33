"""The metrics kernel_baselines, after_kernel and kernel_theory on tiny runs, against direct computation."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import pairwise

from lazyrich.datasets import power_law_features
from lazyrich.kernels.closed_form import relu_nngp, relu_ntk
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk
from lazyrich.kernels.features import conjugate_kernel
from lazyrich.metrics.measures import after_kernel, kernel_baselines, kernel_theory
from lazyrich.metrics.power import cumulative_power
from small_runs import DIGITS, dataset, kernels, measure, member_data, run_spec, seeds, train

BASELINES = {"baselines": ["ntk", "nngp", "rbf", "laplace"], "bandwidths": [0.5, 1, 2]}
THEORY = {"kernel": None, "points": 140, "sizes": [8, 16, 32, 64], "subsets": 40, "window": [4, 200]}
STAIRCASE = {
    "dataset": "staircase", "generator": "staircase", "dimension": 10, "order": 3, "train": 100, "test": 60, "probe": 24,
    "draws": 1,
}  # fmt: skip


def values(table, **where):
    """metric -> value of the rows that have all of ``where``."""
    return {row["metric"]: row["value"] for row in table if all(row.get(key) == item for key, item in where.items())}


def arrays(member):
    test = member.split("test")
    return [
        part.double().numpy() for part in (member.train.inputs, member.train.targets, test.inputs, test.targets)
    ] + [test.labels]


def ridge(own, y, other):
    """scikit-learn's regression with the jitter of the metrics."""
    return KernelRidge(alpha=1e-6 * np.diag(own).mean(), kernel="precomputed").fit(own, y).predict(other)


def relative(predictions, truth):
    return np.square(predictions - truth).mean() / truth.var(axis=0).mean()


# -- baselines -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", ["true", "shuffled"])
def test_baselines_are_kernel_ridge_regressions_on_the_training_set_of_the_network(tmp_path, labels):
    data = dataset(tmp_path, DIGITS)
    run = train(tmp_path, data, run_spec(seeds(1), training={"labels": labels, "max_steps": 2}))
    (member,) = member_data(run, data)
    gap = {"closed_form": True, "kernel": None, "epsilon": 0.1}
    table = measure(tmp_path, {"kernel_baselines": BASELINES, "feature_learning_gap": gap}, [member])
    x, y, z, truth, classes = arrays(member)
    x, z = x.reshape(len(x), -1), z.reshape(len(z), -1)
    found = values(table)
    for name, kernel in (("ntk_closed", relu_ntk), ("nngp", relu_nngp)):
        predictions = ridge(kernel(x, hidden_layers=2), y, kernel(z, x, hidden_layers=2))
        assert found[f"{name}_test_error"] == pytest.approx(relative(predictions, truth), rel=1e-7)
        accuracy = (predictions.argmax(axis=1) == classes.numpy()).mean()
        assert found[f"{name}_test_accuracy"] == pytest.approx(accuracy)
        assert found[f"{name}_jitter"] == 1e-6 and f"{name}_bandwidth" not in found
    # For a centred network it is the predictor of the gap, up to where the unit of the jitter comes from.
    assert found["ntk_closed_test_error"] == pytest.approx(found["ntk_test_error"], rel=1e-4)

    median = np.median(pdist(x))
    euclidean = {"rbf": lambda a, b, h: pairwise.rbf_kernel(a, b, gamma=1 / (2 * h**2)),
                 "laplace": lambda a, b, h: np.exp(-pairwise.euclidean_distances(a, b) / h)}  # fmt: skip
    for name, kernel in euclidean.items():
        left_out, tested = {}, {}
        for factor in BASELINES["bandwidths"]:
            own, other = kernel(x, x, factor * median), kernel(z, x, factor * median)
            tested[factor] = relative(ridge(own, y, other), truth)
            folds = [np.delete(np.arange(len(x)), i) for i in range(len(x))]
            left_out[factor] = np.mean(
                [(ridge(own[np.ix_(f, f)], y[f], own[[i]][:, f])[0] - y[i]) ** 2 for i, f in enumerate(folds)]
            )
        best = min(left_out, key=left_out.get)
        assert found[f"{name}_bandwidth"] == pytest.approx(best * median, rel=1e-9)
        assert found[f"{name}_test_error"] == pytest.approx(tested[best], rel=1e-6)


def test_what_members_share_is_computed_once_and_test_points_have_no_part_in_the_choice(tmp_path, monkeypatch):
    """Draws, sizes and labels differ; seeds of one draw, and widths, do not."""
    data = dataset(tmp_path)  # two draws
    entries = {
        "a_seed-0": {}, "b_seed-2": {"seed": 2}, "width-8_seed-0": {"set": {"model.width": 8}}, "c_seed-1": {"seed": 1},
        "size-12_seed-0": {"set": {"training.train_size": 12}}, "depth-1_seed-0": {"set": {"model.hidden_layers": 1}},
        "noise_seed-0": {"set": {"training.label_noise": 0.5}}, "noise_seed-2": {"seed": 2, "set": {"training.label_noise": 0.5}},
    }  # fmt: skip
    run = train(tmp_path, data, run_spec(entries, training={"max_steps": 2}))
    fitted = []
    original = kernel_baselines.leave_one_out_regression
    monkeypatch.setattr(
        kernel_baselines, "leave_one_out_regression", lambda *a, **k: fitted.append(len(a[1])) or original(*a, **k)
    )
    rows = {
        member.name: {row.metric: row.value for row in kernel_baselines.measure(member, ["ntk"], [1])}
        for member in member_data(run, data)
    }
    assert sorted(fitted) == [12, 24, 24, 24, 24, 24]
    assert rows["a_seed-0"] == rows["b_seed-2"] == rows["width-8_seed-0"]
    assert len({row["ntk_closed_test_error"] for row in rows.values()}) == 6
    assert "ntk_closed_test_accuracy" not in rows["a_seed-0"]  # a regression


def test_a_network_without_closed_form_has_the_kernels_of_an_mlp_as_baselines(tmp_path):
    data = dataset(tmp_path, DIGITS)
    model = {"architecture": "cnn", "width": 4, "activation": "tanh", "bias": True}
    run = train(tmp_path, data, run_spec(seeds(1), model=model, training={"max_steps": 1}))
    (member,) = member_data(run, data)
    found = {row.metric: row.value for row in kernel_baselines.measure(member, ["nngp"], [1])}
    x, y, z, truth, _ = arrays(member)
    predictions = ridge(relu_nngp(x, hidden_layers=2), y, relu_nngp(z, x, hidden_layers=2))
    assert found["nngp_test_error"] == pytest.approx(relative(predictions, truth), rel=1e-7)


def test_larger_members_than_asked_for_have_no_baselines_and_cost_none(tmp_path, monkeypatch):
    data = dataset(tmp_path)
    entries = {
        f"size-{size}_seed-0": {"axes": {"train_size": size}, "set": {"training.train_size": size}}
        for size in (8, 16, 40)
    }
    run = train(tmp_path, data, run_spec(entries, training={"max_steps": 1}))
    options = {"baselines": ["nngp", "rbf"], "bandwidths": [1]}
    every = measure(tmp_path / "a", {"kernel_baselines": options}, member_data(run, data))
    kernel_baselines._shared.cache_clear()
    fitted, original = [], kernel_baselines.leave_one_out_regression
    monkeypatch.setattr(
        kernel_baselines, "leave_one_out_regression", lambda *a, **k: fitted.append(len(a[1])) or original(*a, **k)
    )
    some = measure(tmp_path / "b", {"kernel_baselines": {**options, "largest": 16}}, member_data(run, data))
    assert some == [row for row in every if row["train_size"] <= 16]
    assert {row["train_size"] for row in some} == {8, 16} and {row["train_size"] for row in every} == {8, 16, 40}
    assert sorted(fitted) == [8, 8, 16, 16]
    whole = measure(tmp_path / "c", {"kernel_baselines": {**options, "largest": None}}, member_data(run, data))
    assert whole == every


# -- after-kernels ---------------------------------------------------------------------------------------------------


def test_after_kernels_are_regressions_with_the_kernels_of_each_checkpoint(tmp_path):
    data = dataset(tmp_path, DIGITS)
    run = train(tmp_path, data, run_spec(seeds(1), training={"train_size": 20, "max_steps": 40}))
    points = {"rows": {"train": 24, "test": 30}, "dtype": "float64"}
    stored = [
        kernels(tmp_path, run, data, "ntk", columns={"train": 22}, **points),
        kernels(tmp_path, run, data, "ck", object="conjugate_kernel", **points),
    ]
    (member,) = member_data(run, data, *stored)
    gap = {"closed_form": False, "kernel": "ntk", "epsilon": 0.1}
    table = measure(tmp_path, {"after_kernel": {"kernels": ["ntk", "ck"]}, "feature_learning_gap": gap}, [member])
    x, y, z, truth, classes = arrays(member)
    z, truth, errors = z[:30], truth[:30], {}
    inputs, tests = member.train.inputs.double(), member.split("test").inputs[:30].double()
    for name, kernel in (("ntk", empirical_ntk), ("ck", conjugate_kernel)):
        for stage, step in (("initial", 0), ("final", 40)):
            network = run.model("seed-0", step).double()
            own, other = (kernel(network, a, inputs).detach().numpy() for a in (inputs, tests))
            predictions, found = ridge(own, y, other), values(table, stage=stage)
            errors[name, stage] = relative(predictions, truth)
            assert found[f"{name}_regression_error"] == pytest.approx(errors[name, stage], rel=1e-5)
            accuracy = (predictions.argmax(axis=1) == classes[:30].numpy()).mean()
            assert found[f"{name}_regression_accuracy"] == pytest.approx(accuracy)
            assert found[f"{name}_regression_jitter"] == 1e-6
        found = values(table, stage="final")
        gain = errors[name, "initial"] / errors[name, "final"]
        assert found[f"{name}_after_kernel_gain"] == pytest.approx(gain, rel=1e-5) and abs(gain - 1) > 1e-3
        network = relative(member.outputs(40, tests).numpy(), truth)
        assert found[f"{name}_network_ratio"] == pytest.approx(network / errors[name, "final"], rel=1e-5)
        assert not [row for row in table if row["stage"] == "initial" and row["metric"].endswith(("gain", "ratio"))]
    initial = values(table, stage="initial")["ntk_regression_error"]
    assert values(table, stage="final")["ntk_test_error_empirical"] == pytest.approx(initial, rel=1e-9)


def test_an_after_kernel_of_too_few_points_or_of_one_checkpoint_says_what_it_can(tmp_path):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(1), training={"max_steps": 5}))
    few = kernels(tmp_path, run, data, "few", rows={"train": 23, "test": 8})
    last = kernels(tmp_path, run, data, "last", rows={"train": 24, "test": 8}, at=["final"])
    table = measure(tmp_path, {"after_kernel": {"kernels": ["few", "last"]}}, member_data(run, data, few, last))
    assert {row["metric"] for row in table} == {"last_regression_error", "last_regression_jitter", "last_network_ratio"}


def test_the_after_kernel_of_a_dead_network_predicts_zero(tmp_path, monkeypatch):
    """All hidden units off: the kernel at the end is 0."""
    data = dataset(tmp_path, DIGITS)
    run = train(tmp_path, data, run_spec(seeds(1), training={"train_size": 20, "max_steps": 5}))
    stored = kernels(tmp_path, run, data, "ck", object="conjugate_kernel", rows={"train": 20, "test": 30})
    alive = values(measure(tmp_path / "alive", {"after_kernel": {"kernels": ["ck"]}}, member_data(run, data, stored)))
    matrix = stored.matrix

    def dying(name, stage, *points):
        return matrix(name, stage, *points) * (stage != "final")

    monkeypatch.setattr(stored, "matrix", dying)
    (member,) = member_data(run, data, stored)
    table = measure(tmp_path, {"after_kernel": {"kernels": ["ck"]}}, [member])
    first, last = (values(table, stage=stage) for stage in ("initial", "final"))
    *_, truth, classes = arrays(member)
    error = relative(np.zeros((30, 10)), truth[:30])
    assert last["ck_regression_error"] == pytest.approx(error, rel=1e-12) and last["ck_regression_jitter"] == 0
    assert last["ck_regression_accuracy"] == pytest.approx((classes[:30].numpy() == 0).mean())
    assert last["ck_after_kernel_gain"] == pytest.approx(first["ck_regression_error"] / error, rel=1e-12)
    network = relative(member.outputs(5, member.split("test").inputs[:30]).numpy(), truth[:30])
    assert last["ck_network_ratio"] == pytest.approx(network / error, rel=1e-9)
    assert alive["ck_regression_error"] != last["ck_regression_error"]


def test_a_list_of_kernels_is_read_and_decides_what_is_measured_again(tmp_path, monkeypatch):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(1), training={"max_steps": 5}))
    points = {"rows": {"train": 24, "test": 8}}
    one, two = kernels(tmp_path, run, data, "one", **points), kernels(tmp_path, run, data, "two", **points)
    options, asked = {"after_kernel": {"kernels": ["one", "two"]}}, []
    original = after_kernel.measure
    monkeypatch.setattr(after_kernel, "measure", lambda *a, **k: asked.append(1) or original(*a, **k))
    first = measure(tmp_path, options, member_data(run, data, one, two))
    assert measure(tmp_path, options, member_data(run, data, one, two)) == first and len(asked) == 1
    # The kernel that is named second is another one: the member is measured again.
    other = kernels(tmp_path / "other", run, data, "two", object="conjugate_kernel", **points)
    assert measure(tmp_path, options, member_data(run, data, one, other)) != first and len(asked) == 2


# -- theory ----------------------------------------------------------------------------------------------------------


def rows_of(table, metric):
    return {row["argument"]: row["value"] for row in table if row["metric"] == metric}


def test_the_theory_of_the_closed_form_on_a_pool_and_what_it_predicts(tmp_path):
    data = dataset(tmp_path, STAIRCASE)  # 160 points
    run = train(tmp_path, data, run_spec(seeds(1), training={"max_steps": 1, "labels": "shuffled"}))
    table = measure(tmp_path, {"kernel_theory": THEORY}, member_data(run, data))
    splits = [data.split(0, name) for name in ("train", "test")]
    x, y = (np.concatenate([getattr(split, part).double() for split in splits])[:140] for part in ("inputs", "targets"))
    K = relu_ntk(x, hidden_layers=2)
    eigenvalues, vectors = np.linalg.eigh(K)
    expected = cumulative_power(vectors[:, ::-1], y)
    power = rows_of(table, "kernel_cumulative_power")
    assert min(power) == 1 and max(power) == 140 and power[140] == pytest.approx(1)
    for k, share in power.items():
        assert share == pytest.approx(expected[int(k) - 1], abs=1e-8)
    predicted, measured = rows_of(table, "kernel_predicted_error"), rows_of(table, "kernel_measured_error")
    assert list(predicted) == list(measured) == [8, 16, 32, 64]
    for size, error in predicted.items():
        # At up to half of the pool the theory is known to be low.
        assert measured[size] == pytest.approx(error, rel=0.06 if size <= 35 else 0.12)
    generator, errors = np.random.default_rng(0), []
    for _ in range(200):
        order = generator.permutation(140)
        a, b = order[:16], order[16:]
        errors.append(np.square(ridge(K[np.ix_(a, a)], y[a], K[np.ix_(b, a)]) - y[b]).mean() / y.var())
    assert measured[16] == pytest.approx(np.mean(errors), rel=0.05)
    found = values(table)
    assert found["kernel_theory_jitter"] == 1e-6
    slope = -np.polyfit(np.log(np.arange(4, 36)), np.log(eigenvalues[::-1][3:35]), 1)[0]
    assert found["kernel_exponent"] == pytest.approx(slope, rel=0.25)
    for name in ("kernel_exponent", "source_exponent"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]
    assert {row["step"] for row in table} == {0}


def test_power_law_features_have_their_exponents_and_the_curve_that_theory_predicts():
    """On the linear kernel of the generator with alpha = 1.5 and beta = 0.6: exponents 1.5 and 0.9."""
    spec = {"dimension": 2000, "capacity": 1.5, "source": 0.6, "train": 400, "test": 1, "probe": 1}
    split = power_law_features.generate(spec, np.random.default_rng(3))["train"]
    x, y = split["inputs"].astype(np.float64), split["targets"].astype(np.float64)
    options = kernel_theory.Options((100, 200), 16, (5, 60))
    found = list(kernel_theory.rows(x @ x.T, y, options, np.random.default_rng(0)))
    single = {row.metric: row.value for row in found if row.argument is None}
    assert single["kernel_exponent"] == pytest.approx(1.5, rel=0.06)
    assert single["source_exponent"] == pytest.approx(0.9, rel=0.25)  # (u_k . y)^2 of one draw scatters
    curves = {
        name: [row.value for row in found if row.metric == name]
        for name in ("kernel_predicted_error", "kernel_measured_error")
    }
    np.testing.assert_allclose(*curves.values(), rtol=0.08)  # three standard errors of 16 subsets at m = 100


def test_the_theory_of_a_stored_kernel_is_of_its_points_and_its_round_off(tmp_path):
    data = dataset(tmp_path)
    run = train(tmp_path, data, run_spec(seeds(1), training={"max_steps": 1}))
    stored = kernels(
        tmp_path, run, data, "ck", object="conjugate_kernel", rows={"test": 20, "probe": 24}, dtype="float32"
    )
    table = measure(tmp_path, {"kernel_theory": {**THEORY, "kernel": "ck"}}, member_data(run, data, stored))
    matrix = stored.matrix("seed-0", "initial").astype(np.float64)
    y = np.concatenate([data.split(0, "test").targets[:20], data.split(0, "probe").targets]).astype(np.float64)
    found, vectors = np.linalg.eigh(matrix)
    assert found[0] < 0  # 16 features for 44 points, in float32
    assert values(table)["kernel_theory_jitter"] == pytest.approx(
        max(1e-6, -2 * found[0] / np.diag(matrix).mean()), rel=1e-3
    )
    power = rows_of(table, "kernel_cumulative_power")
    assert power[1] == pytest.approx((vectors[:, -1] @ y[:, 0]) ** 2 / (y**2).sum(), rel=1e-6)
    assert list(rows_of(table, "kernel_measured_error")) == [8, 16]  # 32 is more than half of the pool


def test_a_kernel_with_an_eigenvalue_below_zero_gets_one_ridge_for_theory_and_measurement():
    """Of the round-off of a float32 kernel: the ridge is twice what makes the whole positive, so every part of it is, too."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((60, 10))
    K, y = features @ features.T, features @ generator.standard_normal((10, 1))
    direction = np.linalg.eigh(K)[1][:, 0]
    unit = np.diag(K).mean()
    K -= 4e-6 * unit * np.outer(direction, direction)
    found = list(kernel_theory.rows(K, y, kernel_theory.Options((5, 20), 2, (1, 8)), generator))
    single = {row.metric: row.value for row in found if row.argument is None}
    assert single["kernel_theory_jitter"] == pytest.approx(8e-6, rel=1e-4)
    errors = [row.value for row in found if row.metric == "kernel_measured_error"]
    assert errors[0] > 0.1 and errors[1] < 1e-6  # as many samples as features are enough


@pytest.mark.parametrize("count", [7, 10, 64, 100, 130])
def test_modes_are_told_at_every_power_of_ten_and_the_last(count):
    generator = np.random.default_rng(count)
    features, y = generator.standard_normal((count, count)), generator.standard_normal((count, 2))
    K = features @ np.diag(np.arange(1, count + 1) ** -1.0) @ features.T
    found = list(kernel_theory.rows(K, y, kernel_theory.Options((2,), 1, (1, 5)), generator))
    power = {row.argument: row.value for row in found if row.metric == "kernel_cumulative_power"}
    assert {1, count} | {k for k in (10, 100) if k <= count} <= set(power)
    assert list(power) == sorted(power) and max(power) == count and all(k == int(k) for k in power)
    assert power[count] == pytest.approx(1, abs=1e-12)
    vectors = np.linalg.eigh(K)[1][:, ::-1]
    for k, share in power.items():
        assert share == pytest.approx(np.square(vectors[:, :k].T @ y).sum() / np.square(y).sum(), abs=1e-9)
    ratios = np.array(list(power)[1:]) / np.array(list(power)[:-1])
    assert (ratios[np.array(list(power)[:-1]) >= 10] < 1.4).all()  # eight per factor of ten, rounded
