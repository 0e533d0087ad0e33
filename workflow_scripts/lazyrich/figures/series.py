"""From tidy rows to the series that a figure plots: selected, diverged members left out, and summarised over seeds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lazyrich.intervals import generator_for, interval
from lazyrich.tidy import axes, normalised, sort_key

#: Columns of the numbers plotted, before the axes of the figure. ``kind`` is "seed", "mean" or "median".
SUMMARY = ("value", "ci_low", "ci_high", "n_seeds")
RESAMPLES = 1999
#: In the order in which they stand in figures.
ARCHITECTURES = ("mlp", "cnn", "resnet", "vit")
#: Metrics that have a row for every hidden layer, and none for the whole network.
BY_LAYER = ("layer_alignment_distance",)


def prepare(
    table: pd.DataFrame, figure: str, needed: Sequence[str], metrics: Sequence[str]
) -> tuple[pd.DataFrame, str]:
    """The rows of a figure, without those of diverged members, and a note on how many these are ("" for none).

    ``needed`` are the axes that the figure cannot do without, ``metrics`` the ones that it draws (at least one must
    be there). ``ValueError`` if an axis or all metrics are missing.
    """
    rows = normalised(table)
    missing = [name for name in needed if name not in rows.columns or (rows[name] == "").all()]
    if missing:
        raise ValueError(
            f"figure {figure} needs the axes {', '.join(missing)}; the table has: {', '.join(axes(rows)) or 'none'}"
        )
    # a diverged member has its history, but perhaps none of the metrics drawn
    trained = rows[rows["step"].notna() | rows["stage"].ne("")]
    rows = rows[rows["metric"].isin(metrics)]
    if not len(rows):
        raise ValueError(f"figure {figure} finds none of its metrics in the table: {', '.join(metrics)}")
    member = ["experiment", "run", *axes(rows), "seed"]
    diverged = len(trained.loc[trained["status"] == "diverged", member].drop_duplicates())
    total = len(trained[member].drop_duplicates())
    note = (
        f"{diverged} of {total} trainings diverged and {'is' if diverged == 1 else 'are'} left out." if diverged else ""
    )
    return rows[(rows["status"] != "diverged") & rows["value"].notna()], note


def at_end(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of ``metric`` at the end of training; all of them if the metric has no stages."""
    found = rows[rows["metric"] == metric]
    return found[found["stage"] == "final"] if (found["stage"] == "final").any() else found


def unambiguous(rows: pd.DataFrame, figure: str, by: Sequence[str]) -> pd.DataFrame:
    """The same rows; ``ValueError`` if two of one metric agree in the columns ``by``, as the figure would mix trainings."""
    if rows.duplicated([*by, "metric"]).any():
        varied = [name for name in axes(rows) if name not in by and rows[name].nunique() > 1]
        raise ValueError(
            f"figure {figure} takes one number of a metric for each {', '.join(by)}; the table has several, which differ in: "
            f"{', '.join(varied) or 'no axis'}"
        )
    return rows


def first_layer(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The rows of the first layer by name and of no layer, and that layer's name ("" if there is none)."""
    layers = sorted(set(rows["layer"]) - {""})
    return (rows[rows["layer"].isin(["", layers[0]])], layers[0]) if layers else (rows, "")


def of_one_layer(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of ``metric`` of the whole network or the readout, or if it is one of `BY_LAYER`, of the first layer in the table."""
    found = rows[rows["metric"] == metric]
    return found[found["layer"] == (levels(found, "layer")[0] if metric in BY_LAYER else "")]


def levels(rows: pd.DataFrame, axis: str) -> list[str]:
    """The values of an axis, numbers by size, architectures from the plainest on, other words in the table's order; [""] if the table
    has no such axis."""
    if axis not in rows.columns:
        return [""]
    found = list(dict.fromkeys(rows[axis]))
    filled = [value for value in found if value] or [""]
    if set(filled) <= set(ARCHITECTURES):
        return sorted(filled, key=ARCHITECTURES.index)
    return sorted(filled, key=sort_key) if all(sort_key(value)[0] == 0 for value in filled) else filled


def at_level(rows: pd.DataFrame, axis: str, level: str) -> pd.DataFrame:
    """The rows at one value of an axis; all rows if the table has no such axis."""
    return rows[rows[axis] == level] if axis in rows.columns else rows


def over_seeds(rows: pd.DataFrame, x: str, statistic: str = "mean") -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values against column ``x``: per seed, and summarised over seeds.

    Returns two tables, both sorted by ``x`` as a number: columns ``x, seed, value`` and ``x, value, ci_low, ci_high,
    n_seeds``, with the 95 % bootstrap interval of :func:`lazyrich.intervals.interval` (ends are NaN for a single
    seed). Several values of one seed at one ``x`` are averaged first, since they are not independent.
    """
    numbers = rows.assign(x=pd.to_numeric(rows[x]))
    per_seed = numbers.groupby(["seed", "x"], sort=False, as_index=False)["value"].mean()
    per_seed = per_seed.sort_values(
        ["x", "seed"], key=lambda column: column.map(_order) if column.name == "seed" else column
    )
    summary = [
        {"x": position, **_summary(group["value"].to_numpy(), statistic, position)}
        for position, group in per_seed.groupby("x")
    ]
    return per_seed[["x", "seed", "value"]].reset_index(drop=True), pd.DataFrame(summary, columns=["x", *SUMMARY])


def plotted(
    per_seed: pd.DataFrame, summary: pd.DataFrame, x: str, statistic: str = "mean", **labels: str
) -> pd.DataFrame:
    """The two tables of :func:`over_seeds` as rows of the numbers plotted, under ``labels`` (column -> value)."""
    kinds = [per_seed.assign(kind="seed"), summary.assign(kind=statistic, seed="")]
    rows = pd.concat([table for table in kinds if len(table)] or kinds, ignore_index=True)
    rows = rows.rename(columns={"x": x}).assign(**labels)
    return rows.reindex(columns=[*labels, x, "kind", "seed", *SUMMARY])


def collect(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The numbers plotted of a whole figure, one table."""
    filled = [table for table in tables if len(table)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame()


def _order(seed: str) -> tuple[int, float, str]:
    return sort_key(seed)


def _summary(values: np.ndarray, statistic: str, position: float) -> dict[str, float]:
    found = interval(values, generator=generator_for(statistic, position), statistic=statistic, resamples=RESAMPLES)
    return {"value": found.value, "ci_low": found.low, "ci_high": found.high, "n_seeds": found.count}
