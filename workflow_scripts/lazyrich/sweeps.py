"""From an experiment's ``sweep`` to runs (one job each) and members (the networks trained in that job).

An axis maps dotted keys to equally long lists of values, zipped inside the axis; axes combine by product. An axis' value, as it
stands in names and tables, is the value of its first key.
"""

import copy
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

#: Axis values by axis name, and the dotted keys that they set.
Point = tuple[dict[str, object], dict[str, object]]


def get(tree: Mapping, dotted: str) -> object:
    """The value at ``model.gamma`` and the like; ``KeyError`` if absent."""
    value: object = tree
    for key in dotted.split("."):
        value = value[key]  # type: ignore[index]
    return value


def put(tree: Mapping, changes: Mapping[str, object]) -> dict:
    """A deep copy of ``tree`` with each dotted key of ``changes`` set."""
    changed = copy.deepcopy(dict(tree))
    for dotted, value in changes.items():
        *parents, last = dotted.split(".")
        node = changed
        for key in parents:
            node = node[key]
        node[last] = value
    return changed


def points(axes: Mapping[str, Mapping[str, list]]) -> Iterator[Point]:
    """Every combination of the axes' values, the last axis fastest."""
    per_axis = [
        [(name, dict(zip(keys, values, strict=True))) for values in zip(*keys.values(), strict=True)]
        for name, keys in axes.items()
    ]
    for combination in itertools.product(*per_axis):
        values = {name: next(iter(changes.values())) for name, changes in combination}
        yield values, {key: value for _, changes in combination for key, value in changes.items()}


def slug(
    base: Mapping, axes: Mapping[str, Mapping[str, list]], values: Mapping[str, object], changes: Mapping[str, object]
) -> str:
    """``width-1024_gamma-0.1``: the axes that differ from ``base``. A new axis at its base value leaves old names alone."""
    parts = [
        f"{name}-{text(values[name])}"
        for name, keys in axes.items()
        if any(changes[key] != get(base, key) for key in keys)
    ]
    return "_".join(parts)


def text(value: object) -> str:
    """An axis value as it stands in names and tables: ``true``, ``0.1``, ``128``."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Run:
    """One sweep point of ``sweep.runs``: one training job."""

    experiment: str
    name: str
    axes: dict[str, object]
    spec: dict
    """The experiment with this run's values in place."""


def runs(experiment: str, spec: Mapping) -> dict[str, Run]:
    """The runs of an experiment by name; ``base`` is the one at which no axis differs from the experiment's own values."""
    axes = spec["sweep"]["runs"]
    found = {}
    for values, changes in points(axes):
        name = slug(spec, axes, values, changes) or "base"
        found[name] = Run(experiment, name, values, put(spec, changes))
    return found


def members(spec: Mapping) -> dict[str, dict]:
    """The members of a run by name: ``{"axes", "seed", "set"}``, where ``set`` holds the dotted keys that differ from the run."""
    axes = spec["sweep"]["members"]
    found = {}
    for values, changes in points(axes):
        prefix = slug(spec, axes, values, changes)
        different = {key: value for key, value in changes.items() if value != get(spec, key)}
        for seed in range(spec["seeds"]):
            name = f"{prefix}_seed-{seed}" if prefix else f"seed-{seed}"
            found[name] = {"axes": values, "seed": seed, "set": different}
    return found
