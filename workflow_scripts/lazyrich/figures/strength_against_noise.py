"""Strength and quality of feature learning against the share of labels that are permuted.

One row of panels per task; columns: how far the kernels moved, the gap of the network to its initial kernel, test error.
"""

from collections.abc import Mapping

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_with_bars
from lazyrich.figures.series import at_end, at_level, collect, levels, over_seeds, plotted, prepare

#: Of the last hidden layer it is the conjugate-kernel distance, on the same points.
LAST_LAYER = "layer_alignment_distance"
GAP, EMPIRICAL_GAP = "feature_learning_gap", "feature_learning_gap_empirical"
#: Columns: metrics, of which the first that a task has is drawn -> title, label of the ordinate
COLUMNS = {
    ("ntk_strength",): ("strength:\nchange of NTK", "1 − CKA with initial"),
    ("conjugate_kernel_strength", LAST_LAYER): ("strength: change of\nconjugate kernel", "1 − CKA with initial"),
    (GAP, EMPIRICAL_GAP): ("quality: feature\nlearning gap", "error, NTK − network"),
    ("test_error",): ("quality:\ntest error", "relative test error"),
}
METRICS = tuple(metric for column in COLUMNS for metric in column)
TITLE = "Feature learning against label noise"
READING = (
    "CKA: centered kernel alignment, 1 for equal kernels. Errors are on test points with true labels, relative to the variance of "
    "the targets. Every panel has its own ordinate."
)


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``label_noise`` (0 to 1) and, as one row of panels each, the values
            of ``task``. Metrics at the end of training, as far as there are: ``ntk_strength``,
            ``conjugate_kernel_strength`` (else ``layer_alignment_distance`` of the last layer), ``feature_learning_gap`` (else with
            ``_empirical``), ``test_error``.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, "strength_against_noise", ["label_noise"], METRICS)
    tasks, shares = levels(rows, "task"), [float(share) for share in levels(rows, "label_noise")]
    columns = {metrics: words for metrics, words in COLUMNS.items() if rows["metric"].isin(metrics).any()}
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, len(tasks), len(columns), 2.15, sharex=True)
        for row, task in enumerate(tasks):
            here = at_level(rows, "task", task)
            for axes, (metrics, (title, ordinate)) in zip(panels[row], columns.items(), strict=True):
                metric = next((name for name in metrics if (here["metric"] == name).any()), metrics[0])
                final = at_end(here, metric)
                if metric == LAST_LAYER:
                    final = at_level(final, "layer", levels(final, "layer")[-1])
                per_seed, summary = over_seeds(final, "label_noise")
                if len(summary):
                    line = mean_with_bars(axes, per_seed, summary, "network", spec, offset=0.035)
                    handles["network, mean and 95 % interval over seeds"] = line
                numbers.append(plotted(per_seed, summary, "label_noise", task=task, metric=metric))
                if GAP in metrics:
                    zero = axes.axhline(0, color=style.GREY, linewidth=1, linestyle="--", zorder=1.6)
                    handles["gap 0; above 0: network better than its kernel"] = zero
                axes.set_ylabel(ordinate)
                axes.set_title("\n".join([title] * (row == 0) + [style.words(task)] * bool(task)))
                _scales(axes, shares, metric)
        for axes in panels[-1]:
            axes.set_xlabel("share of labels\npermuted")
        handles["one seed"] = Line2D([], [], linestyle="none", marker="o", markersize=2.6, color=style.GREY)
        style.title(figure, spec, TITLE)
        style.legend(figure, handles, READING, remark)
    return figure, collect(numbers)


def _scales(axes: Axes, shares: list[float], metric: str) -> None:
    """Ordinates from 0, but for the gap, which has a sign; a test error of nearly 0 is to be seen whole."""
    axes.xaxis.set_major_locator(FixedLocator(style.few(shares)))
    axes.xaxis.set_minor_locator(FixedLocator(shares))
    axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
    axes.set_xlim(min(shares) - 0.08, max(shares) + 0.1)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    if metric not in (GAP, EMPIRICAL_GAP):
        top = max(axes.dataLim.y1, 1e-3)
        axes.set_ylim(-0.04 * top if metric == "test_error" else 0, 1.06 * top)
