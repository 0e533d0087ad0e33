"""The neural feature ansatz over training: uncentered and centered correlation, feature quality, centered share.

One column of panels per initial scale of the weights; above the correlations with their rotated-kernel nulls, below
the ratio.
"""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_with_band, thin_seeds
from lazyrich.figures.series import at_level, collect, first_layer, levels, over_seeds, plotted, prepare

#: metric -> series (its colour), words of the legend
CORRELATIONS = {
    "uncentered_nfa": ("uncentered", "UC-NFA: weights, gradients of the network"),
    "centered_nfa": ("centered", "C-NFA: the same for the change of the weights"),
    "nfm_egop_correlation": ("features", "NFM-EGOP: weights, gradients of the target"),
}
NULLS = {"uncentered_nfa_null": "uncentered", "centered_nfa_null": "centered"}
RATIO = "nfa_ratio"
#: Defined through the change of the weights, which is zero at step 0 (0/0).
OF_CHANGE = ("centered_nfa", "centered_nfa_null", RATIO)
TITLE = "The neural feature ansatz over training"
#: Axes that can have a column of panels for each of their values -> the title of a column.
FACETS = {
    "init_scale": "initial scale {}",
    "method": "{}",
    "hidden_layers": "{} hidden layers",
    "activation": "{}",
    "batch": "batches of {}",
}


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment, with a column of panels for each value of the first axis of :data:`FACETS` that it
            has. Metrics over steps: ``uncentered_nfa``, ``centered_nfa``, ``nfm_egop_correlation``, the first two
            with ``_null``, and ``nfa_ratio``, as far as there are. Of several layers the first is drawn.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted. The band of a null spans all its values over seeds (and rotations).
    """
    rows, remark = prepare(table, "alignment_over_training", [], (*CORRELATIONS, *NULLS, RATIO))
    rows = rows[rows["step"].notna() & ((rows["step"] > 0) | ~rows["metric"].isin(OF_CHANGE))]
    rows, layer = first_layer(rows)
    axis = next((name for name in FACETS if levels(rows, name) != [""]), "init_scale")
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, 2, len(levels(rows, axis)), 2.3, sharex=True, sharey="row")
        for column, level in enumerate(levels(rows, axis)):
            here = at_level(rows, axis, level)
            upper, lower = panels[:, column]
            upper.set_title(FACETS[axis].format(style.words(level)) if level else "all trainings")
            scale = {axis: level}
            for metric, (series, label) in CORRELATIONS.items():
                numbers.append(_series(upper, here, metric, series, scale, spec, (handles, label)))
            for metric, series in NULLS.items():
                numbers.append(_null(upper, here, metric, series, scale, spec, handles))
            numbers.append(_series(lower, here, RATIO, "ratio", scale, spec, None, seeds=True))
            lower.axhline(1, color=style.GREY, linewidth=0.8)
            lower.set_xlabel("optimiser step")
        _scales(panels, rows)
        panels[0, 0].set_ylabel("correlation (cosine)" + (f"\n{_in_words(layer)}" if layer else ""))
        panels[1, 0].set_ylabel("ratio of inner products,\ncentered / uncentered")
        style.title(figure, spec, TITLE)
        style.legend(
            figure, handles, "Mean over seeds with its 95 % interval (band); thin lines: single seeds.", remark
        )
    return figure, collect(numbers)


def _series(
    axes: Axes,
    rows: pd.DataFrame,
    metric: str,
    series: str,
    scale: dict[str, str],
    spec: Mapping,
    legend: tuple[dict[str, Artist], str] | None,
    *,
    seeds: bool = False,
) -> pd.DataFrame:
    per_seed, summary = over_seeds(rows[rows["metric"] == metric], "step")
    if not len(summary):
        return summary
    line = mean_with_band(axes, summary, series, spec)
    if legend:
        handles, label = legend
        handles.setdefault(label, line)
    if seeds:
        thin_seeds(axes, per_seed, series, spec)
    return plotted(per_seed, summary, "step", **scale, metric=metric, series=series)


def _null(
    axes: Axes,
    rows: pd.DataFrame,
    metric: str,
    series: str,
    scale: dict[str, str],
    spec: Mapping,
    handles: dict[str, Artist],
) -> pd.DataFrame:
    """The rotated-kernel null as a band from its least to its largest value at each step."""
    values = rows[rows["metric"] == metric]
    if not len(values):
        return values[[]]
    ends = values.groupby("step")["value"].agg(["mean", "min", "max"])
    band = axes.fill_between(
        ends.index,
        ends["min"],
        ends["max"],
        facecolor="none",
        edgecolor=style.colour(series, spec),
        hatch="////",
        linewidth=0.4,
        alpha=0.55,
        zorder=1.2,
    )
    name = {"uncentered": "UC-NFA", "centered": "C-NFA"}[series]
    handles.setdefault(f"{name}, gradients rotated at random (range)", band)
    count = values.groupby("step")["seed"].nunique()
    table = pd.DataFrame(
        {
            "step": ends.index,
            "value": ends["mean"].to_numpy(),
            "low": ends["min"].to_numpy(),
            "high": ends["max"].to_numpy(),
        }
    )
    return table.assign(kind="range", seed="", n_seeds=count.to_numpy(), **scale, metric=metric, series=series)


def _in_words(layer: str) -> str:
    """The name of a layer, "hidden.0", for a reader, who counts from 1: "hidden layer 1"."""
    numbered = re.fullmatch(r"(\w+)\.(\d+)", layer)
    return f"{numbered[1]} layer {int(numbered[2]) + 1}" if numbered else layer


def _scales(panels: np.ndarray, rows: pd.DataFrame) -> None:
    last = max(1.0, float(rows["step"].max()))
    decades = [10.0**power for power in range(int(np.log10(last)) + 1)]
    start = (rows["step"] == 0).any()
    for axes in panels.flat:
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)  # logarithmic from step 1 on, with a place for step 0
        axes.set_xlim(-0.3 if start else 0.8, last * 1.4)
        axes.xaxis.set_major_locator(FixedLocator([0.0] * bool(start) + decades))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
    correlations = rows.loc[rows["metric"].isin([*CORRELATIONS, *NULLS]), "value"]
    panels[0, 0].set_ylim(min(0.0, float(correlations.min()) - 0.05) if len(correlations) else 0.0, 1.03)
    style.value_scale(panels[1, 0], rows.loc[rows["metric"] == RATIO, "value"].to_numpy())
