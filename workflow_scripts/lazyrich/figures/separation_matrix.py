"""Which measure tells networks trained on true labels from those trained on shuffled ones, and in which architecture.

A matrix of paired effect sizes at the end of training: measures of strength and of quality in rows, architectures in columns.
"""

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from lazyrich.figures import style
from lazyrich.figures.series import at_end, levels, of_one_layer, prepare, unambiguous
from lazyrich.intervals import generator_for
from lazyrich.metrics.effect_size import separation

NAME = "separation_matrix"
#: group -> metric -> label of its row, from top to bottom
GROUPS = {
    "strength": {
        "ntk_strength": "NTK distance 1 − CKA",
        "ntk_strength_uncentered": "NTK distance, CKA uncentered",
        "conjugate_kernel_strength": "conjugate kernel distance 1 − CKA",
        "conjugate_kernel_effective_dimension": "effective dimension\nof the conjugate kernel",
        "conjugate_kernel_utility": "utility: outputs' span in leading\nconjugate kernel eigenvectors",
        "sample_dimensionality": "dimensionality of samples\n(superposition)",
        "feature_dimensionality_classes": "dimensionality of class means\n(superposition)",
        "weight_change": "relative change of the weights",
        "squared_weight_norm_ratio": "squared weight norm,\nfinal / initial",
        "fisher_trace": "trace of the Fisher information",
        "fisher_effective_rank": "effective rank\nof the Fisher information",
        "layer_alignment_distance": "distance 1 − CKA of the features\nof the first hidden layer",
    },
    "quality": {
        "test_accuracy": "test accuracy",
        "feature_learning_gap": "test error,\ninitial NTK − network",
        "feature_learning_gap_matched": "the same, NTK stopped at\nthe network's training loss",
        "ntk_after_kernel_gain": "test error of NTK regression,\ninitial / final kernel",
        "conjugate_after_kernel_gain": "test error of conjugate kernel\nregression, initial / final kernel",
    },
}
#: Taken where an architecture has no row of the first: the closed form is known for MLPs only.
INSTEAD = {"feature_learning_gap": "feature_learning_gap_empirical"}
LABELS = ("true", "shuffled")
#: Larger effects have the colour of this one.
CLIP = 5.0
#: Blue is larger on true labels, as the series "true" is blue.
COLOURS = "vlag_r"
HATCH: dict[str, Any] = {"facecolor": "white", "edgecolor": "0.75", "hatch": "////", "linewidth": 0}
TITLE = "Which measures tell true from shuffled labels"


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of one experiment with the axes ``architecture`` and ``labels`` ("true", "shuffled"), where members of
            one seed form a pair. Metrics at the end of training: those of :data:`GROUPS`, as far as there are.
        spec: ``title`` and ``width`` (inches).

    Returns:
        The figure and its numbers, one row per cell; an effect size is empty with fewer than two pairs of seeds.
    """
    metrics = [metric for group in GROUPS.values() for metric in group]
    rows, remark = prepare(table, NAME, ["architecture", "labels"], [*metrics, *INSTEAD.values()])
    architectures = levels(rows, "architecture")
    cells = pd.DataFrame(
        _cell(rows, metric, architecture) | {"row": metric, "group": group}
        for group, of_group in GROUPS.items()
        for metric in of_group
        if rows["metric"].isin([metric, INSTEAD.get(metric)]).any()
        for architecture in architectures
    )
    groups = {group: list(dict.fromkeys(part["row"])) for group, part in cells.groupby("group", sort=False)}
    sizes = [len(metrics) for metrics in groups.values()]
    with style.context():
        figure, panels = style.panels(
            spec, len(groups), 1, (0.37 * sum(sizes) + 1.1) / len(groups), gridspec_kw={"height_ratios": sizes}
        )
        for axes, (group, names) in zip(panels[:, 0], groups.items(), strict=True):
            _matrix(axes, cells[cells["group"] == group], architectures, GROUPS[group], names)
            axes.set_ylabel(str(group).upper(), weight="bold", labelpad=8)
        panels[0, 0].tick_params(labeltop=True)
        panels[0, 0].set_xlabel("architecture")
        bar = figure.colorbar(
            ScalarMappable(Normalize(-CLIP, CLIP), _colours()), ax=list(panels[:, 0]), location="bottom",
            extend="both", shrink=0.6, aspect=45, pad=0.02,
        )  # fmt: skip
        bar.set_label(f"effect size d, true − shuffled (colour clipped at ±{CLIP:g})")
        for x, side, labels in ((-0.07, "right", "shuffled"), (1.07, "left", "true")):
            bar.ax.text(x, 0.5, f"larger on\n{labels} labels", transform=bar.ax.transAxes, ha=side, va="center")
        figure.align_ylabels(panels[:, 0])
        style.title(figure, spec, TITLE)
        empty: dict[str, Artist] = {"fewer than two pairs of seeds": Patch(**HATCH)}
        style.legend(figure, empty if cells["effect_size"].isna().any() else {}, *_reading(cells), remark)
    return figure, cells[
        ["architecture", "metric", "group", "effect_size", "ci_low", "ci_high", "ranking", "ranking_low", "ranking_high",
         "mean_true", "mean_shuffled", "n_seeds"]
    ]  # fmt: skip


def _cell(rows: pd.DataFrame, metric: str, architecture: str) -> dict[str, object]:
    """The numbers of one cell, over the seeds that have a finite value for both kinds of labels."""
    here = rows[rows["architecture"] == architecture]
    if metric in INSTEAD and not (here["metric"] == metric).any():
        metric = INSTEAD[metric]
    found = at_end(of_one_layer(here, metric), metric)
    found = found[(found["stage"] != "initial") & np.isfinite(found["value"])]
    unambiguous(found, NAME, ["architecture", "labels", "seed"])
    pairs = found.pivot(index="seed", columns="labels", values="value").reindex(columns=list(LABELS)).dropna()
    cell = {"architecture": architecture, "metric": metric, "n_seeds": len(pairs)}
    cell |= {f"mean_{labels}": pairs[labels].mean() for labels in LABELS}
    names = ("effect_size", "ci_low", "ci_high", "ranking", "ranking_low", "ranking_high")
    if len(pairs) < 2:
        return cell | dict.fromkeys(names, np.nan)
    generator = generator_for(NAME, architecture, metric)
    effect, ranking = separation(pairs["true"], pairs["shuffled"], generator=generator)
    numbers = (effect.value, effect.low, effect.high, ranking.value, ranking.low, ranking.high)
    return cell | dict(zip(names, numbers, strict=True))


def _matrix(
    axes: Axes, cells: pd.DataFrame, architectures: Sequence[str], words: Mapping[str, str], names: Sequence[str]
) -> None:
    """Colours and numbers of one group of measures."""
    norm, colours = Normalize(-CLIP, CLIP, clip=True), _colours()
    axes.grid(False)
    for cell in cells.itertuples():
        x, y = architectures.index(cell.architecture), names.index(cell.row)
        if np.isnan(cell.effect_size):
            axes.add_patch(Rectangle((x, y), 1, 1, **HATCH))
            axes.add_patch(Rectangle((x, y), 1, 1, fill=False, edgecolor="white", linewidth=1))
            axes.text(x + 0.5, y + 0.5, "–", ha="center", va="center", fontsize=9, bbox={"color": "white", "pad": 1.5})
            continue
        fill = to_rgb(colours(norm(cell.effect_size)))
        unclear = cell.ci_low <= 0 <= cell.ci_high
        look: dict[str, Any] = {
            "color": _readable(fill, unclear),
            "style": "italic" if unclear else "normal",
            "ha": "center",
        }
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=fill, edgecolor="white", linewidth=1))
        weight = "bold" if cell.ranking in (0, 1) else "normal"
        axes.text(x + 0.5, y + 0.33, _number(cell.effect_size), va="center", fontsize=9, weight=weight, **look)
        interval = f"[{_number(cell.ci_low)}, {_number(cell.ci_high)}]"
        axes.text(x + 0.5, y + 0.74, interval, va="center", fontsize=7.5, **look)
    axes.set(xlim=(0, len(architectures)), ylim=(len(names), 0))
    axes.set_xticks(np.arange(len(architectures)) + 0.5, [style.words(name) for name in architectures], weight="bold")
    axes.set_yticks(np.arange(len(names)) + 0.5, [words[name] for name in names], linespacing=1.1)
    axes.xaxis.set_label_position("top")
    axes.tick_params(length=0, bottom=False, left=False, labelbottom=False)
    axes.spines[:].set_visible(False)


def _reading(cells: pd.DataFrame) -> list[str]:
    """How to read the figure, in sentences."""
    seeds = cells.loc[cells["n_seeds"] > 1, "n_seeds"]
    counts = " to ".join(str(count) for count in dict.fromkeys((seeds.min(), seeds.max()))) if len(seeds) else "no"
    sentences = [
        f"d: mean difference between networks trained on true and on shuffled labels, in standard deviations of that difference over "
        f"{counts} pairs of seeds; in brackets its 95\u00a0% bootstrap interval. Bold: the values under true and under shuffled labels do "
        "not overlap. Grey italics: the interval contains 0, so the labels are not told apart. CKA: centered kernel alignment with the "
        "kernel at initialisation."
    ]
    for first, second in INSTEAD.items():
        taken = cells.loc[(cells["metric"] == second) & (cells["n_seeds"] > 0), "architecture"]
        if len(taken):
            sentences.append(f"The initial NTK is that of the finite network for {', '.join(map(style.words, taken))}.")
            if (cells["metric"] == first).any():
                sentences[-1] = sentences[-1][:-1] + ", and of infinite width otherwise."
    return sentences


def _number(value: float) -> str:
    """Two significant digits, at most three decimals, no exponent: "0.034", "1.2", "12", "120", "−∞"."""
    if not isfinite(value):
        return "∞" if value > 0 else "−∞"
    rounded = float(f"{value:.2g}")
    decimals = min(max(1 - floor(log10(abs(rounded))), 0), 3) if rounded else 0
    return f"{rounded:.{decimals}f}".replace("-", "−")


def _readable(fill: tuple[float, float, float], grey: bool) -> str:
    """The colour of text on ``fill``: of a contrast of at least 4.5 where there is one, grey first if asked for."""
    candidates = [*([style.GREY, "0.85"] if grey else []), "black", "white"]
    contrast = {colour: _contrast(to_rgb(colour), fill) for colour in candidates}
    enough = [colour for colour in candidates if contrast[colour] >= 4.5]
    return enough[0] if enough else max(candidates, key=contrast.__getitem__)


def _contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """Contrast ratio of two colours, from 1 to 21 (Web Content Accessibility Guidelines 2.2)."""
    light = [
        np.where(np.array(c) <= 0.04045, np.array(c) / 12.92, ((np.array(c) + 0.055) / 1.055) ** 2.4)
        for c in (one, other)
    ]
    low, high = sorted(float(parts @ (0.2126, 0.7152, 0.0722)) + 0.05 for parts in light)
    return high / low


def _colours() -> mpl.colors.Colormap:
    return sns.color_palette(COLOURS, as_cmap=True)
