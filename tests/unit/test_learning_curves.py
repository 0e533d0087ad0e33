"""Learning curves of several sets of images and networks, beside kernels, and m* where there is no closed form."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lazyrich.figures import learning_curves, style
from lazyrich.figures.learning_curves import KERNELS

SIZES, SEEDS = (64, 256, 1024), range(4)
#: metric -> its value at size 64; all fall as a root of the size
START = {
    "test_error": 0.5, "ntk_test_error": 0.8, "ntk_test_error_empirical": 0.85, "test_error_ratio": 0.6,
    "test_error_ratio_empirical": 0.55, **dict(zip(KERNELS.values(), (0.4, 0.7, 0.9, 0.95), strict=True)),
}  # fmt: skip
CLOSED = ("ntk_test_error", "test_error_ratio")


def curves(metrics=tuple(START), critical=None, seeds=SEEDS, **axes):
    """Rows of one facet; ``critical`` is metric -> m* of each seed."""
    rows = []
    common = {"experiment": "e", "run": "base", **axes, "status": "converged", "layer": ""}
    factor = 1 + 0.01 * sum(map(ord, "".join(map(str, axes.values()))))
    for metric, seed, size in itertools.product(metrics, seeds, SIZES):
        value = factor * START[metric] * (64 / size) ** 0.5 * (1 + seed / 50)
        stages = ("initial", "final") if metric in ("test_error", "ntk_regression_error") else ("final",)
        for stage in stages:
            rows.append({
                **common, "train_size": size, "seed": seed, "step": 9, "stage": stage, "metric": metric,
                "value": value if stage == "final" else 99,
            })  # fmt: skip
    for metric, sizes in (critical or {}).items():
        for seed, size in zip(seeds, sizes, strict=True):
            rows.append(
                {**common, "train_size": None, "seed": seed, "step": None, "stage": "", "metric": metric, "value": size}
            )
    return pd.DataFrame(rows)


def together(*tables):
    return pd.concat(tables, ignore_index=True)


def is_drawn(axes, x, y):
    lines = [line.get_xydata() for line in axes.get_lines()]
    return any(len(line) == len(x) and np.allclose(line, np.column_stack([x, y])) for line in lines)


def words(axes):
    return "\n".join(text.get_text() for text in axes.texts)


def mean(table, metric):
    rows = table[(table["metric"] == metric) & (table["stage"] == "final")]
    return rows.groupby("train_size")["value"].mean().to_numpy()


def test_there_is_a_column_for_each_task_images_and_network_that_is_there():
    facets = [("odd", "digits", "mlp"), ("odd", "digits", "cnn"), ("even", "cifar10", "cnn"), ("odd", "cifar10", "cnn")]
    parts = [curves(("test_error", "ntk_test_error"), task=t, images=i, network=n) for t, i, n in facets]
    figure, numbers = learning_curves.draw(together(*parts), {})
    upper = np.array(figure.axes).reshape(2, -1)[0]
    titles = {"odd, digits, MLP": 0, "odd, digits, CNN": 1, "even, CIFAR-10, CNN": 2, "odd, CIFAR-10, CNN": 3}
    assert sorted(axes.get_title() for axes in upper) == sorted(titles)
    for axes in upper:
        part = parts[titles[axes.get_title()]]
        for metric in ("test_error", "ntk_test_error"):
            assert is_drawn(axes, SIZES, mean(part, metric))
            assert not any(is_drawn(axes, SIZES, mean(other, metric)) for other in parts if other is not part)
    means = numbers[(numbers["kind"] == "mean") & (numbers["series"] == "network")]
    assert set(map(tuple, means[["task", "images", "network"]].to_numpy())) == set(facets)


def test_without_those_axes_there_is_one_column():
    figure, numbers = learning_curves.draw(curves(("test_error",)), {})
    assert len(figure.axes) == 2 and figure.axes[0].get_title() == "all tasks"
    assert "images" not in numbers and "network" not in numbers


def test_other_kernels_are_thin_dashed_lines_above_alone():
    table = curves(network="mlp")
    figure, numbers = learning_curves.draw(table, {})
    upper, lower = figure.axes
    own = [line for line in upper.get_lines() if len(line.get_xdata()) == len(SIZES)]
    networks = max(line.get_linewidth() for line in own)
    for name, metric in KERNELS.items():
        expected = mean(table, metric)  # that of the kernel after training at the end, not at the start
        (line,) = [line for line in own if np.allclose(line.get_ydata(), expected)]
        assert line.get_linewidth() < 0.7 * networks and line.get_linestyle() == "--"
        assert line.get_marker() == style.marker(name) and line.get_color() == style.colour(name, {})
        assert not is_drawn(lower, SIZES, expected)
        chosen = numbers[(numbers["series"] == name) & (numbers["kind"] == "mean")]
        assert set(chosen["metric"]) == {"test_error"} and chosen["ci_low"].notna().all()
        np.testing.assert_allclose(chosen["value"], expected)
        assert (numbers.query("series == @name")["kind"] == "seed").sum() == len(SEEDS) * len(SIZES)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(KERNELS) < set(legend) and len(legend) == len(set(legend))
    drawn_as = {(line.get_marker(), line.get_color()) for line in own if line.get_marker() != "None"}
    assert len(drawn_as) == 3 + len(KERNELS)


def test_kernels_that_were_not_measured_are_not_named():
    figure, _ = learning_curves.draw(curves(("test_error", "rbf_test_error")), {})
    assert set(KERNELS) & {text.get_text() for text in figure.legends[0].get_texts()} == {"RBF kernel"}


def test_the_critical_size_is_that_of_the_empirical_kernel_where_there_is_no_closed_form():
    empirical = {"critical_dataset_size_empirical": (300, 310, 320, 330)}
    both = {"critical_dataset_size": (500, 510, 520, 530), **empirical}
    table = together(
        curves(critical=both, network="mlp"),
        curves([metric for metric in START if metric not in CLOSED], empirical, network="cnn"),
    )
    figure, numbers = learning_curves.draw(table, {})
    assert [words(axes) for axes in figure.axes] == [
        "",
        "",
        "m* = 515",
        "m* = 315",
    ]  # beside the ratio, of which it is told
    for axes, at in zip(figure.axes, (515, 315) * 2, strict=True):
        assert is_drawn(axes, [at, at], [0, 1]) and not is_drawn(axes, [830 - at] * 2, [0, 1])
    medians = numbers[numbers["kind"] == "median"].set_index("network")
    assert medians["metric"].to_dict() == {
        "mlp": "critical_dataset_size", "cnn": "critical_dataset_size_empirical",
    }  # fmt: skip
    assert medians["value"].to_dict() == {"mlp": 515, "cnn": 315}


@pytest.mark.parametrize("metric", learning_curves.CRITICAL)
def test_a_critical_size_beyond_the_sizes_is_said_to_be_larger_than_the_largest(metric):
    never = curves(("test_error",), {metric: (np.inf,) * 4})
    figure, numbers = learning_curves.draw(never, {})
    assert words(figure.axes[1]).splitlines() == ["m* > 1,024", "m* not reached in 4 of 4 seeds"]
    assert np.isinf(numbers.loc[numbers["kind"] == "median", "value"]).all()
    assert "m* (median, 95 % interval)" not in [text.get_text() for text in figure.legends[0].get_texts()]
    some = curves(("test_error",), {metric: (np.inf, 500, 400, 300)})
    figure, _ = learning_curves.draw(some, {})
    assert words(figure.axes[1]).splitlines() == ["m* = 450", "m* not reached in 1 of 4 seeds"]
    assert not words(figure.axes[0])
