"""The ratio of test errors of network and kernel at several widths, and how the critical dataset size m* moves with the width.

One panel for each parametrization with the ratio against training-set size; in the last one m* of all against width.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import line_with_band
from lazyrich.figures.series import RESAMPLES, at_end, at_level, collect, levels, over_seeds, plotted, prepare
from lazyrich.intervals import generator_for
from lazyrich.metrics.critical_size import critical_size_interval
from lazyrich.metrics.crossing import critical_dataset_size
from lazyrich.tidy import normalised

#: metric -> the kernel in words
RATIOS = {"test_error_ratio": "closed-form NTK", "test_error_ratio_empirical": "empirical NTK"}
CRITICAL = "critical_dataset_size"
AXES = ("parametrization", "width", "train_size")
#: Of the numbers on m*.
COLUMNS = (
    "parametrization", "width", "metric", "kind", "seed", "value", "ci_low", "ci_high", "n_seeds", "smallest", "largest",
    "left_out", "words",
)  # fmt: skip
TITLE = "Critical dataset size against width"
READING = (
    "m* is the training-set size beyond which the ratio stays below the dashed line. Bands and bars are 95 % intervals over seeds, "
    "of the mean ratio and of the median m*; small points are single seeds. Open markers with an arrow stand for bounds: m* lies "
    "beyond the sizes."
)
#: The ratio of test errors that defines m* (Goring et al., definition 16).
EPSILON = 0.1
#: Factors along the width, by place: parametrizations of equal width stand side by side.
SHIFTS = (0.93, 1 / 0.93, 1.0)
#: Beyond the sizes, as factors: where an m* is drawn that only has a bound, where its arrow and where the panel ends.
OUTSIDE, ARROW, END = 1.5, 2.4, 2.6
ARROWS: dict[str, Any] = {"arrowstyle": "-|>", "shrinkA": 2.5, "shrinkB": 0, "mutation_scale": 7, "linewidth": 1.2}


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axes ``parametrization`` ("mup", "standard", "ntk"), ``width`` and
            ``train_size``. Metric at the end of training: ``test_error_ratio``, or, unless every parametrization has it,
            ``test_error_ratio_empirical``. From it m* of each seed is read off anew.
        spec: ``title``, ``palette`` (of the parametrizations), ``width`` (inches) and ``epsilon``, the ratio that defines
            m* (default 0.1).

    Returns:
        The figure and the numbers plotted. In those of m*, ``words`` tells the median with its interval, or the bound.
    """
    rows, remark = prepare(table, "critical_size_by_width", AXES, tuple(RATIOS))
    names, widths = levels(rows, "parametrization"), levels(rows, "width")
    metrics = _metrics(rows, names)
    all_rows = normalised(table)
    diverged = all_rows[all_rows["status"] == "diverged"]
    epsilon = float(spec.get("epsilon", EPSILON))
    numbers: list[pd.DataFrame] = []
    critical: list[dict] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.wrapped(spec, 1 + len(names), 2.8)
        for axes in panels[1:-1]:
            axes.sharey(panels[0])
        for name, axes in zip(names, panels, strict=False):
            for place, width in enumerate(widths):
                here = _of(at_end(rows, metrics[name]), name, width)
                per_seed, summary = over_seeds(here, "train_size")
                if not len(summary):
                    continue
                shade, symbol = style.ordered(place, len(widths))
                handles[f"width {width}"] = line_with_band(axes, summary, shade, symbol)
                labels = {"parametrization": name, "width": width}
                numbers.append(plotted(per_seed, summary, "train_size", **labels, metric=metrics[name]))
                of_width = _critical_sizes(per_seed, set(_of(diverged, name, width)["seed"]), epsilon, labels)
                critical += [{**labels, "metric": CRITICAL, **row} for row in of_width]
            axes.axhline(1, color=style.GREY, linewidth=0.8)
            threshold = axes.axhline(epsilon, color=style.GREY, linestyle="--", linewidth=1)
            axes.set_title(f"{style.words(name)} parametrization")
            axes.set_ylabel(f"test error,\nnetwork / {RATIOS[metrics[name]]}")
        handles[f"threshold {epsilon:g}"] = threshold
        found = pd.DataFrame(critical, columns=COLUMNS)
        sizes = [float(size) for size in levels(rows[rows["metric"].isin(metrics.values())], "train_size")]
        for name, shift in zip(names, SHIFTS, strict=False):
            line = _medians(panels[-1], found[found["parametrization"] == name], name, shift, spec)
            handles[f"m*, {style.words(name)}"] = line
        _ratio_scales(panels[:-1], sizes)
        _size_scales(panels[-1], found, sizes, [float(width) for width in widths])
        lost = int(found["left_out"].sum())
        style.title(figure, spec, TITLE)
        note = f"m* leaves out {lost} curves of which a size diverged or is missing." if lost else ""
        style.legend(figure, handles, READING, remark, note)
    return figure, collect([*numbers, found])


def _of(rows: pd.DataFrame, parametrization: str, width: str) -> pd.DataFrame:
    return at_level(at_level(rows, "parametrization", parametrization), "width", width)


