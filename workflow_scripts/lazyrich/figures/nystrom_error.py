"""Errors and times of the Nystrom method against the number of landmarks.

Columns: the NTK and the conjugate kernel of each network; rows: eigenvalues, eigenfunctions, the metrics made of them, and
time. Every ordinate is shared by its row.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_with_band
from lazyrich.figures.series import at_level, collect, levels, over_seeds, plotted, prepare

#: end of the metric's name -> label of the row
ROWS = {
    "eigenvalue_error": "leading\neigenvalues",
    "spectrum_error": "all\neigenvalues",
    "eigenfunction_error": "leading\neigenfunctions",
    "effective_dimension_error": "effective\ndimension",
    "quality_error": "cumulative\nquality",
    "utility_error": "cumulative\nutility",
    "seconds": "time\n(seconds)",
}
KERNELS = {"ntk": "NTK", "conjugate_kernel": "conjugate kernel"}
#: method in the metric's name -> how it is drawn, in words
METHODS: dict[str, tuple[Literal["-", "--"], str]] = {
    "nystrom": ("-", "eigenfunctions of the landmarks, extended"),
    "nystrom_low_rank": ("--", "rank-m approximation of the matrix"),
}
NETWORKS = {"initial": "at initialisation", "lazy": "trained, lazy", "rich": "trained, rich"}
#: Smaller errors are not worth telling apart, and lie outside the panels.
FLOOR = 1e-4
TITLE = "Errors of the Nystrom method against the number of landmarks"
READING = (
    "Relative errors against the exact spectrum on all points; of eigenfunctions, the mean squared sine of the principal "
    "angles between the two spans, at points that are no landmarks. Means over seeds with 95 % intervals. Lines that leave "
    "a panel go on below 0.0001. Times are those of the decompositions, without the entries of the kernel."
)


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``gamma`` and, if there is, ``network``: metrics
            ``<kernel>_<method>_<row>`` of :data:`KERNELS`, :data:`METHODS` and :data:`ROWS`, as far as there are, with the
            number of landmarks as their ``argument``; and ``<kernel>_exact_seconds``.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted.
    """
    names = [f"{kernel}_{method}_{row}" for kernel in KERNELS for method in METHODS for row in ROWS]
    rows, remark = prepare(table, "nystrom_error", ["gamma"], [*names, *(f"{name}_exact_seconds" for name in KERNELS)])
    if "argument" not in rows.columns:
        raise ValueError("figure nystrom_error needs the column `argument`, the number of landmarks")
    columns = [
        (kernel, network)
        for kernel in KERNELS
        for network in levels(rows, "network")
        if at_level(rows, "network", network)["metric"].str.startswith(kernel).any()
    ]
    there = [quantity for quantity in ROWS if rows["metric"].str.endswith(f"_{quantity}").any()]
    numbers: list[pd.DataFrame] = []
    with style.context():
        figure, panels = style.panels(spec, len(there), len(columns), 1.05, sharex=True, sharey="row")
        for column, (kernel, network) in enumerate(columns):
            here = at_level(rows, "network", network)
            panels[0, column].set_title("\n".join(filter(None, (KERNELS[kernel], style.words(network)))))
            for axes, quantity in zip(panels[:, column], there, strict=True):
                for part in _lines(axes, here, kernel, quantity, spec):
                    numbers.append(part.assign(kernel=kernel, network=network))
        landmarks = sorted(rows["argument"].dropna().unique())
        for axes_row, quantity in zip(panels, there, strict=True):
            _scales(axes_row, landmarks)
            if quantity != "seconds":
                axes_row[0].set_ylim(bottom=max(FLOOR, axes_row[0].get_ylim()[0]))
            axes_row[0].set_ylabel(ROWS[quantity])
        for axes in panels[-1]:
            axes.set_xlabel("landmarks m")
        style.title(figure, spec, TITLE)
        style.legend(figure, _handles(spec), READING, remark)
    return figure, collect(numbers)


def _lines(axes: Axes, rows: pd.DataFrame, kernel: str, quantity: str, spec: Mapping) -> Iterator[pd.DataFrame]:
    """Draw one panel; yields the numbers plotted."""
    for method, (linestyle, _) in METHODS.items():
        metric = f"{kernel}_{method}_{quantity}"
        of_metric = rows[rows["metric"] == metric]
        if quantity == "seconds":  # the same for all networks
            per_seed, summary = over_seeds(of_metric, "argument")
            axes.plot(summary["x"], summary["value"], color=style.GREY, linestyle=linestyle)
            yield plotted(per_seed, summary, "argument", metric=metric, series="all")
            continue
        for series, part in _series(of_metric):
            per_seed, summary = over_seeds(part, "argument")
            mean_with_band(axes, summary, series, spec).set_linestyle(linestyle)
            yield plotted(per_seed, summary, "argument", metric=metric, series=series)
    exact = rows[rows["metric"] == f"{kernel}_exact_{quantity}"]
    if len(exact):
        axes.axhline(exact["value"].median(), color=style.GREY, linestyle=":")


def _series(rows: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of the networks at initialisation, and of the trained ones of least and largest gamma."""
    final, gammas = rows[rows["stage"] == "final"], levels(rows, "gamma")
    parts = {
        "initial": rows[rows["stage"] == "initial"],
        "lazy": final[final["gamma"] == gammas[0]] if len(gammas) > 1 else final[:0],
        "rich": final[final["gamma"] == gammas[-1]],
    }
    yield from ((series, part) for series, part in parts.items() if len(part))


def _scales(panels: np.ndarray, landmarks: list[float]) -> None:
    for axes in panels:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(FixedLocator(landmarks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
        axes.yaxis.set_major_locator(LogLocator(numticks=4))
        axes.yaxis.set_minor_locator(NullLocator())


def _handles(spec: Mapping) -> dict[str, Line2D]:
    """Colours and markers say which network, lines which method."""
    networks = {
        words: Line2D([], [], color=style.colour(series, spec), marker=style.marker(series))
        for series, words in NETWORKS.items()
    }
    methods = {words: Line2D([], [], color=style.GREY, linestyle=line) for line, words in METHODS.values()}
    return networks | methods | {"exact (time)": Line2D([], [], color=style.GREY, linestyle=":")}
