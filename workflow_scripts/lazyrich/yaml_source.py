"""Read YAML together with the line of every value.

Scalars follow YAML 1.2, in which ``1e-3`` is a number and ``on`` a word, unlike PyYAML's YAML 1.1. Duplicate keys are
errors, and nothing but mappings, lists, text, numbers, booleans and null can be written.
"""

import math
import re
from collections.abc import Callable
from pathlib import Path

import yaml

from lazyrich.configuration_errors import ConfigurationError, KeyPath, Problem, Source, show

_Base: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """A safe loader with the scalars of the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict = {}


_TAG = "tag:yaml.org,2002:"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
for _name, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", _FLOAT, list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^{_pattern}$"), _first)

_CONSTRUCT: dict[str, Callable[[str], object]] = {
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": int,
    "float": float,
    "str": str,
}

_PLAIN = "mappings, lists, text, numbers, true, false, null"

#: Numbers that YAML 1.1, in which Snakemake reads its command line, takes for text.
_EXPONENT = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)[eE][-+]?[0-9]+$")


#: Truth values, which Snakemake takes for text unless they begin with a capital.
_TRUTH = {"true": True, "false": False}


def read(path: Path, name: str) -> tuple[object, dict[KeyPath, Source]]:
    """The content of a YAML file, and the source of every value in it; ``name`` is how messages call the file.

    Raises :class:`ConfigurationError` if the file is absent, is no YAML, repeats a key or holds anything but plain
    data.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _error(name, "this file is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise _error(name, f"this file cannot be read: {error}") from None
    try:
        node = yaml.compose(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _error(name, f"no valid YAML: {error.problem}", mark and mark.line + 1) from None
    except yaml.YAMLError as error:
        raise _error(name, f"no valid YAML: {error}") from None
    reader = _Reader(name)
    value = reader.plain(node, ()) if node is not None else None
    if reader.problems:
        raise ConfigurationError(reader.problems)
    return value, reader.sources


def _error(name: str, text: str, line: int | None = None, path: KeyPath = ()) -> ConfigurationError:
    return ConfigurationError([Problem(Source(name, line), path, text)])


class _Reader:
    """Turns the nodes of one file into plain data."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sources: dict[KeyPath, Source] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()

    def _problem(self, node: yaml.Node, path: KeyPath, text: str) -> None:
        self.problems.append(Problem(Source(self.name, node.start_mark.line + 1), path, text))

    def plain(self, node: yaml.Node, path: KeyPath) -> object:
        self.sources.setdefault(path, Source(self.name, node.start_mark.line + 1))
        if id(node) in self._open:
            self._problem(node, path, "an alias that contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
                return [self.plain(item, (*path, position)) for position, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict:
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag != _TAG + "str":
                self._problem(key_node, path, f"the key {show(key_node.value)} is no text; put it in quotes")
                continue
            key = key_node.value
            if key in found:
                first = self.sources[*path, key].line
                text = f"the key {key!r} stands twice, first in line {first}; keep one of them"
                self._problem(key_node, (*path, key), text)
                continue
            self.sources[*path, key] = Source(self.name, key_node.start_mark.line + 1)
            found[key] = self.plain(value_node, (*path, key))
        return found

    def _scalar(self, node: yaml.Node, path: KeyPath) -> object:
        construct = _CONSTRUCT.get(node.tag.removeprefix(_TAG)) if isinstance(node, yaml.ScalarNode) else None
        if construct is None:
            self._problem(node, path, f"the tag {node.tag!r} is not allowed; use {_PLAIN}")
            return None
        try:
            value = construct(node.value)
        except ValueError:  # an explicit tag on what is no such thing, as in `!!int two`
            text = f"{node.value!r} does not fit its tag {node.tag!r}; leave the tag out"
            self._problem(node, path, text)
            return None
        if isinstance(value, float) and not math.isfinite(value):
            self._problem(node, path, f"{node.value!r} is no finite number")
        return value


def plain_overrides(value: object, name: str, path: KeyPath = ()) -> object:
    """A copy, as plain data, of what Snakemake read from its command line, with ``1e-3`` read as a number there too, and
    ``true`` and ``false`` as truth values."""
    if hasattr(value, "items"):
        return {str(key): plain_overrides(item, name, (*path, str(key))) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_overrides(item, name, (*path, position)) for position, item in enumerate(value)]
    if isinstance(value, str):
        value = float(value) if _EXPONENT.match(value) else _TRUTH.get(value, str(value))
    if isinstance(value, float) and not math.isfinite(value):
        raise _error(name, f"{value!r} is no finite number", path=path)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise _error(name, f"{value!r} is of type {type(value).__name__}; use {_PLAIN}", path=path)
