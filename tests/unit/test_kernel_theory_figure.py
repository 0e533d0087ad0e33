"""The figure of the kernel's power spectrum and learning curves on a table with known answers."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import same_color

from lazyrich.figures import kernel_theory

SEEDS = range(4)
MODES, SIZES = (1, 4, 16, 64), (8, 16, 32)
TASKS = {"staircase": 0.2, "multi_index": 0.4, "digits": 0.8}


def study(tasks=tuple(TASKS), seeds=SEEDS):
    """1 - C(k) ~ k^-s and error m^-s, measured a tenth above what is predicted, of two members a seed that share it."""
    rows = []
    for task, seed, gamma in itertools.product(tasks, seeds, (1, 0.1)):
        common = {
            "experiment": "e", "run": task, "task": task, "gamma": gamma, "seed": seed, "status": "converged", "step": 0,
            "stage": "initial", "layer": "",
        }  # fmt: skip
        source = TASKS.get(task, 0.5)
        noise = 1 + (seed - 1.5) / 100
        values = [("kernel_cumulative_power", (1 - 0.9 * k**-source) * noise, k) for k in MODES]
        for m in SIZES:
            error = m**-source * noise
            values += [("kernel_predicted_error", error, m), ("kernel_measured_error", 1.1 * error, m)]
        values += [("kernel_exponent", 1.25 * noise, None), ("source_exponent", source * noise, None)]
        rows += [{**common, "metric": metric, "argument": at, "value": value} for metric, value, at in values]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def drawn():
    return kernel_theory.draw(study(), {"title": "A title"})


def lines(axes):
    return [line for line in axes.get_lines() if len(line.get_xdata())]


def is_drawn(axes, x, y):
    return any(np.allclose(line.get_xydata(), np.column_stack([x, y])) for line in lines(axes) if len(line.get_xdata()) == len(x))  # fmt: skip


def small_print(figure):
    return " ".join(figure.legends[0].get_title().get_text().split())


def test_power_of_all_tasks_is_in_one_panel_and_errors_in_one_each(drawn):
    figure, numbers = drawn
    first, *others = figure.axes
    assert [axes.get_title() for axes in others] == ["staircase", "multi index", "digits"]
    means = numbers[numbers["kind"] == "mean"]
    for (task, source), axes in zip(TASKS.items(), others, strict=True):
        assert is_drawn(first, MODES, 1 - 0.9 * np.array(MODES) ** -source)
        error = np.array(SIZES) ** -source
        assert is_drawn(axes, SIZES, error) and is_drawn(axes, SIZES, 1.1 * error)
        of = means[(means["task"] == task) & (means["metric"] == "kernel_measured_error")]
        np.testing.assert_allclose(of["value"], 1.1 * error)
        assert (of["ci_low"] < of["value"]).all() and of["n_seeds"].eq(4).all()
    seeds = numbers[(numbers["kind"] == "seed") & (numbers["metric"] == "kernel_cumulative_power")]
    assert len(seeds) == len(TASKS) * len(SEEDS) * len(MODES)  # members of a seed count once


def test_exponents_are_written_with_their_intervals(drawn):
    figure, numbers = drawn
    for (task, source), axes in zip(TASKS.items(), figure.axes[1:], strict=True):
        (text,) = [text.get_text() for text in axes.texts]
        assert "eigenvalues ~ $k^{-b}$\n  b = 1.25 [1.2" in text
        assert f"power beyond k ~ $k^{{-s}}$\n  s = {source:.2f} [" in text
        of = numbers[(numbers["task"] == task) & (numbers["metric"] == "source_exponent") & (numbers["kind"] == "mean")]
        assert of["value"].item() == pytest.approx(source) and of["ci_low"].item() < source
        assert f"[{of['ci_low'].item():.2f}, {of['ci_high'].item():.2f}]" in text
    single = kernel_theory.draw(study(seeds=range(1)), {})[0]
    assert "[" not in single.axes[1].texts[0].get_text()  # a single seed has no interval
    table = study()
    unfitted = kernel_theory.draw(table[~table["metric"].str.endswith("exponent")], {})[0]
    assert unfitted.axes[1].texts[0].get_text() == ""


def test_axes_are_labelled_and_equal_for_all_tasks(drawn):
    figure, _ = drawn
    assert all(axes.get_xlabel() and axes.get_ylabel() and axes.get_title() for axes in figure.axes)
    assert figure.axes[0].get_xscale() == "log" and figure.axes[0].get_yscale() == "linear"
    assert all(axes.get_xscale() == axes.get_yscale() == "log" for axes in figure.axes[1:])
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in figure.axes[1:]}) == 1
    assert figure.get_suptitle() == "A title"
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["staircase", "multi index", "digits", "measured error", "predicted error"]


def test_tasks_are_told_apart_by_colour_and_by_marker_and_rows_wrap():
    names = ("staircase", "multi_index", "digits", "leap", "cifar10")
    figure, _ = kernel_theory.draw(study(names, range(2)), {})
    drawn = lines(figure.axes[0])
    assert len({line.get_marker() for line in drawn}) == len({line.get_color() for line in drawn}) == 5
    for line, axes in zip(drawn, figure.axes[1:], strict=True):
        assert any(same_color(line.get_color(), other.get_color()) and line.get_marker() == other.get_marker() for other in lines(axes))  # fmt: skip
    assert figure.axes[0].get_gridspec().get_geometry() == (2, 3)
    assert kernel_theory.draw(study(names[:3], range(1)), {})[0].axes[0].get_gridspec().get_geometry() == (2, 2)
    assert kernel_theory.draw(study(names[:2], range(1)), {})[0].axes[0].get_gridspec().get_geometry() == (1, 3)
    with pytest.raises(ValueError, match="draws at most 5 tasks; the table has 6"):
        kernel_theory.draw(study((*names, "sixth"), range(1)), {})


def test_diverged_members_are_left_out_and_counted():
    table = study()
    lost = (table["seed"] == 0) & (table["task"] == "digits")
    figure, numbers = kernel_theory.draw(table.assign(status=table["status"].where(~lost, "diverged")), {})
    assert "2 of 24 trainings diverged" in small_print(figure)
    of = numbers[(numbers["kind"] == "mean") & (numbers["task"] == "digits")]
    assert of["n_seeds"].eq(3).all()


def test_what_is_missing_is_named_and_what_there_is_is_drawn():
    table = study()
    with pytest.raises(ValueError, match="kernel_theory needs the column `argument`"):
        kernel_theory.draw(table.drop(columns="argument"), {})
    with pytest.raises(ValueError, match="kernel_theory finds none of its metrics"):
        kernel_theory.draw(table.assign(metric="other"), {})
    power = table[table["metric"] == "kernel_cumulative_power"]
    assert set(kernel_theory.draw(power, {})[1]["metric"]) == {"kernel_cumulative_power"}
    single = table[table["task"] == "digits"].drop(columns="task")
    assert [axes.get_title() for axes in kernel_theory.draw(single, {})[0].axes[1:]] == ["all trainings"]
