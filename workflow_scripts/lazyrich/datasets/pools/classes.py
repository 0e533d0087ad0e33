"""Classes: which of them a task has, and the targets that stand for them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

TARGETS = ("centered_one_hot", "one_hot", "sign")


class Task:
    """The classes of a task, each one class of the source or several merged: ``spec["classes"]``, such as ``[3, 5]`` or ``[[0, 8], [3, 5]]``.

    Classes are given by number or by name. Without the key, every class of the source is one of the task.
    """

    def __init__(self, spec: Mapping[str, Any], names: Sequence[str]) -> None:
        given = spec.get("classes")
        groups = [[number] for number in range(len(names))] if given is None else [_listed(item) for item in given]
        members = [[_number(item, names) for item in group] for group in groups]
        flat = [number for group in members for number in group]
        for number in flat:
            if flat.count(number) > 1:
                raise ValueError(f"classes names class {number} ({names[number]}) twice; name each class once")
        if len(members) < 2:
            raise ValueError(f"classes is {given!r}; a task needs at least two classes")
        self.names = tuple(", ".join(names[number] for number in group) for group in members)
        self._of_source = np.full(len(names), -1, dtype=np.int64)
        for label, group in enumerate(members):
            self._of_source[group] = label

    def labels(self, of_source: np.ndarray) -> np.ndarray:
        """The task's labels (n,) of samples with the labels ``of_source``; -1 where a sample is of no class of the task."""
        return self._of_source[of_source]


def targets(labels: np.ndarray, classes: int, kind: str) -> np.ndarray:
    """Targets of labels (n,), float32: one-hot minus 1/C or one-hot, (n, C); or, for two classes, their sign, (n, 1): -1 and 1."""
    if kind == "sign":
        if classes != 2:
            raise ValueError(f"targets is 'sign' and there are {classes} classes; give two classes, or other targets")
        return (2.0 * labels[:, None] - 1).astype(np.float32)
    if kind not in TARGETS:
        raise ValueError(f"targets is {kind!r}; give one of {', '.join(TARGETS)}")
    shift = 1 / classes if kind == "centered_one_hot" else 0.0
    return (np.eye(classes) - shift)[labels].astype(np.float32)


def _listed(item: object) -> list:
    return list(item) if isinstance(item, list | tuple) else [item]


def _number(item: object, names: Sequence[str]) -> int:
    """The number of the class that ``item`` names."""
    if isinstance(item, int | float) and not isinstance(item, bool) and item in range(len(names)):
        return int(item)
    if isinstance(item, str) and item in names:
        return names.index(item)
    near = difflib.get_close_matches(str(item), names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    shown = ", ".join(names) if len(names) <= 20 else f"{', '.join(names[:20])}, ..."
    raise ValueError(f"classes names {item!r}{hint} there are 0 to {len(names) - 1}: {shown}")
