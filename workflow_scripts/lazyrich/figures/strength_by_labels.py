"""Strength and quality of feature learning against the richness gamma, for true and for shuffled labels.

One row of panels per set of images and network architecture; columns: distance of the NTK, distance of the conjugate kernel, gap to
the NTK, and test accuracy or, of a regression, test error.
"""

from collections.abc import Mapping
from itertools import product

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_with_bars
from lazyrich.figures.series import at_end, at_level, collect, levels, over_seeds, plotted, prepare

GAP = "feature_learning_gap"
#: What the gap may be to, the first of them that there is, and what the small print says of it.
GAPS = {
    f"{GAP}_matched": "The gap is between test errors, relative to the target variance, of the gradient flow of the network's initial "
    "NTK, stopped at the network's training loss, and of the network.",
    GAP: "The gap is between test errors, relative to the target variance, of regression with the infinite-width NTK and of the network.",
    f"{GAP}_empirical": "The gap is between test errors, relative to the target variance, of regression with the network's initial NTK and "
    "of the network.",
}
#: metric -> column title, label of the ordinate
COLUMNS = {
    "ntk_strength": ("change of the NTK", "1 − CKA with initial kernel"),
    "conjugate_kernel_strength": ("change of the\nconjugate kernel", "1 − CKA with initial kernel"),
    GAP: ("gap to the\ninitial NTK", "error, NTK − network"),
    "test_accuracy": ("test accuracy", "share correct"),
    "test_error": ("test error", "error / target variance"),
}

TITLE = "Strength of feature learning for true and shuffled labels"
#: Factors along the abscissa, by place: series with equal gamma stand side by side.
SHIFTS = (0.9, 1 / 0.9)
LINESTYLES = {"true": "-", "shuffled": "--"}


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``gamma`` and, if there are, ``labels`` ("true", "shuffled")
            and ``images`` and ``network``. Metrics at the end of training, as far as there are: ``ntk_strength``,
            ``conjugate_kernel_strength``, the first that there is of :data:`GAPS`, and ``test_accuracy`` or else ``test_error``.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, "strength_by_labels", ["gamma"], (*COLUMNS, *GAPS))
    rows, of_gap = _one_of_each_kind(rows)
    shown = [pair for pair in product(levels(rows, "images"), levels(rows, "network")) if len(_of(rows, *pair))]
    several = len({images for images, _ in shown}) > 1
    metrics = [metric for metric in COLUMNS if (rows["metric"] == metric).any()]
    gammas = [float(value) for value in levels(rows, "gamma")]
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, len(shown), len(metrics), 2.2, sharex=True, sharey="col")
        for column, metric in enumerate(metrics):
            final = at_end(rows, metric)
            for row, (images, network) in enumerate(shown):
                axes = panels[row, column]
                here = _of(final, images, network)
                row_labels = {**({"images": images} if images else {}), "network": network}
                for labels in levels(rows, "labels"):
                    series = labels or "true"
                    per_seed, summary = over_seeds(at_level(here, "labels", labels), "gamma")
                    if metric == GAP:
                        axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
                    shift = SHIFTS[list(LINESTYLES).index(series)]
                    line = mean_with_bars(
                        axes, per_seed, summary, series, spec, shift=shift, linestyle=LINESTYLES[series]
                    )
                    handles.setdefault(f"{series} labels, mean and 95 % interval", line)
                    numbers.append(plotted(per_seed, summary, "gamma", **row_labels, metric=metric, series=series))
                title, ordinate = COLUMNS[metric]
                axes.set_title(_title(title, images if several else "", network, first=row == 0))
                axes.set_ylabel(ordinate)
            _scales(panels[:, column], metric, final, gammas)
        for axes in panels[-1]:
            axes.set_xlabel("γ (lazy ← → rich)")
        handles["one seed"] = Line2D([], [], linestyle="none", marker="o", markersize=2.6, color=style.GREY)
        style.title(figure, spec, TITLE)
        style.legend(figure, handles, "CKA: centered kernel alignment, 1 for equal kernels.", of_gap, remark)
    return figure, collect(numbers)


def _one_of_each_kind(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """One gap, called `GAP`, and accuracy before error; and what to say of the gap."""
    there = set(rows["metric"])
    gap = next((name for name in GAPS if name in there), "")
    drop = [name for name in GAPS if name != gap] + (["test_error"] if "test_accuracy" in there else [])
    rows = rows[~rows["metric"].isin(drop)]
    return rows.assign(metric=rows["metric"].replace({gap: GAP})), GAPS.get(gap, "")


def _of(rows: pd.DataFrame, images: str, network: str) -> pd.DataFrame:
    """The rows of one set of images and one network."""
    return at_level(at_level(rows, "images", images), "network", network)


def _title(metric: str, images: str, network: str, first: bool) -> str:
    """The network, and over the first row the measure, too."""
    of = ", ".join(style.words(name) for name in (images, network) if name)
    return "\n".join(part for part in (metric if first else "", of) if part)


def _scales(panels, metric: str, rows: pd.DataFrame, gammas: list[float]) -> None:
    for axes in panels:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(gammas))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
        axes.set_xlim(min(gammas) / 1.8, max(gammas) * 1.8)
    if metric == "test_accuracy":
        panels[0].set_ylim(0, 1.02)
    elif metric != GAP:
        style.value_scale(panels[0], rows["value"].to_numpy())
