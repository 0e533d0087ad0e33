"""Strength of feature learning for true and for shuffled labels at equal training error.

Shuffled labels take longer to fit, so the abscissa is how well the training set is fitted, and no time.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_with_band, thin_seeds
from lazyrich.figures.series import at_level, collect, levels, of_one_layer, over_seeds, plotted, prepare, unambiguous

NAME = "strength_over_training"
ERROR = "train_error"
#: metric -> label of the ordinate, from top to bottom
MEASURES = {
    "ntk_strength": "NTK distance\n1 − CKA",
    "conjugate_kernel_strength": "CK distance\n1 − CKA",
    "conjugate_kernel_effective_dimension": "CK effective\ndimension",
    "conjugate_kernel_utility": "CK\nutility",
    "sample_dimensionality": "sample\ndimensionality",
    "weight_change": "relative change\nof weights",
    "layer_alignment_distance": "first layer\n1 − CKA",
    "test_error": "test error /\ntarget variance",
}
#: The axis of the columns: the first of these with more than one level.
FACETS = ("architecture", "network", "gamma")
MOST_COLUMNS = 4
PER_DECADE = 10  # points of the grid of training errors
LINESTYLES = {"true": "-", "shuffled": "--"}
TITLE = "Strength of feature learning at equal training error"
READING = (
    "Training goes from left to right. Thin lines: single seeds, interpolated between their checkpoints at the least training error so "
    "far; thick lines: their mean, as far as at least half of the seeds get, with its 95\u00a0% interval (band). "
    "CK: conjugate kernel; its utility: the share of the outputs' span in its leading eigenvectors; CKA: centered kernel "
    "alignment with the initial kernel."
)


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``labels`` ("true", "shuffled") and, as columns of panels, the first of
            :data:`FACETS` with several levels; of more than four, four are drawn. Metrics over training: ``train_error`` and those
            of :data:`MEASURES`, as far as they have three checkpoints or more, which a curve needs.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, NAME, ["labels"], (ERROR, *MEASURES))
    rows = rows[np.isfinite(rows["value"])]
    facet = next((name for name in FACETS if len(levels(rows, name)) > 1), "")
    facet = facet or next((name for name in FACETS if levels(rows, name) != [""]), "")
    shown, beyond = _thinned(levels(rows, facet))
    labels = [name for name in LINESTYLES if name in levels(rows, "labels")]
    curves = {
        (metric, level, series): _curve(at_level(at_level(rows, facet, level), "labels", series), metric, facet)
        for metric in MEASURES
        for level in shown
        for series in labels
    }
    found = {key[0] for key, points in curves.items() if points.groupby("seed").size().max() > 2}
    measures = [metric for metric in MEASURES if metric in found]
    if not measures:
        raise ValueError(
            f"figure {NAME} finds no metric with {ERROR} at three checkpoints or more; it draws {', '.join(MEASURES)}"
        )
    short = [
        metric
        for metric in MEASURES
        if metric not in found and any(len(curves[key]) for key in curves if key[0] == metric)
    ]
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = _panels(spec, measures, {level: _words(facet, level) for level in shown})
        for (metric, level), axes in panels.items():
            for place, series in enumerate(labels):
                points = curves[metric, level, series]
                if not len(points):
                    continue
                per_seed, summary = _at_equal_error(points)
                line = mean_with_band(axes, summary, series, spec)
                stride = max(2, len(summary) // 6)
                line.set(linestyle=LINESTYLES[series], markevery=(place * stride // 2, stride))
                thin_seeds(axes, per_seed, series, spec)
                handles.setdefault(f"{series} labels", line)
                names = {facet: level} if facet else {}
                numbers.append(plotted(per_seed, summary, ERROR, **names, metric=metric, series=series))
        drawn = collect(numbers)
        for level in shown:
            _abscissa([panels[metric, level] for metric in measures], at_level(drawn, facet, level)[ERROR])
        for metric in measures:
            _ordinate(panels[metric, shown[0]], drawn[drawn["metric"] == metric], [facet] if facet else [])
        style.title(figure, spec, TITLE)
        notes = (
            [f"Not drawn, as measured at fewer than three checkpoints: {', '.join(map(style.words, short))}."]
            if short
            else []
        )
        notes += [f"Not drawn: {_words(facet, ', '.join(beyond))}."] if beyond else []
        style.legend(figure, handles, READING, *notes, remark)
    return figure, drawn


def _curve(rows: pd.DataFrame, metric: str, facet: str) -> pd.DataFrame:
    """The curves of one line: columns ``seed``, ``log_error`` (decadic, of the least training error so far) and ``value``.

    Of several checkpoints with the same least error only the first counts: after it the error is larger than that.
    """
    by = [name for name in (facet, "labels", "seed", "step") if name]
    errors = unambiguous(rows[(rows["metric"] == ERROR) & (rows["value"] > 0)], NAME, by).sort_values("step")
    errors = errors.assign(log_error=np.log10(errors.groupby("seed")["value"].cummin()))
    values = unambiguous(of_one_layer(rows, metric), NAME, by)[["seed", "step", "value"]]
    joined = values.merge(errors[["seed", "step", "log_error"]], on=["seed", "step"]).sort_values(["seed", "step"])
    return joined.drop_duplicates(["seed", "log_error"])[["seed", "log_error", "value"]]


def _at_equal_error(points: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The curves on the grid of training errors, which is the same for all seeds: single seeds and summary (`over_seeds`).

    The grid is 10^(k / PER_DECADE) for whole k. A seed has values between its largest and its least error, and the summary where
    at least half of the seeds have one, and two (if there are two).
    """
    parts = []
    for seed, one in points.groupby("seed"):
        one = one.sort_values("log_error")
        ends = one["log_error"].iloc[[0, -1]].to_numpy() * PER_DECADE
        grid = np.arange(np.ceil(ends[0] - 1e-9), np.floor(ends[1] + 1e-9) + 1) / PER_DECADE
        values = np.interp(grid, one["log_error"], one["value"])
        parts.append(pd.DataFrame({"seed": seed, "error": 10.0**grid, "value": values}))
    per_seed, summary = over_seeds(collect(parts).reindex(columns=["seed", "error", "value"]), "error")
    seeds = points["seed"].nunique()
    return per_seed, summary[summary["n_seeds"] >= max(seeds / 2, min(2, seeds))]


