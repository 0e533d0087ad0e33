"""The tidy metric table: one row per number, which metrics write, figures draw and claims judge.

Columns: ``experiment, run, <axes>, seed, status, step, stage, layer, metric, value``. An axis column holds the value
of the sweep axis of that name and is empty for experiments without it. ``status`` is "converged", "finished" or
"diverged"; ``stage`` is "initial", "final" or empty; ``step`` counts optimiser steps and is empty where a number
belongs to a whole run. Where a metric is a function there is a column ``argument``, too: the number of landmarks, the
mode; empty for other metrics.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

#: Columns of every table; all the others are axes.
FIXED = ("experiment", "run", "seed", "status", "step", "stage", "layer", "metric", "value")
#: Column of the tables in which some metric is a function.
ARGUMENT = "argument"
NUMERIC = ("step", ARGUMENT, "value")


def read(path: Path) -> pd.DataFrame:
    """The table in ``path`` (CSV), in the form of :func:`normalised`."""
    return normalised(pd.read_csv(path, dtype=str, keep_default_na=False))


def from_runs(paths: Iterable[Path]) -> pd.DataFrame:
    """The rows that the metrics of several runs wrote (JSON), in the form of :func:`normalised`."""
    rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    there = list(dict.fromkeys(key for row in rows for key in row))
    named = [name for name in there if name not in (*FIXED, ARGUMENT)]
    argument = [ARGUMENT] if ARGUMENT in there else []
    return normalised(pd.DataFrame(rows, columns=["experiment", "run", *named, *FIXED[2:-1], *argument, FIXED[-1]]))


def normalised(table: pd.DataFrame) -> pd.DataFrame:
    """A copy in which ``step``, ``argument`` and ``value`` are float64 and all other columns are text in the form of :func:`text`.

    So a table gives the same results whether it comes from a file or from memory. ``ValueError`` if a column of every
    table is missing.
    """
    missing = [name for name in FIXED if name not in table.columns]
    if missing:
        raise ValueError(f"the table lacks the columns {', '.join(missing)}; it has: {', '.join(table.columns)}")
    columns = {
        name: _numbers(table[name])
        if name in NUMERIC
        else pd.Series([text(value) for value in table[name]], dtype=object)
        for name in table.columns
    }
    return pd.DataFrame(columns)


def text(value: object) -> str:
    """One spelling of a value in a table or a selector: ``True`` is "true", ``10.0`` "10", ``1e-3`` "0.001"."""
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower()  # pandas writes booleans as True and False
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
    if not math.isfinite(number):
        return str(value)
    return str(int(number)) if number.is_integer() else repr(number)


def axes(table: pd.DataFrame) -> list[str]:
    """The axis columns, in the order of the table."""
    return [name for name in table.columns if name not in (*FIXED, ARGUMENT)]


def sort_key(value: str) -> tuple[int, float, str]:
    """Sorts axis values: numbers by size, then words by alphabet."""
    try:
        return (0, float(value), value)
    except ValueError:
        return (1, 0.0, value)


def _numbers(column: pd.Series) -> pd.Series:
    cells = [math.nan if cell is None or cell is pd.NA or cell == "" else float(cell) for cell in column]
    return pd.Series(cells, dtype="float64")
