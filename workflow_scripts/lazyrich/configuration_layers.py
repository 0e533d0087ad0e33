"""Layers of configuration on top of each other: later ones win, and each value remembers who set it last."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from lazyrich.configuration_errors import ConfigurationError, KeyPath, Problem, Source, show


class Layers:
    """The merged tree of all layers added so far, and the source of every value in it.

    Mappings merge key by key; lists, numbers and text replace. A key given as null in a later layer is removed if an
    earlier layer has it; otherwise null is a value like any other.
    """

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}
        self._sources: dict[KeyPath, Source] = {}

    def add(self, layer: Mapping[str, Any], sources: Mapping[KeyPath, Source]) -> None:
        """Put ``layer`` on top. What repeats the value below keeps its source if ``sources`` says nothing of that very
        path."""
        self._merge(self.tree, layer, (), sources)

    def source(self, path: KeyPath) -> Source:
        """Who set ``path`` last; for a path that nobody set, the nearest mapping or list around it."""
        while path not in self._sources and path:
            path = path[:-1]
        return self._sources.get(path, Source("the configuration"))

    def _merge(
        self, tree: dict[str, Any], layer: Mapping[str, Any], path: KeyPath, sources: Mapping[KeyPath, Source]
    ) -> None:
        for key, value in layer.items():
            here = (*path, key)
            old = tree.get(key)
            if key in tree and value is None:
                del tree[key]
                self._forget(here)
            elif isinstance(value, Mapping) and isinstance(old, dict):
                if here in sources:
                    self._sources[here] = sources[here]
                self._merge(old, value, here, sources)
            elif key not in tree or here in sources or not _same(old, value):
                if key in tree:
                    self._forget(here)
                tree[key] = _copy(value)
                self._record(here, value, sources)

    def _forget(self, path: KeyPath) -> None:
        for known in [known for known in self._sources if known[: len(path)] == path]:
            del self._sources[known]

    def _record(self, path: KeyPath, value: object, sources: Mapping[KeyPath, Source]) -> None:
        default = sources.get((), Source("the configuration"))
        self._sources[path] = sources.get(path, default)
        items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
        for key, item in items:
            self._record((*path, key), item, sources)


def _same(left: object, right: object) -> bool:
    """Equal in value and type: true is not 1 here."""
    return type(left) is type(right) and left == right


def _copy(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


def overlay(files: Iterable[Path]) -> dict[str, Any]:
    """YAML files on top of each other, as Snakemake merges those of ``--configfile``: mappings key by key, null as a value."""

    def merge(tree: dict[str, Any], layer: Mapping[str, Any]) -> dict[str, Any]:
        for key, value in layer.items():
            below = tree.get(key)
            if isinstance(value, Mapping):
                tree[key] = merge(dict(below) if isinstance(below, Mapping) else {}, value)
            else:
                tree[key] = value
        return tree

    merged: dict[str, Any] = {}
    for path in files:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if content is not None and not isinstance(content, Mapping):
            raise ConfigurationError(
                [Problem(Source(str(path), 1), (), f"{show(content)} is not allowed; allowed: a mapping")]
            )
        merge(merged, content or {})
    return merged
