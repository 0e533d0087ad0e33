"""Every trained network of a paper as a point: how far its kernel has moved against how much better it is than the initial one.

If strength measured quality, points would lie along a rising line, and networks trained on shuffled labels at its lower left.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import spearmanr

from lazyrich.figures import style
from lazyrich.figures.series import at_end, collect, prepare
from lazyrich.intervals import generator_for
from lazyrich.tidy import axes as axes_of

#: metric -> label of the abscissa
STRENGTH = {
    "ntk_strength": "distance of the NTK from its start, 1 − CKA",
    "conjugate_kernel_strength": "distance of the conjugate kernel, 1 − CKA",
}
#: What the gap of a network is taken to, the first of them that there is: the kernel that is as well trained, the closed form, or the
#: regression with the network's own NTK.
GAPS = ("feature_learning_gap_matched", "feature_learning_gap", "feature_learning_gap_empirical")
#: series -> words of the legend
LABELS = {"true": "true labels", "partly": "a part of them shuffled", "shuffled": "all shuffled"}
TITLE = "Strength of feature learning against its quality"
READING = (
    "Each point is a network. Above 0 it does better than its initial NTK on the same labels (stopped at the same training loss, where the "
    "network was stopped early). Rank correlations with 95 % intervals over seeds: 1 if strength orders networks by quality, 0 if it says "
    "nothing."
)
#: Of whole seeds, for the ends of percentile intervals, which this many tell to a hundredth.
RESAMPLES = 500


def draw(table: pd.DataFrame, spec: Mapping) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        table: tidy rows of all experiments of a paper. Networks with ``ntk_strength`` or ``conjugate_kernel_strength`` and with
            one of :data:`GAPS` at the end of training are drawn; their labels are told by the axes ``labels`` and ``label_noise``,
            and are true without either.
        spec: ``title``, ``palette`` and ``width`` (inches).

    Returns:
        The figure and the numbers plotted: a row per network, and the rank correlations with their intervals.
    """
    rows, remark = prepare(table, "strength_against_quality", [], (*STRENGTH, *GAPS))
    networks = _networks(rows)
    shown = [metric for metric in STRENGTH if metric in networks and networks[metric].notna().any()]
    numbers: list[pd.DataFrame] = []
    handles: dict[str, Artist] = {}
    with style.context():
        figure, panels = style.panels(spec, 1, len(shown), 3.3, sharey=True)
        for axes, metric in zip(panels[0], shown, strict=True):
            points = networks.dropna(subset=[metric])
            for series, words in LABELS.items():
                some = points[points["series"] == series]
                if not len(some):
                    continue
                handles.setdefault(words, _scatter(axes, some[metric], some["gap"], series, spec))
                numbers.append(_plotted(some, metric))
            axes.axhline(0, color=style.GREY, linewidth=0.8, zorder=1)
            axes.set_xscale("log")
            axes.set_xlabel(STRENGTH[metric])
            found = {name: _rank_correlation(chosen, metric) for name, chosen in _groups(points).items()}
            lines = [f"{name}: {value:.2f} [{low:.2f}, {high:.2f}]" for name, (value, low, high) in found.items()]
            axes.set_title("rank correlation\n" + "\n".join(lines), fontsize=8, loc="left")
            numbers.append(
                pd.DataFrame(
                    {"series": name, "value": value, "ci_low": low, "ci_high": high}
                    for name, (value, low, high) in found.items()
                ).assign(metric=metric, kind="rank correlation")
            )
        panels[0, 0].set_ylabel("feature learning gap:\ntest error, initial NTK − network (/ target variance)")
        style.title(figure, spec, TITLE)
        style.legend(figure, handles, READING, remark)
    return figure, collect(numbers)


def _networks(rows: pd.DataFrame) -> pd.DataFrame:
    """A row per network: its experiment, axes and seed, its gap, each strength, and ``series``, the kind of its labels."""
    identity = ["experiment", "run", *axes_of(rows), "seed"]
    parts = [at_end(rows, metric) for metric in (*STRENGTH, *GAPS) if (rows["metric"] == metric).any()]
    wide = pd.concat(parts).pivot_table(index=identity, columns="metric", values="value", sort=False).reset_index()
    gaps = wide.reindex(columns=list(GAPS)).bfill(axis=1).iloc[:, 0]
    wide = wide.assign(gap=gaps, series=_kind(wide))
    networks = wide[wide["gap"].notna()]
    if not any(metric in networks and networks[metric].notna().any() for metric in STRENGTH):
        raise ValueError(
            f"figure strength_against_quality finds no network with one of {', '.join(STRENGTH)} and one of {', '.join(GAPS)}"
        )
    return networks


def _kind(networks: pd.DataFrame) -> pd.Series:
    empty = pd.Series("", index=networks.index)
    noise = pd.to_numeric(networks.get("label_noise", empty), errors="coerce").fillna(0.0)
    shuffled = (networks.get("labels", empty) == "shuffled") | (noise == 1)
    return pd.Series(np.select([shuffled, noise > 0], ["shuffled", "partly"], "true"), index=networks.index)


def _groups(networks: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """All networks, and those of true and of shuffled labels, as far as there are enough to rank."""
    parts = {"all": networks, **{name: networks[networks["series"] == name] for name in ("true", "shuffled")}}
    return {
        name: part for name, part in parts.items() if len(part) > 2 and (len(part) < len(networks) or name == "all")
    }


def _scatter(axes: Axes, x: pd.Series, y: pd.Series, series: str, spec: Mapping) -> Line2D:
    (drawn,) = axes.plot(
        x, y, linestyle="none", marker=style.marker(series), markersize=4, alpha=0.6, color=style.colour(series, spec),
        markeredgecolor="white", markeredgewidth=0.3,
    )  # fmt: skip
    return drawn


def _plotted(networks: pd.DataFrame, metric: str) -> pd.DataFrame:
    identity = [name for name in networks.columns if name not in (*STRENGTH, *GAPS, "gap")]
    rows = networks[[*identity, metric, "gap"]].rename(columns={metric: "strength"})
    return rows.assign(metric=metric, kind="network")


def _rank_correlation(networks: pd.DataFrame, metric: str) -> tuple[float, float, float]:
    """Spearman's correlation of strength and gap, with a percentile interval over seeds.

    Seeds are resampled whole, with all their networks, as those of one seed share initial weights and data.
    """
    by_seed = [group[[metric, "gap"]].to_numpy() for _, group in networks.groupby("seed", sort=False)]
    value = _spearman(np.concatenate(by_seed))
    if len(by_seed) < 2 or np.isnan(value):
        return value, float("nan"), float("nan")
    generator = generator_for("strength_against_quality", metric, len(by_seed))
    draws = generator.integers(len(by_seed), size=(RESAMPLES, len(by_seed)))
    resampled = [_spearman(np.concatenate([by_seed[seed] for seed in draw])) for draw in draws]
    low, high = np.nanquantile(resampled, [0.025, 0.975])
    return value, float(low), float(high)


def _spearman(points: np.ndarray) -> float:
    """Spearman's correlation of two columns; NaN if one of them is constant."""
    return float("nan") if (points == points[0]).all(axis=0).any() else float(spearmanr(*points.T).statistic)