def _metrics(rows: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """The metric of each parametrization: one that all have, so that they can be compared, or else its first."""
    there = {name: set(at_level(rows, "parametrization", name)["metric"]) for name in names}
    common = [metric for metric in RATIOS if all(metric in found for found in there.values())]
    return {name: (common or [metric for metric in RATIOS if metric in there[name]])[0] for name in names}


def _critical_sizes(per_seed: pd.DataFrame, diverged: set[str], epsilon: float, labels: Mapping) -> list[dict]:
    """m* of each seed and over seeds, of one width; a seed of which a size diverged or is missing has none."""
    curves = per_seed.pivot(index="seed", columns="x", values="value")
    curves = curves.reindex(list(dict.fromkeys([*curves.index, *sorted(diverged)])))
    curves.loc[curves.index.isin(diverged)] = np.nan
    whole = curves.dropna()
    left_out = {"left_out": len(curves) - len(whole)}
    if not len(whole):
        return [{"kind": "none", "seed": "", "n_seeds": 0, **left_out}]
    generator = generator_for("critical size", *labels.values())
    over = critical_size_interval(curves.columns, whole, epsilon, generator=generator, resamples=RESAMPLES)
    ends = {"smallest": over.smallest, "largest": over.largest}
    seeds = [
        {"kind": "seed", "seed": seed, "value": critical_dataset_size(curves.columns, ratios, epsilon), **ends}
        for seed, ratios in zip(whole.index, whole.to_numpy(), strict=True)
    ]
    summary = {"value": over.value, "ci_low": over.low, "ci_high": over.high, "n_seeds": over.seeds, "words": str(over)}
    return [*seeds, {"kind": "median", "seed": "", **summary, **ends, **left_out}]


def _medians(axes: Axes, sizes: pd.DataFrame, name: str, shift: float, spec: Mapping) -> Line2D:
    """m* of one parametrization against width: joined medians that were seen, and bounds with arrows."""
    shade, symbol = style.colour(name, spec), style.marker(name)
    look: dict[str, Any] = {"color": shade, "marker": symbol}
    seeds, medians = (sizes[sizes["kind"] == kind] for kind in ("seed", "median"))
    x = seeds["width"].astype(float) * shift**2.2
    axes.plot(x, _places(seeds, "value"), linestyle="none", markersize=2.6, alpha=0.4, markeredgewidth=0, **look)
    x = medians["width"].astype(float).to_numpy() * shift
    y, low, high = (_places(medians, column) for column in ("value", "ci_low", "ci_high"))
    axes.vlines(x, low, high, color=shade, linewidth=1.4)
    bound = (medians["value"] > medians["largest"]) | (medians["value"] <= medians["smallest"])
    (line,) = axes.plot(
        x, np.where(bound, np.nan, y), markersize=5.5, markeredgecolor="white", markeredgewidth=0.5, **look
    )
    axes.plot(x[bound], y[bound], linestyle="none", markersize=5, markerfacecolor="white", zorder=3, **look)
    for _, row in medians[bound].assign(x=x[bound], y=y[bound]).iterrows():
        end = row["largest"] * ARROW if row["value"] > row["largest"] else row["smallest"] / ARROW
        axes.annotate("", (row["x"], end), (row["x"], row["y"]), arrowprops={"color": shade, **ARROWS})
    return line


def _places(sizes: pd.DataFrame, column: str) -> np.ndarray:
    """Where sizes stand: those that only have a bound, at the edge."""
    value, smallest, largest = (sizes[name].to_numpy(np.float64) for name in (column, "smallest", "largest"))
    return np.select([value > largest, value <= smallest], [largest * OUTSIDE, smallest / OUTSIDE], value)


def _ratio_scales(panels: list[Axes], sizes: list[float]) -> None:
    for axes in panels:
        axes.set(xscale="log", yscale="log", xlabel="training-set size m (points)")
        axes.set_xlim(min(sizes) / 1.3, max(sizes) * 1.3)
        axes.xaxis.set_major_locator(FixedLocator(style.few(sizes)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
    style.log_ticks(panels[0].yaxis, *panels[0].get_ylim())


def _size_scales(axes: Axes, critical: pd.DataFrame, sizes: list[float], widths: list[float]) -> None:
    """Logarithmic axes; m* beyond the sizes stands on a shaded strip whose tick tells the bound."""
    axes.set_xscale("log", base=2)
    axes.set(yscale="log", title="critical dataset size", xlabel="width", ylabel="critical size m* (points)")
    axes.xaxis.set_major_locator(FixedLocator(widths))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
    axes.set_xlim(min(widths) / 1.4, max(widths) * 1.4)
    smallest, largest = critical["smallest"].min(), critical["largest"].max()
    if np.isnan(smallest):
        return
    low, high = smallest / END, largest * END
    axes.set_ylim(low, high)
    axes.axhspan(largest, high, color=style.GREY, alpha=0.1, linewidth=0)
    axes.axhspan(low, smallest, color=style.GREY, alpha=0.1, linewidth=0)
    ticks = {smallest / OUTSIDE: f"≤ {smallest:,.0f}", largest * OUTSIDE: f"> {largest:,.0f}"}
    ticks |= {size: style.plain_numbers(size) for size in style.few(sizes) if smallest < size < largest}
    axes.yaxis.set_major_locator(FixedLocator(list(ticks)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda size, _: ticks.get(size, "")))
