"""What eigenvalues and power of the initial kernel say of the learning curve of kernel regression, and what it is.

The first panel compares tasks by the share of the targets in the leading modes of the kernel; after it comes one panel a task,
with the error that is measured and the one that theory predicts.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lazyrich.figures import style
from lazyrich.figures.lines import line_with_band, mean_with_band, mean_with_bars
from lazyrich.figures.series import at_level, collect, levels, over_seeds, plotted, prepare

POWER, PREDICTED, MEASURED = "kernel_cumulative_power", "kernel_predicted_error", "kernel_measured_error"
#: metric -> what it is the exponent of, letter
EXPONENTS = {"kernel_exponent": ("eigenvalues ~ $k^{-b}$", "b"), "source_exponent": ("power beyond k ~ $k^{-s}$", "s")}
METRICS = (POWER, PREDICTED, MEASURED, *EXPONENTS)
SERIES = tuple(name for name in style.SERIES if name.startswith("task "))
TITLE = "What the initial kernel says of its learning curve"
READING = (
    "Modes are the eigenvectors of the kernel on a pool of inputs, largest eigenvalue first: a task whose C(k) rises early "
    "is easy for the kernel. Where both laws hold, the error falls as a power of m with exponent −s, or "
    "−2b if 2b < s. Means over seeds with 95 % intervals."
)
#: Share of an error panel, from below, that is kept for the exponents.
ROOM = 0.36


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with, if there is, the axis ``task`` (at most five). Metrics, as far as there
            are: ``kernel_cumulative_power`` with the mode as its ``argument``, ``kernel_predicted_error`` and
            ``kernel_measured_error`` with the training-set size, ``kernel_exponent`` and ``source_exponent``.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, "kernel_theory", [], METRICS)
    if "argument" not in rows.columns:
        raise ValueError("figure kernel_theory needs the column `argument`, the mode or the training-set size")
    tasks = levels(rows, "task")
    if len(tasks) > len(SERIES):
        raise ValueError(f"figure kernel_theory draws at most {len(SERIES)} tasks; the table has {len(tasks)}")
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, (first, *others) = style.wrapped(spec, 1 + len(tasks), 2.5)
        for task, series, axes in zip(tasks, SERIES, others, strict=False):
            here, name = at_level(rows, "task", task), style.words(task) or "all trainings"
            numbers.append(_power(first, here, task, series, spec))
            numbers.extend(_errors(axes, here, task, series, spec))
            numbers.extend(_exponents(axes, here, task))
            axes.set_title(name)
            handles[name] = Line2D([], [], color=style.colour(series, spec), marker=style.marker(series))
        first.set(title="power in leading modes", xlabel="mode k", ylabel="cumulative power C(k)", ylim=(0, 1.03))
        _logarithmic(first, rows[rows["metric"] == POWER])
        _scales(others, rows[rows["metric"].isin([PREDICTED, MEASURED])])
        handles["measured error"] = Line2D([], [], color=style.GREY, marker="o", linestyle="none")
        handles["predicted error"] = Line2D([], [], color=style.GREY)
        style.title(figure, spec, TITLE)
        style.legend(figure, handles, READING, remark)
    return figure, collect(numbers)


def _power(axes: Axes, rows: pd.DataFrame, task: str, series: str, spec: Mapping) -> pd.DataFrame:
    per_seed, summary = over_seeds(rows[rows["metric"] == POWER], "argument")
    if len(summary):
        mean_with_band(axes, summary, series, spec).set_markevery(3)
    return plotted(per_seed, summary, "argument", task=task, metric=POWER)


def _errors(axes: Axes, rows: pd.DataFrame, task: str, series: str, spec: Mapping) -> list[pd.DataFrame]:
    """The prediction as a line with its interval, and what is measured as points with bars over it."""
    found = {metric: over_seeds(rows[rows["metric"] == metric], "argument") for metric in (PREDICTED, MEASURED)}
    if len(found[PREDICTED][1]):
        line_with_band(axes, found[PREDICTED][1], style.GREY, "none")
    if len(found[MEASURED][1]):
        mean_with_bars(axes, *found[MEASURED], series, spec, shift=1.0, linestyle="none").set_markersize(5)
    return [plotted(*both, "argument", task=task, metric=metric) for metric, both in found.items()]


def _exponents(axes: Axes, rows: pd.DataFrame, task: str) -> list[pd.DataFrame]:
    """Write the exponents that could be fitted into the panel."""
    numbers, lines = [], []
    for metric, (law, letter) in EXPONENTS.items():
        per_seed, summary = over_seeds(rows[rows["metric"] == metric].assign(constant=0), "constant")
        if not len(summary):
            continue
        value, low, high = summary.loc[0, ["value", "ci_low", "ci_high"]]
        ends = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
        lines.append(f"{law}\n  {letter} = {value:.2f}{ends}")
        numbers.append(plotted(per_seed, summary, "constant", task=task, metric=metric).drop(columns="constant"))
    axes.text(0.04, 0.03, "\n".join(lines), transform=axes.transAxes, color=style.GREY, va="bottom", fontsize=7.5)
    return numbers


def _scales(panels: list[Axes], rows: pd.DataFrame) -> None:
    """Equal axes for all tasks, which are to be compared."""
    low, high = rows["value"].min() / 1.1, rows["value"].max() * 1.2
    bottom = low * (low / high) ** (ROOM / (1 - ROOM))
    for axes in panels:
        axes.set(yscale="log", xlabel="training-set size m (points)", ylabel="error of kernel regression\n(relative to target variance)")  # fmt: skip
        _logarithmic(axes, rows)
        if len(rows):
            axes.set_ylim(bottom, high)
            style.log_ticks(axes.yaxis, bottom, high)


def _logarithmic(axes: Axes, rows: pd.DataFrame) -> None:
    """The argument as a logarithmic abscissa."""
    axes.set_xscale("log")
    if len(rows):
        low, high = rows["argument"].min() / 1.25, rows["argument"].max() * 1.25
        axes.set_xlim(low, high)
        style.log_ticks(axes.xaxis, low, high)
