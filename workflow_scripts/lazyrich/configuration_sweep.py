"""Checks of an experiment's ``sweep``: axes that make sense, and values that are possible at every point."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from lazyrich import sweeps
from lazyrich.configuration_checks import COLUMNS, POINT_KEYS, House, Mistake, point_mistakes
from lazyrich.configuration_errors import KeyPath, unknown
from lazyrich.configuration_schema import child, complete, mistakes

#: The parts of an experiment that an axis can vary. Members of one run share its dataset and kernels.
SWEPT = {"runs": ("dataset", "model", "training", "kernels", "spectra", "metrics"), "members": ("model", "training")}

#: Run names are folder names; the longest must fit every file system with room for what is appended.
LONGEST_NAME = 100


def canonical_axes(experiment: Mapping[str, Any], schema: Mapping) -> dict[str, Any]:
    """The experiment with each axis value in the canonical form of the key that it sets (see ``complete``)."""
    sweep = experiment.get("sweep")
    if not isinstance(sweep, Mapping):
        return dict(experiment)

    def canonical(key: str, values: object) -> object:
        part, tree = schema, experiment
        for name in key.split("."):
            part, tree = child(part, tree, name), tree.get(name, {}) if isinstance(tree, Mapping) else {}
        return [complete(part, value) for value in values] if isinstance(values, list) else values

    changed = {
        group: {
            name: {key: canonical(key, values) for key, values in axis.items()} if isinstance(axis, Mapping) else axis
            for name, axis in axes.items()
        }
        if isinstance(axes, Mapping)
        else axes
        for group, axes in sweep.items()
    }
    return {**experiment, "sweep": changed}


def sweep_mistakes(spec: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """What is wrong with the axes; if nothing is, what is wrong at the points, the experiment's own values included."""
    found = list(_axis_mistakes(spec)) or list(_value_mistakes(spec, house))
    yield from found or dict.fromkeys(_combination_mistakes(spec, house))


def sweepable(spec: Mapping[str, Any], group: str) -> list[str]:
    """The dotted keys of single values that axes of ``group`` (runs or members) can set."""

    def leaves(value: object, path: str) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, item in value.items():
                yield from leaves(item, f"{path}.{key}")
        elif not isinstance(value, list):
            yield path

    return [leaf for tree in SWEPT[group] for leaf in leaves(spec[tree], tree)]


def _axes(spec: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, list]]]:
    for group in ("runs", "members"):
        for name, axis in spec["sweep"][group].items():
            yield group, name, axis


def _axis_mistakes(spec: Mapping[str, Any]) -> Iterator[Mistake]:
    set_by: dict[str, str] = {}
    names: set[str] = set()
    longest = dict.fromkeys(SWEPT, -1)
    for group, name, axis in _axes(spec):
        path: KeyPath = ("sweep", group, name)
        if name in COLUMNS:
            yield path, f"an axis cannot be called {name!r}, which is a column of every table; rename it"
        if name in names:
            yield path, f"the axis {name!r} stands under runs and members; rename one of them"
        names.add(name)
        keys = sweepable(spec, group)
        for key in axis:
            if key not in keys:
                only = (
                    f" (members share one {key.split('.')[0]}; sweep it under runs)"
                    if key in sweepable(spec, "runs")
                    else ""
                )
                yield (*path, key), unknown("key to sweep", key, keys) + only
            elif key in set_by:
                yield (*path, key), f"{key!r} is set by the axis {set_by[key]!r} too; an axis of its own must set it"
            set_by.setdefault(key, name)
        lengths = {key: len(values) for key, values in axis.items()}
        if len(set(lengths.values())) > 1:
            listed = ", ".join(f"{key} has {length}" for key, length in lengths.items())
            yield path, f"the lists of an axis are zipped and must be equally long, but {listed}"
        first, values = next(iter(axis.items()))
        texts = [sweeps.text(value) for value in values]
        for position, text in enumerate(texts):
            if text in texts[:position]:
                yield (*path, first, position), f"{text} stands twice; the values of an axis' first key name its points"
        longest[group] += max(map(len, texts)) + len(name) + 2
        if longest[group] > LONGEST_NAME:
            text = f"names of {group} get {longest[group]} characters long; allowed: at most {LONGEST_NAME}"
            yield path, f"{text}; shorten the axis names"


def _value_mistakes(spec: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """Axis values that the schema forbids: each is put in its place, and that part of the experiment is validated."""
    trees = house.schemas["experiment"]["properties"]
    for group, name, axis in _axes(spec):
        for position, values in enumerate(zip(*axis.values(), strict=True)):
            changes = dict(zip(axis, values, strict=True))
            changed = {key.split(".")[0]: spec[key.split(".")[0]] for key in changes}
            changed = sweeps.put(changed, changes)
            for tree, value in changed.items():
                for path, text in mistakes(trees[tree], value):
                    key = ".".join(map(str, (tree, *path)))
                    key = key if key in axis else next(iter(axis))
                    yield ("sweep", group, name, key, position), text


def _combination_mistakes(spec: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """Values that do not fit together at some point, reported at the axis value that takes part in it, if one does."""
    for keys, text in point_mistakes(spec, {}, house):
        yield tuple(keys[0].split(".")), text
    # Only axes that can matter are combined, so that this stays cheap for large sweeps.
    combined = [
        [
            (group, name, position, dict(zip(axis, values, strict=True)))
            for position, values in enumerate(zip(*axis.values(), strict=True))
        ]
        for group, name, axis in _axes(spec)
        if any(key.startswith(POINT_KEYS) for key in axis)
    ]
    for point in itertools.product(*combined):
        origin = {key: (group, name, key, position) for group, name, position, changes in point for key in changes}
        changes = {key: value for *_, changed in point for key, value in changed.items()}
        for keys, text in point_mistakes(spec, changes, house):
            swept = [key for key in keys if key in origin]
            if swept:
                yield ("sweep", *origin[swept[0]]), text
