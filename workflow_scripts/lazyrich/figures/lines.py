"""Parts that figures share: a line with its interval over seeds, and the same with single seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from lazyrich.figures.style import colour, marker


def mean_with_band(axes: Axes, summary: pd.DataFrame, series: str, spec: Mapping) -> Line2D:
    """The mean as a line with markers, its 95 % interval as a band; no band where there is a single seed."""
    return line_with_band(axes, summary, colour(series, spec), marker(series))


def line_with_band(axes: Axes, summary: pd.DataFrame, shade: ColorType, symbol: str) -> Line2D:
    """:func:`mean_with_band` of a series that is told by its place: colour and marker are given."""
    (line,) = axes.plot(
        summary["x"], summary["value"], color=shade, marker=symbol, markeredgecolor="white", markeredgewidth=0.5
    )
    has_interval = summary["ci_low"].notna()
    axes.fill_between(
        summary["x"], summary["ci_low"], summary["ci_high"], where=has_interval, color=shade, alpha=0.2, linewidth=0
    )
    return line


def mean_line(axes: Axes, summary: pd.DataFrame, series: str, spec: Mapping) -> Line2D:
    """The mean as a thin line with small markers, for what is there to compare with."""
    shade = colour(series, spec)
    (line,) = axes.plot(
        summary["x"], summary["value"], color=shade, marker=marker(series), linewidth=0.9, markersize=3, linestyle="--"
    )
    return line


def thin_seeds(axes: Axes, per_seed: pd.DataFrame, series: str, spec: Mapping) -> None:
    """One thin line per seed."""
    for _, one in per_seed.groupby("seed", sort=False):
        axes.plot(one["x"], one["value"], color=colour(series, spec), linewidth=0.6, alpha=0.35, zorder=1.5)


def mean_with_bars(
    axes: Axes,
    per_seed: pd.DataFrame,
    summary: pd.DataFrame,
    series: str,
    spec: Mapping,
    *,
    shift: float = 1.0,
    offset: float = 0.0,
    linestyle: str = "-",
) -> Line2D:
    """The mean with its 95 % interval as bars, and seeds as small points, moved in abscissa.

    Both are moved by the factor ``shift``, seeds by its cube, which keeps series with equal abscissae from hiding each
    other. On a linear abscissa ``offset`` is added to that of the seeds, in its units. The numbers plotted keep the true
    abscissa.
    """
    shade = colour(series, spec)
    outside = shift**3  # seeds stand beside their mean
    axes.plot(
        per_seed["x"] * outside + offset,
        per_seed["value"],
        linestyle="none",
        marker=marker(series),
        markersize=2.6,
        color=shade,
        alpha=0.4,
        markeredgewidth=0,
    )
    reach = np.abs(summary[["ci_low", "ci_high"]].to_numpy().T - summary["value"].to_numpy())
    bars = axes.errorbar(
        summary["x"] * shift,
        summary["value"],
        yerr=np.nan_to_num(reach),
        color=shade,
        marker=marker(series),
        linestyle=linestyle,
        markeredgecolor="white",
        markeredgewidth=0.5,
        markersize=6,
        elinewidth=1.4,
        capsize=2.5,
    )
    return bars.lines[0]
