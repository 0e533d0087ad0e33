"""The centered neural feature ansatz just after initialisation: measured against two predictions.

Left the prediction from the initial network and its data, right that of random-matrix theory, which knows their spectra alone.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from lazyrich.figures import style
from lazyrich.figures.series import at_level, collect, levels, over_seeds, plotted, prepare

MEASURED = "early_time_nfa_measured"
#: metric -> label of the abscissa
PREDICTIONS = {
    "early_time_nfa_predicted": "predicted from the initial network",
    "early_time_nfa_random_matrix": "predicted by random-matrix theory",
}
#: Axes that tell networks apart beside their data.
NETWORKS = ("activation", "hidden_layers")
#: Half the width of the band around equality.
BAND = 0.03
READING = (
    "Means over seeds with 95 % intervals. C-NFA: cosine of W'W and W'KW, with W the change of the first layer's weights and K the covariance "
    "of the gradients at its pre-activations."
)
TITLE = "The centered ansatz just after initialisation"


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``data`` (a colour each, at most 5) and, as far as there are, ``activation``
            and ``hidden_layers`` (a marker for each pair). Metrics: ``early_time_nfa_measured`` and those of :data:`PREDICTIONS`.
        spec: ``title`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, "predicted_alignment", ["data"], (MEASURED, *PREDICTIONS))
    shown = [metric for metric in PREDICTIONS if (rows["metric"] == metric).any()]
    networks = list(product(*(levels(rows, axis) for axis in NETWORKS)))
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, 1, len(shown), 3.1, sharex=True, sharey=True)
        for axes, metric in zip(panels[0], shown, strict=True):
            for number, data in enumerate(levels(rows, "data")):
                shade = style.colour(f"task {number + 1}", spec)
                for network, symbol in zip(networks, style.MARKERS, strict=False):
                    here = _of(at_level(rows, "data", data), network)
                    pair = _pair(here, metric)
                    if pair is None:
                        continue
                    _point(axes, pair, shade, symbol)
                    labels = {"data": data, **dict(zip(NETWORKS, network, strict=True))}
                    numbers += [
                        plotted(*over_seeds(here[here["metric"] == name], "step"), "step", metric=name, **labels)
                        for name in (MEASURED, metric)
                    ]
                    handles.setdefault(_words(network), _key("0.35", symbol))
                handles.setdefault(style.words(data), _key(shade, "o"))
            axes.set_xlabel(PREDICTIONS[metric])
        handles[f"equality, ± {BAND:g}"] = _equality(list(panels[0]))
        panels[0, 0].set_ylabel("measured C-NFA\n(cosine)")
        style.title(figure, spec, TITLE)
        style.legend(figure, handles, READING, remark)
    return figure, collect(numbers)


def _of(rows: pd.DataFrame, network: tuple[str, ...]) -> pd.DataFrame:
    for axis, level in zip(NETWORKS, network, strict=True):
        rows = at_level(rows, axis, level)
    return rows


def _pair(rows: pd.DataFrame, metric: str) -> tuple[pd.Series, pd.Series] | None:
    """Mean and interval of the prediction and of what is measured."""
    found = [over_seeds(rows[rows["metric"] == name].assign(x=0), "x")[1] for name in (metric, MEASURED)]
    return (found[0].loc[0], found[1].loc[0]) if all(len(part) for part in found) else None


def _point(axes: Axes, pair: tuple[pd.Series, pd.Series], shade: ColorType, symbol: str) -> None:
    reach = [np.nan_to_num([[one["value"] - one["ci_low"]], [one["ci_high"] - one["value"]]]) for one in pair]
    axes.errorbar(
        pair[0]["value"], pair[1]["value"], xerr=reach[0], yerr=reach[1], color=shade, marker=symbol, markersize=6,
        markeredgecolor="white", markeredgewidth=0.5, elinewidth=1.2, linestyle="none", zorder=3,
    )  # fmt: skip


def _equality(panels: list[Axes]) -> Line2D:
    low = min(min(axes.get_xlim()[0], axes.get_ylim()[0]) for axes in panels)
    high = max(max(axes.get_xlim()[1], axes.get_ylim()[1]) for axes in panels)
    ends = np.array([low, high])
    for axes in panels:
        axes.fill_between(ends, ends - BAND, ends + BAND, color=style.GREY, alpha=0.12, linewidth=0, zorder=1)
        (line,) = axes.plot(ends, ends, color=style.GREY, linewidth=0.9, zorder=2)
        axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    return line


def _words(network: tuple[str, ...]) -> str:
    activation, depth = network
    parts = [
        style.words(activation) if activation else "",
        f"{depth} hidden layer{'s' * (depth != '1')}" if depth else "",
    ]
    return ", ".join(part for part in parts if part) or "network"


def _key(shade: ColorType, symbol: str) -> Line2D:
    return Line2D([], [], linestyle="none", marker=symbol, color=shade, markersize=6)
