"""The figure of strength and quality against label noise on a table with known means."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lazyrich.figures import strength_against_noise

SEEDS = range(4)
SHARES = (0, 0.25, 0.5, 0.75, 1)
#: metric -> its mean over seeds for a share of permuted labels
MEANS = {
    "ntk_strength": lambda share: 0.6 - 0.1 * share,
    "conjugate_kernel_strength": lambda share: 0.3 + 0.1 * share,
    "feature_learning_gap": lambda share: 0.8 - 1.2 * share,
    "test_error": lambda share: 0.1 + share,
}


def study(tasks=("staircase", "digits"), metrics=tuple(MEANS), seeds=SEEDS):
    rows = []
    for task, share, seed, metric, stage in itertools.product(tasks, SHARES, seeds, metrics, ("initial", "final")):
        mean = MEANS[metric.removesuffix("_empirical")](share)
        rows.append({
            "experiment": "e", "run": task, "task": task, "label_noise": share, "seed": seed, "status": "converged",
            "step": 9 if stage == "final" else 0, "stage": stage, "layer": "", "metric": metric,
            "value": mean + (seed - 1.5) / 100 if stage == "final" else 77,
        })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def drawn():
    return strength_against_noise.draw(study(), {"title": "A title"})


def is_drawn(axes, x, y):
    lines = [line.get_xydata() for line in axes.get_lines()]
    return any(len(line) == len(x) and np.allclose(line, np.column_stack([x, y])) for line in lines)


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def test_every_mean_is_drawn_in_its_panel(drawn):
    figure, numbers = drawn
    panels = np.array(figure.axes).reshape(2, 4)
    for axes_row, task in zip(panels, ("staircase", "digits"), strict=True):
        for axes, (metric, mean) in zip(axes_row, MEANS.items(), strict=True):
            expected = [mean(share) for share in SHARES]
            assert is_drawn(axes, SHARES, expected), (task, metric)
            assert axes.get_title().endswith(task) and axes.get_xscale() == "linear"
            of = numbers[(numbers["task"] == task) & (numbers["metric"] == metric) & (numbers["kind"] == "mean")]
            np.testing.assert_allclose(of["value"], expected)
            assert ((of["ci_low"] < of["value"]) & (of["value"] < of["ci_high"])).all()
    assert len(numbers[numbers["kind"] == "seed"]) == 2 * 4 * len(SHARES) * len(SEEDS)


def test_seeds_stand_beside_their_mean_at_every_share(drawn):
    figure, numbers = drawn
    seeds = numbers[(numbers["task"] == "digits") & (numbers["metric"] == "test_error") & (numbers["kind"] == "seed")]
    points = next(line for line in figure.axes[-1].get_lines() if len(line.get_xdata()) == len(seeds))
    np.testing.assert_allclose(points.get_ydata(), seeds["value"])
    beside = points.get_xdata() - seeds["label_noise"]
    assert beside.min() == pytest.approx(beside.max()) and 0 < beside.min() < 0.1  # also at share 0


def test_strength_starts_at_zero_and_the_gap_has_a_zero_line(drawn):
    figure, _ = drawn
    for strength, conjugate, gap, error in np.array(figure.axes).reshape(2, 4):
        assert strength.get_ylim()[0] == conjugate.get_ylim()[0] == 0
        assert gap.get_ylim()[0] < -0.4 and is_drawn(gap, [0, 1], [0, 0])
        assert not is_drawn(error, [0, 1], [0, 0])
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "gap 0; above 0: network better than its kernel" in words and len(words) == 3


def test_axes_are_labelled(drawn):
    figure, _ = drawn
    panels = np.array(figure.axes).reshape(2, 4)
    assert all(axes.get_ylabel() for axes in panels.flat)
    assert all(axes.get_xlabel() == "share of labels\npermuted" for axes in panels[-1])
    assert [axes.get_title() for axes in panels[1]] == ["digits"] * 4
    assert "change of NTK" in panels[0, 0].get_title() and figure.get_suptitle() == "A title"


def test_diverged_members_are_left_out_and_counted():
    table = study()
    lost = (table["seed"] == 0) & (table["label_noise"] == 1) & (table["task"] == "digits")
    figure, numbers = strength_against_noise.draw(table.assign(status=table["status"].where(~lost, "diverged")), {})
    assert "1 of 40 trainings diverged" in small_print(figure)
    of = numbers[(numbers["kind"] == "mean") & (numbers["task"] == "digits")]
    assert of.loc[of["label_noise"] == 1, "n_seeds"].eq(3).all()
    assert of.loc[of["label_noise"] != 1, "n_seeds"].eq(4).all()


def test_what_is_missing_is_named_and_what_there_is_is_drawn():
    table = study(metrics=("ntk_strength", "test_error"), seeds=range(1)).drop(columns="task")
    figure, numbers = strength_against_noise.draw(table, {})
    assert len(figure.axes) == 2 and set(numbers["metric"]) == {"ntk_strength", "test_error"}
    assert figure.axes[0].get_title() == "strength:\nchange of NTK"
    with pytest.raises(ValueError, match="strength_against_noise needs the axes label_noise; the table has: task"):
        strength_against_noise.draw(study().drop(columns="label_noise"), {})
    with pytest.raises(ValueError, match="finds none of its metrics"):
        strength_against_noise.draw(study().assign(metric="other"), {})


def test_the_gap_to_the_empirical_kernel_serves_where_there_is_no_closed_form():
    table = study(("digits",), ("feature_learning_gap_empirical",))
    whole = pd.concat([study(("staircase",), ("feature_learning_gap",)), table])
    figure, numbers = strength_against_noise.draw(whole, {})
    assert len(figure.axes) == 2
    assert dict(zip(numbers["task"], numbers["metric"], strict=True)) == {
        "staircase": "feature_learning_gap",
        "digits": "feature_learning_gap_empirical",
    }
    assert is_drawn(figure.axes[1], SHARES, [MEANS["feature_learning_gap"](share) for share in SHARES])


def by_layer(task, layers, metric=strength_against_noise.LAST_LAYER):
    """The distance of each layer; that of the last is what MEANS says of the conjugate kernel."""
    table = study((task,), ("conjugate_kernel_strength",)).assign(metric=metric)
    parts = [table.assign(layer=name, value=table["value"] + 5 * (len(layers) - 1 - place))
             for place, name in enumerate(layers)]  # fmt: skip
    return pd.concat(parts)


def test_the_distance_of_the_last_layer_stands_in_for_the_conjugate_kernel():
    layers = [f"hidden.{place}" for place in range(11)]  # of which the last is not the last by alphabet
    table = pd.concat([study(("staircase",)), by_layer("digits", layers), study(("digits",), ("ntk_strength",))])
    figure, numbers = strength_against_noise.draw(table, {})
    panels = np.array(figure.axes).reshape(2, 4)
    expected = [MEANS["conjugate_kernel_strength"](share) for share in SHARES]
    assert is_drawn(panels[0, 1], SHARES, expected) and is_drawn(panels[1, 1], SHARES, expected)
    assert panels[1, 1].get_ylim()[1] < 1  # no other layer is there
    of = numbers[(numbers["task"] == "digits") & (numbers["kind"] == "mean")].groupby("metric")["value"]
    np.testing.assert_allclose(of.get_group(strength_against_noise.LAST_LAYER), expected)
    assert "conjugate_kernel_strength" not in of.groups


def test_the_conjugate_kernel_itself_comes_before_the_last_layer():
    other = by_layer("digits", ["hidden.0"]).assign(value=3.0)
    figure, numbers = strength_against_noise.draw(pd.concat([other, study(("digits",))]), {})
    assert strength_against_noise.LAST_LAYER not in set(numbers["metric"])
    assert is_drawn(figure.axes[1], SHARES, [MEANS["conjugate_kernel_strength"](share) for share in SHARES])
