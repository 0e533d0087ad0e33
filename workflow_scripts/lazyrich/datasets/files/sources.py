"""The registry of data sets that can be fetched: places, sizes, checksums and terms, read from ``resources/sources.yaml``.

The file's head explains its form. Nothing here touches the data; see :mod:`lazyrich.datasets.files.fetching`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from lazyrich import configuration_errors, yaml_source
from lazyrich.configuration_errors import ConfigurationError, KeyPath, Problem, show, unknown

#: Checksum algorithms that an entry may give, with the length of their hexadecimal digests.
DIGITS = {"md5": 32, "sha256": 64}

_TEXTS = ("title", "homepage", "licence", "citation")
_SOURCE_KEYS = (*_TEXTS, "note", "files")
_FILE_KEYS = ("size", *DIGITS, "mirrors", "members")
_MEMBER_KEYS = ("size", *DIGITS)


@dataclass(frozen=True)
class Member:
    """A file in an archive: its bytes, and checksums by algorithm, where they are known."""

    size: int | None
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class SourceFile:
    """One file of a set. ``mirrors`` are tried in order; ``members`` are those of an archive that are used, by their path in it."""

    name: str
    size: int | None
    checksums: Mapping[str, str]
    mirrors: tuple[str, ...]
    members: Mapping[str, Member]


@dataclass(frozen=True)
class Source:
    """One data set: its terms, how to cite it, and its files by name."""

    name: str
    title: str
    homepage: str
    licence: str
    citation: str
    files: Mapping[str, SourceFile]
    note: str = ""


class SourceError(ValueError):
    """A mistake in an entry; ``path`` leads to it from the top of the registry, ``text`` says what is wrong and allowed."""

    def __init__(self, path: KeyPath, text: str) -> None:
        super().__init__(f"{configuration_errors.dotted(path)}: {text}")
        self.path, self.text = path, text


def load_sources(path: Path) -> dict[str, Source]:
    """Every set in the registry at ``path``; :class:`ConfigurationError` with file and line if there is a mistake in it."""
    content, lines = yaml_source.read(path, str(path))
    try:
        entries = _mapping(content, (), "data sets")
        return {name: parse_source(name, entry) for name, entry in entries.items()}
    except SourceError as error:
        known = next(error.path[:end] for end in range(len(error.path), -1, -1) if error.path[:end] in lines)
        raise ConfigurationError([Problem(lines[known], error.path, error.text)]) from None


def parse_source(name: str, entry: Mapping) -> Source:
    """The set ``name`` from its entry in the registry; :class:`SourceError` (a ``ValueError``) if something in it is wrong."""
    _file_name(name, (name,), "set")
    _known_keys(entry, (name,), _SOURCE_KEYS)
    texts = {key: _text(entry, key, (name,)) for key in _TEXTS}
    _address(texts["homepage"], (name, "homepage"))
    files = _mapping(entry.get("files"), (name, "files"), "files")
    if not files:
        raise SourceError((name, "files"), "there is no file; name at least one")
    return Source(
        name=name,
        **texts,
        files={file: _file(file, content, (name, "files", file)) for file, content in files.items()},
        note=_text(entry, "note", (name,)) if "note" in entry else "",
    )


def _file(name: str, entry: object, path: KeyPath) -> SourceFile:
    _file_name(name, path, "file")
    fields = _known_keys(entry, path, _FILE_KEYS)
    mirrors = fields.get("mirrors", [])
    if not isinstance(mirrors, list | tuple):
        raise SourceError((*path, "mirrors"), f"{show(mirrors)} is no list of addresses; write [https://...]")
    members = _mapping(fields.get("members", {}), (*path, "members"), "members")
    return SourceFile(
        name=name,
        size=_size(fields, path),
        checksums=_checksums(fields, path),
        mirrors=tuple(_address(url, (*path, "mirrors", position)) for position, url in enumerate(mirrors)),
        members={member: _member(member, content, (*path, "members", member)) for member, content in members.items()},
    )


def _member(name: str, entry: object, path: KeyPath) -> Member:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name:
        raise SourceError(path, f"{show(name)} leads out of the archive; give a relative path with / and without ..")
    fields = _known_keys({} if entry is None else entry, path, _MEMBER_KEYS)
    return Member(_size(fields, path), _checksums(fields, path))


def _mapping(value: object, path: KeyPath, what: str) -> Mapping:
    if not isinstance(value, Mapping):
        raise SourceError(path, f"{show(value)} is no mapping of {what} by name")
    return value


def _known_keys(entry: object, path: KeyPath, allowed: Collection[str]) -> Mapping:
    fields = _mapping(entry, path, "settings")
    for key in fields:
        if key not in allowed:
            raise SourceError((*path, str(key)), unknown("key", key, allowed))
    return fields


def _text(entry: Mapping, key: str, path: KeyPath) -> str:
    if key not in entry:
        raise SourceError(path, f"the key {key!r} is missing; add it")
    value = entry[key]
    if not isinstance(value, str) or not value.strip():
        raise SourceError((*path, key), f"{show(value)} is no text; write it in quotes")
    return value


def _file_name(name: object, path: KeyPath, what: str) -> None:
    if not isinstance(name, str) or not re.fullmatch(r"[^\s./\\][^\s/\\]*", name):
        raise SourceError(
            path, f"{show(name)} is no name of a {what}: no space, no / or \\, and no dot at its start are allowed"
        )


def _address(url: object, path: KeyPath) -> str:
    try:
        good = isinstance(url, str) and urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:  # such as an unfinished IPv6 address
        good = False
    if not good:
        raise SourceError(path, f"{show(url)} is no http:// or https:// address; only these are fetched")
    return str(url)


def _size(entry: Mapping, path: KeyPath) -> int | None:
    if "size" not in entry:
        return None
    size = entry["size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise SourceError(
            (*path, "size"), f"{show(size)} is no size; give a positive whole number of bytes, or leave it out"
        )
    return size


def _checksums(entry: Mapping, path: KeyPath) -> dict[str, str]:
    return {key: digest(key, entry[key], (*path, key)) for key in DIGITS if key in entry}


def digest(algorithm: str, value: object, path: KeyPath = ()) -> str:
    """A hexadecimal digest in lower case; :class:`SourceError` if it is none of ``algorithm`` (a key of :data:`DIGITS`)."""
    if not isinstance(value, str):
        raise SourceError(path, f"{show(value)} is no text, which a digest is; write it in quotes")
    if not re.fullmatch(f"[0-9a-fA-F]{{{DIGITS[algorithm]}}}", value):
        raise SourceError(
            path,
            f"{show(value)} is no {algorithm}: give {DIGITS[algorithm]} hexadecimal digits (this has {len(value)})",
        )
    return value.lower()
