"""A quantity: the rows of the tidy table that a selector names, as one value per seed."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lazyrich.tidy import ARGUMENT, NUMERIC, sort_key, text

#: Columns that say what was measured of a network; the others say which network it is.
MEASURED = ("metric", "layer", "stage", "step", ARGUMENT)


class QuantityError(ValueError):
    """The selector does not name one value per seed."""


@dataclass(frozen=True)
class Quantity:
    """One number per seed. Seeds of which a selected network diverged, or whose value is NaN, are listed apart."""

    values: pd.Series  # float64, index: seed as text
    diverged: tuple[str, ...]
    missing: str  # why there are no rows at all; empty if there are some


def select(table: pd.DataFrame, selector: Mapping[str, object]) -> Quantity:
    """The quantity that ``selector`` names: column -> value, e.g. ``{metric: test_error, task: staircase}``.

    Args:
        table: normalised tidy rows (:func:`lazyrich.tidy.normalised`) of one experiment.
        selector: must leave at most one row per seed. Values are compared in one spelling: ``true``, ``True`` and
            "true" are equal, as are ``10`` and ``10.0``.

    No matching rows is not an error (a smaller scale may lack a sweep point): ``missing`` says which value was not
    found.

    Raises:
        QuantityError: for an unknown column, a selector without ``metric``, or a seed with several rows; the message
            names the columns that a selector must still fix.
    """
    if "metric" not in selector:
        raise QuantityError(f"the selector {dict(selector)!r} names no metric; add e.g. 'metric: test_error'")
    own = {name: value for name, value in selector.items() if name in MEASURED}
    members, no_member = _matching(table, {name: value for name, value in selector.items() if name not in MEASURED})
    # A diverged member may have nothing but its history: it is found by its axes, whatever is asked of it.
    lost = set(members.loc[members["status"] == "diverged", "seed"])
    rows, no_row = _matching(members[~members["seed"].isin(lost)], own)
    repeated = rows[rows["seed"].duplicated(keep=False)]
    if len(repeated):
        raise QuantityError(_ambiguous(repeated, selector))
    is_nan = np.isnan(rows["value"])
    lost |= set(rows.loc[is_nan, "seed"])
    values = rows[~is_nan].set_index("seed")["value"]
    values = values.loc[sorted(values.index, key=sort_key)]
    return Quantity(values, tuple(sorted(lost, key=sort_key)), no_member or ("" if lost else no_row))


def describe(selector: Mapping[str, object]) -> str:
    """``{metric: test_error, task: staircase}`` as "test_error (task = staircase)"."""
    others = ", ".join(f"{name} = {text(value)}" for name, value in selector.items() if name != "metric")
    return f"{text(selector['metric'])} ({others})" if others else text(selector["metric"])


def _matching(table: pd.DataFrame, selector: Mapping[str, object]) -> tuple[pd.DataFrame, str]:
    """The rows that match, and, if there are none, a sentence on the first condition that nothing meets."""
    rows = table
    for name, value in selector.items():
        if name not in table.columns or name in ("value", "seed"):
            near = difflib.get_close_matches(name, table.columns, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise QuantityError(
                f"cannot select by {name!r}: no such axis{hint} The table has: {', '.join(table.columns)}"
            )
        wanted = float(value) if name in NUMERIC else text(value)  # type: ignore[arg-type]
        kept = rows[rows[name] == wanted]
        if not len(kept):
            there = ", ".join(sorted({text(cell) for cell in rows[name]} - {""}, key=sort_key)[:12])
            return kept, f"no row has {name} = {text(value)}" + (f" (there are: {there})" if there else "")
        rows = kept
    return rows, ""


def _ambiguous(rows: pd.DataFrame, selector: Mapping[str, object]) -> str:
    seed = rows["seed"].iloc[0]
    same = rows[rows["seed"] == seed]
    free = {}
    for name in same.columns:
        if name in ("value", "seed", "status", "run"):
            continue
        found = {text(cell) or "(empty)" for cell in same[name]}
        if len(found) > 1:
            free[name] = sorted(found, key=sort_key)
    detail = "; ".join(
        f"{name} ({', '.join(found[:8])}{', ...' if len(found) > 8 else ''})" for name, found in free.items()
    )
    mend = f"add a selector for {detail}" if detail else "the table holds the same row several times"
    return f"{describe(selector)} has {len(same)} rows for seed {seed}; {mend}"