def _thinned(found: Sequence[str]) -> tuple[list[str], list[str]]:
    """At most four levels, the first, the last, and evenly between; and the others."""
    places = np.linspace(0, len(found) - 1, min(len(found), MOST_COLUMNS)).round().astype(int)
    shown = [found[place] for place in places]
    return shown, [level for level in found if level not in shown]


def _panels(
    spec: Mapping, measures: Sequence[str], titles: Mapping[str, str]
) -> tuple[Figure, dict[tuple[str, str], Axes]]:
    """(measure, level) -> its axes: a row for each measure; in two blocks side by side if measures are many and levels few.

    ``titles`` maps each level of the facet to the title of its column.
    """
    shown = list(titles)
    blocks = 2 if len(measures) > 4 and len(shown) <= MOST_COLUMNS // 2 else 1
    rows = -(-len(measures) // blocks)
    figure, grid = style.panels(spec, rows, blocks * len(shown), 1.5 if rows <= 4 else 1.12)
    panels: dict[tuple[str, str], Axes] = {}
    for place, metric in enumerate(measures):
        block, row = divmod(place, rows)
        for column, level in enumerate(shown):
            axes = panels[metric, level] = grid[row, block * len(shown) + column]
            if column:
                axes.sharey(panels[metric, shown[0]])
                axes.tick_params(labelleft=False)
            else:
                axes.set_ylabel(MEASURES[metric], fontsize=8)
            if row == 0:
                axes.set_title(titles[level])
            if row == rows - 1 or metric == measures[-1]:
                axes.set_xlabel("training error /\ntarget variance")
            else:
                axes.tick_params(labelbottom=False)
    for axes in set(grid.flat) - set(panels.values()):
        axes.remove()
    figure.align_ylabels()
    return figure, panels


def _words(facet: str, level: str) -> str:
    return f"γ = {level}" if facet == "gamma" else style.words(level)


def _abscissa(panels: Sequence[Axes], errors: pd.Series) -> None:
    """A logarithmic abscissa that falls to the right, the same for all panels, with at most four labels at 1, 2 or 5 times 10^k."""
    if not len(errors):
        return
    low, high = errors.min() / 1.1, errors.max() * 1.1
    digits = (1, 2, 5) if high < 20 * low else (1,)
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ticks = [tick for power in powers for digit in digits if low <= (tick := float(f"{digit}e{power}")) <= high]
    for axes in panels:
        axes.set_xscale("log")
        axes.set_xlim(high, low)
        axes.xaxis.set_major_locator(FixedLocator(style.few(ticks)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))


def _ordinate(axes: Axes, drawn: pd.DataFrame, by: Sequence[str]) -> None:
    """Logarithmic if the ends of training lie decades apart. What is near 0 at the start is cut off then: on the way from 0 to the
    first checkpoint there are all orders of magnitude.
    """
    means = drawn[drawn["kind"] == "mean"].sort_values(ERROR)
    ends = means.drop_duplicates([*by, "series"])["value"]
    style.value_scale(axes, ends.to_numpy())
    if axes.get_yscale() == "log":
        axes.set_ylim(bottom=max(axes.get_ylim()[0], ends.min() / 10))
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())
