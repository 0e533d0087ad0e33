"""Which files a dataset is made from, each found or downloaded, and verified."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.files.fetching import Places, fetch, local_file
from lazyrich.datasets.files.sources import parse_source
from lazyrich.datasets.files.verification import sha256
from lazyrich.plugins import load

Record = dict[str, dict[str, Any]]


def locate(spec: Mapping[str, Any], places: Places, say: Callable[[str], None]) -> Record:
    """Name -> ``path``, ``size`` in bytes and ``sha256``. The files are those that ``spec`` names (``path``, or ``files`` with their
    digests), or else those of its registry entry (``entry``). :class:`DataFileError` if one cannot be had.
    """
    if "path" in spec:
        return {spec["path"]: _own(Path(spec["path"]), places)}
    if "files" in spec:
        named = {name: digest for role in spec["files"].values() for name, digest in role.items()}
        found = {name: local_file(name, {"sha256": digest}, places) for name, digest in named.items()}
    else:
        source, module = parse_source(spec["generator"], spec["entry"]), load("datasets", spec["generator"])
        if hasattr(module, "wanted_files"):
            source = replace(source, files={name: source.files[name] for name in module.wanted_files(spec)})
        found = fetch(source, places, say)
    return {name: {"path": str(file.path), "size": file.size, "sha256": file.sha256} for name, file in found.items()}


def _own(path: Path, places: Places) -> dict[str, Any]:
    """A file or folder of the user's own, of which no digest is known beforehand."""
    folders = [Path(), *([places.data] if places.data else [])]
    for folder in folders:
        if (folder / path).exists():
            found = folder / path
            parts = [part for part in found.rglob("*") if part.is_file()] if found.is_dir() else [found]
            return {"path": str(found), "size": sum(part.stat().st_size for part in parts), "sha256": sha256(found)}
    raise DataFileError(
        path, f"there is no such file or folder in {' or '.join(str(folder.resolve()) for folder in folders)}"
    )
