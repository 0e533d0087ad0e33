"""Test error against training-set size: the network, the NTK of its initialisation, and where they part (m*).

One column of panels per task; above the errors relative to the variance of the targets, below the ratio of network to
kernel.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_with_band, thin_seeds
from lazyrich.figures.series import at_end, at_level, collect, levels, over_seeds, plotted, prepare

NETWORK, CLOSED_FORM, EMPIRICAL = "network", "closed-form NTK", "empirical NTK"
CRITICAL = "critical_dataset_size"
RATIOS = {CLOSED_FORM: "test_error_ratio", EMPIRICAL: "test_error_ratio_empirical"}
ERRORS = {NETWORK: "test_error", CLOSED_FORM: "ntk_test_error", EMPIRICAL: "ntk_test_error_empirical"}
METRICS = (*ERRORS.values(), *RATIOS.values(), CRITICAL)
TITLE = "Test error of a network and of its initial kernel"
#: The ratio of test errors that defines m* (Goring et al., definition 16).
EPSILON = 0.1


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``train_size`` and, as one panel each, the values of
            ``task``. Metrics, as far as there are: ``test_error``; ``ntk_test_error`` and ``test_error_ratio``, both
            also with ``_empirical``; ``critical_dataset_size``.
        spec: ``title``, ``palette``, ``width`` (inches) and ``epsilon``, the ratio that defines m* (default 0.1).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, "learning_curves", ["train_size"], METRICS)
    tasks = levels(rows, "task")
    sizes = [float(size) for size in levels(rows[rows["metric"] != CRITICAL], "train_size")]
    end = 1.3 * max(sizes)
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, 2, len(tasks), 2.4, sharex=True, sharey="row")
        for column, task in enumerate(tasks):
            of_task = at_level(rows, "task", task)
            upper, lower = panels[:, column]
            upper.set_title(style.words(task) or "all tasks")
            for axes, series in ((upper, _series(of_task, ERRORS)), (lower, _series(of_task, RATIOS))):
                metric = "test_error" if axes is upper else "test_error_ratio"
                for name, values in series.items():
                    per_seed, summary = over_seeds(values, "train_size")
                    handles.setdefault(_label(name), mean_with_band(axes, summary, name, spec))
                    thin_seeds(axes, per_seed, name, spec)
                    numbers.append(plotted(per_seed, summary, "train_size", task=task, metric=metric, series=name))
            numbers.append(
                _critical_size((upper, lower), of_task[of_task["metric"] == CRITICAL], task, handles, sizes, end)
            )
            epsilon = float(spec.get("epsilon", EPSILON))
            handles.setdefault(
                f"ratio {epsilon:g}, defines m*", lower.axhline(epsilon, color=style.GREY, linestyle="--", linewidth=1)
            )
            lower.axhline(1, color=style.GREY, linewidth=0.8)
            lower.set_xlabel("training-set size m (points)")
        _scales(panels, sizes, end)
        panels[0, 0].set_ylabel("test error\n(relative to target variance)")
        panels[1, 0].set_ylabel("test error,\nnetwork / kernel")
        style.title(figure, spec, TITLE)
        style.legend(
            figure, handles, "Mean over seeds with its 95 % interval (band); thin lines: single seeds.", remark
        )
    return figure, collect(numbers)


def _label(name: str) -> str:
    return name if name == NETWORK else f"{name} (below: ratio to it)"


def _series(rows: pd.DataFrame, metrics: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Series name -> its rows at the end of training, for the metrics that there are."""
    return {name: at_end(rows, metric) for name, metric in metrics.items() if (rows["metric"] == metric).any()}


def _critical_size(
    axes: tuple[Axes, Axes], rows: pd.DataFrame, task: str, handles: dict[str, Artist], sizes: list[float], end: float
) -> pd.DataFrame:
    """Mark the median of m* over seeds and its interval; a seed that never gets there has an infinite m*.

    An interval that is open to the right is drawn up to ``end``, the right end of the abscissa. ``sizes`` are all
    training-set sizes.
    """
    per_seed, summary = over_seeds(rows.assign(constant=0), "constant", "median")
    if not len(summary):
        return summary
    median, low, high = summary.loc[0, ["value", "ci_low", "ci_high"]]
    smallest = min(sizes)
    unreached = int((~np.isfinite(per_seed["value"])).sum())
    relation = "=" if median > smallest else "≤"  # below the threshold everywhere: sizes are too large to tell
    words = [f"m* {relation} {median:,.0f}"] if np.isfinite(median) else []
    if unreached:
        words.append(f"m* not reached in {unreached} of {len(per_seed)} seeds")
    for each in axes:
        if np.isfinite(median):
            handles["m* (median, 95 % interval)"] = each.axvline(median, color=style.GREY, linewidth=1.2, linestyle=":")
        if np.isfinite(low):
            each.axvspan(low, high if np.isfinite(high) else max(end, low), color=style.GREY, alpha=0.12, linewidth=0)
    axes[0].text(0.03, 0.05, "\n".join(words), transform=axes[0].transAxes, color=style.GREY, va="bottom")
    table = plotted(per_seed, summary, "constant", "median", task=task, metric=CRITICAL, series=NETWORK)
    return table.drop(columns="constant")


def _scales(panels: np.ndarray, sizes: list[float], end: float) -> None:
    for axes in panels.flat:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(min(sizes) / 1.3, end)
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
        axes.xaxis.set_major_locator(FixedLocator(sizes[:: max(1, -(-len(sizes) // 4))]))  # at most four labels
        axes.xaxis.set_minor_locator(NullLocator())
