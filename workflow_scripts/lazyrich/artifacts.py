"""Artifacts: a small JSON manifest that Snakemake sees, and beside it a Zarr store of independently computed units.

A unit (one draw of a dataset, one trained network, one kernel) is a Zarr group with a fingerprint of everything that determines it.
A unit that is complete and has the wanted fingerprint is never computed again. One with another fingerprint is set aside under
``superseded/`` (the last :data:`KEPT` of each unit), so that going back to an earlier configuration computes nothing either.
The manifest is written last, atomically: where there is one, everything that it names is there.
"""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr

from lazyrich import provenance
from lazyrich.fingerprints import fingerprint
from lazyrich.guard import exclusive

#: Superseded versions that are kept of each unit.
KEPT = 2


class ArtifactError(Exception):
    """A manifest or store that is missing, unreadable or not what its manifest says; the message says what to do."""


class Unit:
    """One independently computed piece of a store."""

    def __init__(self, store: Path, name: str, fingerprint: str) -> None:
        self.name, self.fingerprint, self.path = name, fingerprint, store / name
        self._started = time.time()

    @cached_property
    def group(self) -> zarr.Group:
        """The unit's Zarr group, opened for reading and writing once: its attributes are written through this object alone."""
        return zarr.open_group(self.path, mode="a")

    @property
    def attributes(self) -> dict:
        return _attributes(self.path)

    @property
    def complete(self) -> bool:
        attributes = self.attributes
        return attributes.get("fingerprint") == self.fingerprint and bool(attributes.get("complete"))

    def begin(self) -> None:
        """Record the fingerprint before anything is computed, so that what is there after a kill is known to be this unit's.

        What Zarr was writing under a temporary name when the kill came is removed.
        """
        for half_written in self.path.rglob("*.partial"):
            half_written.unlink()
        self.group.attrs.update({"fingerprint": self.fingerprint, "complete": False})

    def array(self, name: str, data: np.ndarray, dimensions: tuple[str, ...], chunk: int | None = None) -> None:
        """Write a whole array, with named dimensions, in one chunk, or in chunks of whole rows and about ``chunk`` bytes."""
        sizes = [max(1, size) for size in data.shape]
        if chunk is not None and data.nbytes > chunk:
            sizes[0] = max(1, chunk * len(data) // data.nbytes)
        self.group.create_array(
            name, data=np.ascontiguousarray(data), chunks=tuple(sizes), compressors=None, dimension_names=dimensions,
            overwrite=True,
        )  # fmt: skip

    def require(self, name: str, **creation: object) -> zarr.Array:
        """The array ``name`` that an earlier attempt left, or a new one with the arguments of ``create_array``."""
        if name not in self.group:
            self.group.create_array(name, compressors=None, **creation)  # type: ignore[arg-type]
        return open_array(self.group, name)

    def finish(self, device: str, **info: object) -> None:
        """Mark the unit complete, with the digest of every array, what there is to say of it, and where it comes from."""
        arrays = {
            name: {"shape": list(array.shape), "dtype": str(array.dtype), "sha256": digest(array)}
            for name, array in sorted(self.group.members(max_depth=None))
            if isinstance(array, zarr.Array)
        }
        record: dict = {"arrays": arrays, "info": info, "provenance": provenance.stamp(device, self._started)}
        self.group.attrs.update({"complete": True, **record})


class Store:
    """The Zarr store beside a manifest, for the one process that writes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        zarr.open_group(path, mode="a")

    def unit(self, name: str, fingerprint: str) -> Unit:
        """The unit ``name`` with this fingerprint: as it is, taken back from ``superseded/``, or new and empty."""
        unit = Unit(self.path, name, fingerprint)
        present = unit.attributes.get("fingerprint")
        if present != fingerprint:
            if unit.path.exists():
                self._set_aside(unit.path, name, str(present))
            earlier = self._aside(name, fingerprint)
            if earlier.exists():
                unit.path.parent.mkdir(parents=True, exist_ok=True)
                earlier.rename(unit.path)
        return unit

    def _aside(self, name: str, fingerprint: str) -> Path:
        return self.path.parent / "superseded" / self.path.name / f"{name.replace('/', '--')}.{fingerprint[:16]}"

    def _set_aside(self, path: Path, name: str, present: str) -> None:
        if not _attributes(path).get("complete"):
            shutil.rmtree(path)
            return
        target = self._aside(name, present)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        os.utime(path)
        path.rename(target)
        versions = sorted(
            target.parent.glob(f"{target.stem}.{'[0-9a-f]' * 16}"),
            key=lambda version: version.stat().st_mtime,
            reverse=True,
        )
        for version in versions[KEPT:]:
            shutil.rmtree(version)


@contextmanager
def writing(manifest: Path, store: str) -> Iterator[Store]:
    """The store of ``manifest`` for writing, held against every other process."""
    with exclusive(manifest.with_suffix(".lock")):
        yield Store(manifest.parent / store)


def write_manifest(path: Path, stage: str, store: str, units: list[Unit], **content: object) -> None:
    """Write the manifest of complete ``units``. What it says depends only on them: computing nothing new changes no byte."""
    entries = {}
    for unit in units:
        attributes = unit.attributes
        entries[unit.name] = {key: attributes[key] for key in ("fingerprint", "info", "arrays", "provenance")}
    write_json(
        path,
        {
            "stage": stage,
            "store": store,
            "fingerprint": fingerprint(stage, {name: entry["fingerprint"] for name, entry in entries.items()}, content),
            **content,
            "units": entries,
        },
    )


def write_json(path: Path, content: object) -> None:
    """Write JSON as :func:`write_text` does. JSON has no infinities and no NaN: they become words, which ``float`` reads."""
    write_text(path, json.dumps(_finite(content), indent=1, allow_nan=False) + "\n")


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_text(path: Path, text: str) -> None:
    """Write atomically: a reader, or a rerun after a kill, sees the whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(temporary, path)


def read_manifest(path: Path) -> dict:
    """The content of a manifest; :class:`ArtifactError` if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist; run the workflow to make it") from None
    except ValueError as error:
        raise ArtifactError(
            f"{path} is no valid manifest ({error}); delete it and rerun: its store beside it is used again"
        ) from None


def read_unit(manifest_path: Path, manifest: dict, name: str) -> zarr.Group:
    """The group of a unit named in a manifest, after checking that the store holds that very unit."""
    path = manifest_path.parent / manifest["store"] / name
    wanted, found = manifest["units"][name]["fingerprint"], _attributes(path).get("fingerprint")
    if found is None:
        raise ArtifactError(
            f"{manifest_path} names {path}, which is not there; delete the manifest and rerun to compute it again"
        )
    if found != wanted:
        raise ArtifactError(
            f"{path} has fingerprint {found[:12]}, but {manifest_path} says {wanted[:12]}; delete the manifest and rerun"
        )
    return zarr.open_group(path, mode="r")


def open_array(group: zarr.Group, name: str) -> zarr.Array:
    """The array ``name`` of a group; :class:`ArtifactError` if there is none."""
    found = group.get(name)
    if not isinstance(found, zarr.Array):
        raise ArtifactError(
            f"{group.store_path} holds no array {name!r}; delete this store and its manifest, and rerun"
        )
    return found


def read_array(group: zarr.Group, name: str, selection: object = ...) -> np.ndarray:
    """What the array ``name`` of a group holds, or a part of it."""
    return np.asarray(open_array(group, name)[selection])  # type: ignore[index]


def digest(array: zarr.Array | np.ndarray) -> str:
    """SHA-256 of the values, read in bands of rows."""
    rows = max(1, 2**24 // max(1, int(np.prod(array.shape[1:]))))
    total = hashlib.sha256()
    for start in range(0, array.shape[0], rows):
        total.update(np.ascontiguousarray(array[start : start + rows]).tobytes())
    return total.hexdigest()


def _attributes(path: Path) -> dict:
    try:
        return json.loads((path / "zarr.json").read_text(encoding="utf-8")).get("attributes", {})
    except (FileNotFoundError, ValueError):
        return {}
