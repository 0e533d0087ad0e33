"""The configuration of the workflow: layers merged, defaults filled in, and everything checked before any job starts.

Layers, of which later ones win: ``config/config.yaml``, ``config/datasets.yaml``, ``config/experiments/*.yaml``, the
overlay ``config/scales/<scale>.yaml``, and what the command line gives. Mappings merge key by key, lists and single
values replace, and null removes a key that an earlier layer has. Only the standard library, PyYAML and jsonschema are
imported here.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lazyrich import plugins
from lazyrich.configuration_checks import House, dataset_mistakes, experiment_mistakes, paper_mistakes
from lazyrich.configuration_errors import (
    ConfigurationError,
    KeyPath,
    Problem,
    Source,
    close_match,
    nearest,
    show,
    unknown,
)
from lazyrich.configuration_layers import Layers
from lazyrich.configuration_schema import Schemas, complete, mistakes
from lazyrich.configuration_sweep import canonical_axes, sweep_mistakes
from lazyrich.yaml_source import plain_overrides, read

COMMAND_LINE = "the command line"

#: The key without which an entry cannot be new: an overlay that lacks it means an entry that exists.
FOUNDING = {"experiments": "paper", "datasets": "generator"}

Sources = dict[KeyPath, Source]


@dataclass(frozen=True)
class Configuration:
    """A valid configuration, complete with defaults, as plain data."""

    settings: dict[str, Any]
    """The globals: scale, results, device."""
    datasets: dict[str, dict[str, Any]]
    """Dataset name -> entry of ``config/datasets.yaml``."""
    experiments: dict[str, dict[str, Any]]
    """Experiment name -> entry of ``config/experiments/<paper>.yaml``, with the key ``paper``."""
    papers: dict[str, dict[str, Any]]
    """Paper name -> arXiv identifier, title and the figures of the whole paper."""
    scale: str
    """The scale whose overlay was applied."""


def load(
    root: Path, overrides: Mapping[str, Any] | None = None, members: Mapping[str, Collection[str]] | None = None
) -> Configuration:
    """Read, merge, complete and check the configuration under ``root/config``.

    Args:
        root: The folder that holds ``config``.
        overrides: What Snakemake hands over: the keys of ``config.yaml`` and whatever ``--config`` and ``--configfile``
        give. members: For each folder of the library, the names it implements; by default what :mod:`lazyrich.plugins`
        finds there.

    Raises:
        ConfigurationError: Once, with every mistake found: file and line, key, value, what is allowed, nearest
        spelling.
    """
    schemas = Schemas(root / "config" / "schemas")
    reading = _Reading(root, schemas)
    layers = reading.layers(overrides or {})
    tree = complete(schemas.root, layers.tree)
    sections = {name: tree.get(name, {}) for name in ("datasets", "experiments", "papers")}
    tree = {**tree, **sections}
    if isinstance(sections["experiments"], dict):
        tree["experiments"] = {
            name: canonical_axes(spec, schemas["experiment"]) if isinstance(spec, dict) else spec
            for name, spec in sections["experiments"].items()
        }
    members = {folder: plugins.names(folder) for folder in plugins.FUNCTION} if members is None else members
    found = [Problem(layers.source(path), path, text) for path, text in _mistakes(tree, layers.tree, schemas, members)]
    if reading.problems or found:
        raise ConfigurationError([*reading.problems, *found])
    return Configuration(
        settings={key: tree[key] for key in schemas["globals"]["properties"]},
        datasets=tree["datasets"],
        experiments=tree["experiments"],
        papers={
            name: {key: paper[key] for key in ("arxiv", "title", "figures")} for name, paper in tree["papers"].items()
        },
        scale=tree["scale"],
    )


def _mistakes(
    tree: Mapping[str, Any], written: Mapping[str, Any], schemas: Schemas, members: Mapping[str, Collection[str]]
) -> list[tuple[KeyPath, str]]:
    """Everything wrong with the merged whole. What refers to a part that is wrong in itself is not checked further."""
    found = list(mistakes(schemas.root, tree))
    wrong = {path[:2] for path, _ in found}
    if any(len(path) < 2 and path[0] in ("datasets", "experiments", "papers") for path in wrong if path):
        return found
    house = House(tree["datasets"], tree["papers"], schemas, members)
    for name, spec in tree["datasets"].items():
        if ("datasets", name) not in wrong:
            found += [(("datasets", name, *path), text) for path, text in dataset_mistakes(spec, house)]
    if any(path[0] == "datasets" for path in wrong if path):
        return found
    for name, paper in tree["papers"].items():
        if ("papers", name) not in wrong:
            found += [(("papers", name, *path), text) for path, text in paper_mistakes(paper, house)]
    for name, spec in tree["experiments"].items():
        if ("experiments", name) not in wrong:
            checks = (*experiment_mistakes(spec, written["experiments"][name], house), *sweep_mistakes(spec, house))
            found += [(("experiments", name, *path), text) for path, text in checks]
    return found


class _Reading:
    """Reads the layers one after the other and collects what is wrong with each as a layer."""

    def __init__(self, root: Path, schemas: Schemas) -> None:
        self._root = root
        self._schemas = schemas
        self._layers = Layers()
        self.problems: list[Problem] = []
        self._incomplete = False

    def layers(self, overrides: Mapping[str, Any]) -> Layers:
        """All layers, merged; :class:`ConfigurationError` if one of them cannot be read at all."""
        globals_ = tuple(self._schemas["globals"]["properties"])
        scales = self._schemas["globals"]["properties"]["scale"]
        self._add(*self._file("config/config.yaml"), globals_)
        self._add(*self._file("config/datasets.yaml"), ("datasets",), new=True)
        for path in sorted((self._root / "config" / "experiments").glob("*.yaml")):
            self._add(*self._paper(path), ("experiments", "papers"), new=True)
        try:
            given: Any = plain_overrides(overrides, COMMAND_LINE)
        except ConfigurationError as error:
            raise ConfigurationError([*self.problems, *error.problems]) from None
        scale = given.get("scale") or self._layers.tree.get("scale", scales["default"])
        if scale in scales["enum"]:
            self._add(*self._file(f"config/scales/{scale}.yaml"), ("experiments", "datasets"))
        self._add(given, {(): Source(COMMAND_LINE)}, (*globals_, "experiments", "datasets"))
        if self._incomplete:
            raise ConfigurationError(self.problems)
        return self._layers

    def _file(self, name: str) -> tuple[dict[str, Any], Sources]:
        try:
            content, sources = read(self._root / name, name)
        except ConfigurationError as error:
            self.problems += error.problems
            self._incomplete = True
            return {}, {}
        if content is None:
            return {}, sources
        if not isinstance(content, dict):
            self.problems.append(Problem(sources[()], (), f"{show(content)} is not allowed; allowed: a mapping"))
            self._incomplete = True
            return {}, {}
        return content, sources

    def _paper(self, path: Path) -> tuple[dict[str, Any], Sources]:
        """The file of one paper as a layer: its head under ``papers``, and every experiment with its paper."""
        name = f"config/experiments/{path.name}"
        content, sources = self._file(name)
        if not content:
            return {}, {}
        head = {key: value for key, value in content.items() if key != "experiments"}
        if head.get("paper", path.stem) != path.stem:
            text = f"{show(head['paper'])} is not allowed; allowed: {path.stem}, as the file is called"
            self.problems.append(Problem(sources["paper",], ("paper",), text))
        known = (*self._schemas["paper"]["properties"], "experiments")
        for key in [key for key in head if key not in known]:
            self._unknown_key(key, known, sources[key,])
            value = head.pop(key)
            for meant in close_match(key, tuple(self._schemas["paper"]["properties"])):
                head.setdefault(meant, value)  # so that it is not reported as missing too
        experiments = content.get("experiments") or {}
        if isinstance(experiments, dict):
            for key in [key for key in experiments if key in self._layers.tree.get("experiments", {})]:
                other = self._layers.source(("experiments", key))
                here = ("experiments", key)
                self.problems.append(
                    Problem(sources[here], here, f"the experiment {key!r} exists already, in {other}; rename it")
                )
                experiments = {name: spec for name, spec in experiments.items() if name != key}
            experiments = {
                key: {"paper": path.stem, **spec} if isinstance(spec, dict) else spec
                for key, spec in experiments.items()
            }
        moved = {
            key if key[:1] == ("experiments",) else ("papers", path.stem, *key): source
            for key, source in sources.items()
        }
        return {"papers": {path.stem: head}, "experiments": experiments}, {(): Source(name, 1), **moved}

    def _add(self, layer: Mapping[str, Any], sources: Sources, keys: Collection[str], new: bool = False) -> None:
        """Merge a layer that may have ``keys`` at its top, and new experiments or datasets only if it says what they
        are."""
        good: dict[str, Any] = {}
        default = sources.get((), Source("the configuration"))
        for key, value in layer.items():
            if key not in keys:
                self._unknown_key(key, keys, sources.get((key,), default))
            elif key not in FOUNDING or not isinstance(value, Mapping | None):
                good[key] = value
            else:
                # A section of which all is commented out reads as null, which must not remove everything below it.
                good[key] = {
                    name: entry
                    for name, entry in (value or {}).items()
                    if new or self._exists(key, name, entry, sources, default)
                }
        self._layers.add(good, sources)

    def _unknown_key(self, key: str, keys: Collection[str], source: Source) -> None:
        self.problems.append(Problem(source, (key,), unknown("key", key, keys)))
        # What a misspelt section holds would be reported as missing all over the place.
        self._incomplete |= any(meant in FOUNDING for meant in close_match(key, keys))

    def _exists(self, section: str, name: str, entry: object, sources: Sources, default: Source) -> bool:
        there = self._layers.tree.get(section, {})
        founding = FOUNDING[section]
        if self._incomplete or name in there or (isinstance(entry, Mapping) and founding in entry):
            return True
        kind = section[:-1]
        known = ", ".join(sorted(there))
        near = nearest(name, there)
        text = (
            f"unknown {kind} {name!r}{near}{'' if near else '.'} Allowed: {known}, or a new one that gives `{founding}`"
        )
        path = (section, name)
        self.problems.append(Problem(sources.get(path, default), path, text))
        return False
