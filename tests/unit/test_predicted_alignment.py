"""The figure of predicted and measured alignment on tables with known numbers, and the facets of the alignment over training."""

import numpy as np
import pandas as pd
import pytest

from lazyrich.figures import alignment_over_training, predicted_alignment
from lazyrich.figures.style import MARKERS

SEEDS = range(4)
NETWORKS = (("relu", 1), ("quadratic", 1))


def rows(metric, value, seed, step=0, **axes):
    return {
        "experiment": "e", "run": "base", **axes, "seed": seed, "status": "finished", "step": step, "stage": "", "layer": "hidden.0",
        "metric": metric, "value": value,
    }  # fmt: skip


def table(data=("chain", "noise"), networks=NETWORKS):
    found = []
    for number, name in enumerate(data):
        for activation, depth in networks:
            for seed in SEEDS:
                axes = {"data": name, "activation": activation, "hidden_layers": depth}
                measured = 0.9 - 0.1 * number + 0.01 * seed
                found.append(rows("early_time_nfa_measured", measured, seed, 1, **axes))
                found.append(rows("early_time_nfa_predicted", measured + 0.001, seed, **axes))
                if activation == "quadratic":
                    found.append(rows("early_time_nfa_random_matrix", measured - 0.02, seed, **axes))
    return pd.DataFrame(found)


def points(axes):
    return {
        (round(float(x), 6), round(float(y), 6)): line.get_marker()
        for line in axes.get_lines()
        for x, y in line.get_xydata()
        if line.get_marker() in MARKERS
    }


def test_means_are_drawn_against_each_prediction():
    figure, numbers = predicted_alignment.draw(table(), {})
    left, right = (points(axes) for axes in figure.axes)
    assert set(left) == {(0.916, 0.915), (0.816, 0.815)} and set(right) == {(0.895, 0.915), (0.795, 0.815)}
    assert set(right.values()) == {MARKERS[1]}  # the quadratic network, as on the left
    means = numbers[(numbers["kind"] == "mean") & (numbers["metric"] == "early_time_nfa_random_matrix")]
    np.testing.assert_allclose(sorted(means["value"]), [0.795, 0.895])
    assert all(axes.get_xlabel() for axes in figure.axes) and figure.axes[0].get_ylabel()
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"ReLU, 1 hidden layer", "quadratic, 1 hidden layer", "chain", "noise", "equality, ± 0.03"} == set(words)


def test_panels_share_a_square_with_the_line_of_equality():
    figure, _ = predicted_alignment.draw(table(), {})
    for axes in figure.axes:
        assert axes.get_xlim() == axes.get_ylim()
        assert any(np.array_equal(line.get_xdata(), line.get_ydata()) for line in axes.get_lines())


def test_a_prediction_that_is_not_there_has_no_panel_and_the_diverged_are_counted():
    single = table(networks=(("relu", 1),))
    lost = single["seed"].eq(3) & single["data"].eq("noise")
    figure, _ = predicted_alignment.draw(single.assign(status=np.where(lost, "diverged", "finished")), {})
    assert len(figure.axes) == 1
    assert (0.81 + 0.001, 0.81) in points(figure.axes[0])
    assert "1 of 8 trainings diverged" in figure.legends[0].get_title().get_text().replace("\n", " ")


def test_the_axis_that_it_needs_is_named():
    with pytest.raises(ValueError, match="predicted_alignment needs the axes data"):
        predicted_alignment.draw(table().drop(columns="data"), {})


@pytest.mark.parametrize(
    ("axis", "levels", "titles"),
    [
        ("init_scale", (0.3, 1), ["initial scale 0.3", "initial scale 1"]),
        ("method", ("speed_limited", "sgd"), ["speed limited (SLO)", "gradient descent"]),
        ("hidden_layers", (2, 5), ["2 hidden layers", "5 hidden layers"]),
    ],
)
def test_alignment_over_training_has_a_column_for_each_value_of_its_axis(axis, levels, titles):
    found = [
        rows(metric, value + 0.1 * number, seed, step, **{axis: level})
        for number, level in enumerate(levels)
        for metric, value in (("uncentered_nfa", 0.5), ("nfa_ratio", 0.1))
        for seed in SEEDS
        for step in (1, 10)
    ]
    figure, numbers = alignment_over_training.draw(pd.DataFrame(found), {})
    assert [axes.get_title() for axes in figure.axes[:2]] == titles
    means = numbers[(numbers["kind"] == "mean") & (numbers["metric"] == "uncentered_nfa")]
    np.testing.assert_allclose(means.groupby(axis, sort=False)["value"].mean(), [0.5, 0.6])


def test_a_long_title_takes_two_lines():
    figure, _ = predicted_alignment.draw(table(), {"title": "A title of many words " * 6})
    assert figure.get_suptitle().count("\n") == 1
