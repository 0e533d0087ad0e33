"""Test error against training-set size: the network, the NTK of its initialisation, and where they part (m*).

One column of panels per task or network; above the errors relative to the variance of the targets, below the ratio of network
to kernel. Other kernels, which know nothing of the training or come out of it, are thin lines above.
"""

from collections.abc import Mapping
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from lazyrich.figures import style
from lazyrich.figures.lines import mean_line, mean_with_band, thin_seeds
from lazyrich.figures.series import at_end, at_level, collect, levels, over_seeds, plotted, prepare

NETWORK, CLOSED_FORM, EMPIRICAL = "network", "closed-form NTK", "empirical NTK"
#: The closed form's where there is one, else that of the empirical NTK.
CRITICAL = ("critical_dataset_size", "critical_dataset_size_empirical")
RATIOS = {CLOSED_FORM: "test_error_ratio", EMPIRICAL: "test_error_ratio_empirical"}
ERRORS = {NETWORK: "test_error", CLOSED_FORM: "ntk_test_error", EMPIRICAL: "ntk_test_error_empirical"}
#: Drawn as thin lines: the regression with the network's own NTK after training, and kernels that no network has.
KERNELS = {
    "NTK after training": "ntk_regression_error",
    "NNGP": "nngp_test_error",
    "RBF kernel": "rbf_test_error",
    "Laplace kernel": "laplace_test_error",
}
METRICS = (*ERRORS.values(), *KERNELS.values(), *RATIOS.values(), *CRITICAL)
#: Axes whose values have a column of panels each.
FACETS = ("task", "images", "network")
TITLE = "Test error of a network and of its initial kernel"
#: The ratio of test errors that defines m* (Goring et al., definition 16).
EPSILON = 0.1


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axis ``train_size`` and, as one column each, the values of ``task``,
            ``images`` and ``network``. Metrics, as far as there are: ``test_error``; ``ntk_test_error``,
            ``test_error_ratio`` and ``critical_dataset_size``, all three also with ``_empirical``; those of :data:`KERNELS`.
        spec: ``title``, ``palette``, ``width`` (inches) and ``epsilon``, the ratio that defines m* (default 0.1).

    Returns:
        The figure and the numbers plotted.
    """
    rows, remark = prepare(table, "learning_curves", ["train_size"], METRICS)
    facets = [facet for facet in product(*(levels(rows, axis) for axis in FACETS)) if len(_of(rows, facet))]
    sizes = [float(size) for size in levels(rows[~rows["metric"].isin(CRITICAL)], "train_size")]
    end = 1.3 * max(sizes)
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, 2, len(facets), 2.4, sharex=True, sharey="row")
        for column, facet in enumerate(facets):
            of_facet = _of(rows, facet)
            labels = dict(zip(FACETS, facet, strict=True))
            labels = {"task": labels.pop("task"), **{axis: value for axis, value in labels.items() if value}}
            upper, lower = panels[:, column]
            upper.set_title(", ".join(style.words(value) for value in facet if value) or "all tasks")
            for axes, series in ((upper, _series(of_facet, ERRORS)), (lower, _series(of_facet, RATIOS))):
                metric = "test_error" if axes is upper else "test_error_ratio"
                for name, values in series.items():
                    per_seed, summary = over_seeds(values, "train_size")
                    handles.setdefault(_label(name), mean_with_band(axes, summary, name, spec))
                    thin_seeds(axes, per_seed, name, spec)
                    numbers.append(plotted(per_seed, summary, "train_size", **labels, metric=metric, series=name))
            for name, values in _series(of_facet, KERNELS).items():
                per_seed, summary = over_seeds(values, "train_size")
                handles.setdefault(name, mean_line(upper, summary, name, spec))
                numbers.append(plotted(per_seed, summary, "train_size", **labels, metric="test_error", series=name))
            critical = next((name for name in CRITICAL if (of_facet["metric"] == name).any()), CRITICAL[0])
            of_critical = of_facet[of_facet["metric"] == critical]
            table = _critical_size((upper, lower), of_critical, handles, sizes, end)
            numbers.append(table.assign(**labels, metric=critical, series=NETWORK) if len(table) else table)
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


def _of(rows: pd.DataFrame, facet: tuple[str, ...]) -> pd.DataFrame:
    for axis, level in zip(FACETS, facet, strict=True):
        rows = at_level(rows, axis, level)
    return rows


def _label(name: str) -> str:
    return name if name == NETWORK else f"{name} (below: ratio to it)"


def _series(rows: pd.DataFrame, metrics: Mapping[str, str]) -> dict[str, pd.DataFrame]:
    """Series name -> its rows at the end of training, for the metrics that there are."""
    return {name: at_end(rows, metric) for name, metric in metrics.items() if (rows["metric"] == metric).any()}


def _critical_size(
    axes: tuple[Axes, Axes], rows: pd.DataFrame, handles: dict[str, Artist], sizes: list[float], end: float
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
    words = [f"m* {relation} {median:,.0f}" if np.isfinite(median) else f"m* > {max(sizes):,.0f}"]
    if unreached:
        words.append(f"m* not reached in {unreached} of {len(per_seed)} seeds")
    for each in axes:
        if np.isfinite(median):
            handles["m* (median, 95 % interval)"] = each.axvline(median, color=style.GREY, linewidth=1.2, linestyle=":")
        if np.isfinite(low):
            each.axvspan(low, high if np.isfinite(high) else max(end, low), color=style.GREY, alpha=0.12, linewidth=0)
    axes[1].text(0.03, 0.05, "\n".join(words), transform=axes[1].transAxes, color=style.GREY, va="bottom")
    table = plotted(per_seed, summary, "constant", "median")
    return table.drop(columns="constant")


def _scales(panels: np.ndarray, sizes: list[float], end: float) -> None:
    for axes in panels.flat:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlim(min(sizes) / 1.3, end)
        axes.xaxis.set_major_formatter(FuncFormatter(style.plain_numbers))
        axes.xaxis.set_major_locator(FixedLocator(style.few(sizes)))
        axes.xaxis.set_minor_locator(NullLocator())
