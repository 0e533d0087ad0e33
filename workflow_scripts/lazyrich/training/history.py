"""What is recorded of a training while it runs."""

import csv
from pathlib import Path

import numpy as np
import zarr

from lazyrich.artifacts import read_array

COLUMNS = ("step", "train_loss", "test_loss", "train_accuracy", "test_accuracy")

#: One evaluation, in the order of :data:`COLUMNS`.
Row = tuple[int, float, float, float, float]


class HistoryFile:
    """``history.csv``: a line per member and evaluation, written out at once, so that a running job can be watched."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("w", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerow(("member", *COLUMNS))

    def add(self, member: str, rows: list[Row]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as handle:
            csv.writer(handle).writerows((member, *row) for row in rows)


def write(group: zarr.Group, rows: list[Row]) -> None:
    """Store the history of one member as one array a column, along the dimension ``evaluation``."""
    history = group.require_group("history")
    for column, name in enumerate(COLUMNS):
        values = np.array([row[column] for row in rows], dtype=np.int64 if name == "step" else np.float64)
        history.create_array(
            name, data=values, chunks=(max(1, len(rows)),), dimension_names=("evaluation",), overwrite=True
        )


def read(group: zarr.Group) -> list[Row]:
    """The history of one member, as :func:`write` stored it."""
    columns = [read_array(group, f"history/{name}").tolist() for name in COLUMNS]
    return list(zip(*columns, strict=True))
