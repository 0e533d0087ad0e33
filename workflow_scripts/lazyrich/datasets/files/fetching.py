"""Dataset files, found or downloaded, and verified before anyone reads them.

A file is looked for in the user's own data folder, which is never written, then among the downloads, then at its mirrors::

    <downloads>/<set>/<file>                    verified; put there in one step
                      <file>.sha256             checksum of the first copy, where none is published
                      .partial/<file>           on its way; the next attempt goes on with it
                      rejected/<file>.<sha256>  turned out to be wrong; kept to look at, never read
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lazyrich.artifacts import write_text
from lazyrich.configuration_errors import unknown
from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.files.downloading import MirrorError, transfer
from lazyrich.datasets.files.sources import DIGITS, Source, SourceError, SourceFile, digest
from lazyrich.guard import exclusive

_BLOCK = 2**20


@dataclass(frozen=True)
class Places:
    """``data`` is the user's own folder, only read; ``downloads`` is where downloads go; ``offline`` contacts nothing."""

    data: Path | None
    downloads: Path
    offline: bool = False


@dataclass(frozen=True)
class Located:
    """A file that is there and has been verified."""

    path: Path
    size: int
    sha256: str


def fetch(source: Source, places: Places, say: Callable[[str], object]) -> dict[str, Located]:
    """Every file of ``source``, verified, downloaded where needed. ``say`` gets a line on whatever the user should know.

    :class:`DataFileError` with what to do, if a file cannot be had.
    """
    search = _Search(source, places, say)
    located = {name: search.look(file) for name, file in source.files.items()}
    missing = [source.files[name] for name, found in located.items() if found is None]
    beyond_reach = [file for file in missing if places.offline or not file.mirrors]
    if beyond_reach:
        why = (
            "downloads are switched off (offline)"
            if places.offline
            else "the terms leave it to you to obtain it (no mirror)"
        )
        raise search.failure(
            beyond_reach, f"{len(beyond_reach)} of {len(located)} files are not there, or not the right ones, and {why}"
        )
    if missing:
        say(f"{source.title}. Terms: {source.licence}. Please cite: {source.citation}")
    with search.locked(bool(missing)):
        located |= {file.name: search.download(file) for file in missing}
    return {name: search.recorded(source.files[name], found) for name, found in located.items() if found}


def local_file(name: str, expected: Mapping[str, str], places: Places) -> Located:
    """The user's own file ``name``, relative to ``places.data`` or absolute, with the checksums ``expected`` (may be empty).

    :class:`DataFileError` if it is not there or not the one expected.
    """
    path = Path(name).expanduser()
    if not path.is_absolute():
        if places.data is None:
            raise DataFileError(
                name, "is relative to the folder of your own data, and none is set; set it or give an absolute path"
            )
        path = places.data / path
    checksums = {}
    for algorithm, value in expected.items():
        if algorithm not in DIGITS:
            raise DataFileError(path, unknown("checksum", algorithm, DIGITS))
        try:
            checksums[algorithm] = digest(algorithm, value)
        except SourceError as error:
            raise DataFileError(path, f"its {algorithm} {error.text}") from None
    if not os.path.exists(path):
        raise DataFileError(path, "there is no such file; put it there, or correct its path")
    located, problem = _examine(path, None, checksums)
    if problem:
        raise DataFileError(
            path, f"{problem}; this is another file than the one named: put that one there, or correct the checksum"
        )
    return located


def verify(path: Path, size: int | None, checksums: Mapping[str, str]) -> str:
    """The SHA-256 of ``path``; :class:`DataFileError` naming expected and found if its size or a checksum is another."""
    located, problem = _examine(path, size, checksums)
    if problem:
        raise DataFileError(path, problem)
    return located.sha256


def _examine(path: Path, size: int | None, checksums: Mapping[str, str]) -> tuple[Located, str]:
    """What ``path`` is, and how it differs from what is expected ("" if it does not). One pass for all digests."""
    hashers = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in {*checksums, "sha256"}}
    found_size = 0
    try:
        with path.open("rb") as handle:
            while block := handle.read(_BLOCK):
                found_size += len(block)
                for hasher in hashers.values():
                    hasher.update(block)
    except FileNotFoundError:
        raise DataFileError(path, "there is no such file") from None
    except OSError as error:
        raise DataFileError(path, f"cannot be read: {error.strerror}") from None
    found = {algorithm: hasher.hexdigest() for algorithm, hasher in hashers.items()}
    problems = [f"has {found_size} bytes, expected {size}"] if size not in (None, found_size) else []
    problems += [
        f"{algorithm} is {found[algorithm]}, expected {wanted}"
        for algorithm, wanted in checksums.items()
        if found[algorithm] != wanted.lower()
    ]
    return Located(path, found_size, found["sha256"]), "; ".join(problems)


class _Search:
    """The files of one set in their places."""

    def __init__(self, source: Source, places: Places, say: Callable[[str], object]) -> None:
        self.source, self.places, self.say = source, places, say
        self.folder = places.downloads / source.name
        #: File name -> the copies of it that were found, and what is wrong with each.
        self.wrong: dict[str, dict[Path, str]] = {name: {} for name in source.files}

    @contextmanager
    def locked(self, needed: bool = True) -> Iterator[None]:
        """Hold the set's folder against other processes; what cannot be written becomes a :class:`DataFileError`."""
        if not needed:
            yield
            return
        try:
            with exclusive(self.folder / ".lock"):
                yield
        except OSError as error:
            raise DataFileError(
                self.folder,
                f"cannot be written: {error.strerror or error}; free space or change its permissions, or let downloads go elsewhere",
            ) from None

    def look(self, file: SourceFile) -> Located | None:
        """The first good copy that is there already; notes the bad ones."""
        expected = self.expected(file)
        for path in self.copies(file):
            if not os.path.lexists(path):
                continue
            try:
                located, problem = _examine(path, file.size, expected)
            except DataFileError as error:
                problem = error.problem
            if not problem:
                for other, why in self.wrong[file.name].items():
                    self.say(f"{other}: {why}; not used, {path} is good")
                return located
            self.wrong[file.name][path] = problem
        return None

    def copies(self, file: SourceFile) -> list[Path]:
        data = self.places.data
        own = [] if data is None else [data / file.name, data / self.source.name / file.name]
        return [*own, self.folder / file.name]

    def record(self, file: SourceFile) -> Path:
        return self.folder / f"{file.name}.sha256"

    def expected(self, file: SourceFile) -> Mapping[str, str]:
        """The published checksums, or that of the first copy; empty before there was any."""
        record = self.record(file)
        if file.checksums or not record.is_file():
            return file.checksums
        words = record.read_text(encoding="utf-8", errors="replace").split()
        if not words or not re.fullmatch("[0-9a-f]{64}", words[0]):
            raise DataFileError(record, f"holds no SHA-256; delete it to trust the next copy of {file.name}")
        return {"sha256": words[0]}

    def recorded(self, file: SourceFile, located: Located) -> Located:
        """``located``, after its checksum has been recorded if it is the first copy of a file without published ones."""
        if file.checksums or self.expected(file):
            return located
        with self.locked():
            expected = self.expected(file)  # another process may have been faster, with another copy
            if not expected:
                write_text(self.record(file), f"{located.sha256}  {file.name}\n")
                self.say(f"{file.name}: no checksum is published; that of {located.path} is now in {self.record(file)}")
            elif expected["sha256"] != located.sha256:
                self.wrong[file.name][located.path] = f"sha256 is {located.sha256}, expected {expected['sha256']}"
                raise self.failure([file], "another process has recorded another copy")
        return located

    def download(self, file: SourceFile) -> Located:
        """The file from the first mirror that gives a good one. The set's folder is held by this process."""
        target, partial = self.folder / file.name, self.folder / ".partial" / file.name
        if os.path.lexists(target):
            located, problem = _examine(target, file.size, self.expected(file))
            if not problem:  # another process has brought it while this one waited
                return located
            self.say(f"{target}: {problem}; moved to {self._reject(target, located)}, downloading it again")
            self.wrong[file.name].pop(target, None)
        for other, why in self.wrong[file.name].items():
            self.say(f"{other}: {why}; not used, downloading a good copy")
        partial.parent.mkdir(exist_ok=True)
        reasons = []
        for url in file.mirrors:
            self.say(f"{file.name}: downloading {self.facts(file, checksums=False)} from {url}")
            try:
                located = self._from_mirror(url, file, partial)
            except MirrorError as error:
                reasons.append(f"{url}: {error}")
                self.say(reasons[-1])
                continue
            os.replace(partial, target)
            return Located(target, located.size, located.sha256)
        raise self.failure([file], "no mirror gave a good copy", reasons)

    def _from_mirror(self, url: str, file: SourceFile, partial: Path) -> Located:
        """The verified partial file. One that was put together from several replies and is wrong is fetched once more in one."""
        for attempt in (1, 2):
            resumed = transfer(url, partial, file, self.say)
            located, problem = _examine(partial, file.size, self.expected(file))
            if not problem:
                return located
            wrong = f"{problem}; what came is in {self._reject(partial, located)}"
            if not resumed or attempt == 2:
                break
            self.say(f"{url}: {wrong}; it was put together from several attempts, fetching it once more from the start")
        raise MirrorError(wrong)

    def _reject(self, path: Path, located: Located) -> Path:
        """Move a wrong file out of the way, to where it can be looked at."""
        kept = self.folder / "rejected" / f"{path.name}.{located.sha256[:12]}"
        kept.parent.mkdir(exist_ok=True)
        os.replace(path, kept)
        return kept

    def facts(self, file: SourceFile, checksums: bool = True) -> str:
        size = "of unknown size" if file.size is None else f"{file.size} bytes"
        if not checksums:
            return size
        return ", ".join([size, *(f"{name} {value}" for name, value in self.expected(file).items())])

    def failure(self, files: Sequence[SourceFile], why: str, reasons: Sequence[str] = ()) -> DataFileError:
        """The error that says why ``files`` cannot be had, and how to place them by hand."""
        lines = [why]
        for file in files:
            lines.append(f"  {file.name} ({self.facts(file)})")
            lines += [f"    found, but wrong: {path}: {problem}" for path, problem in self.wrong[file.name].items()]
            if not file.checksums and self.expected(file):
                lines.append(
                    f"    this checksum is that of the first copy, recorded in {self.record(file)}; to trust another copy, delete that"
                )
            lines += [f"    {reason}" for reason in reasons]
            lines.append("    looked for at: " + ", ".join(map(str, self.copies(file))))
            lines.append(f"    to place it by hand, put it at {self.folder / file.name}")
            lines.append("    to be had from: " + (", ".join(file.mirrors) or self.source.homepage))
        if self.places.data and not self.places.data.is_dir():
            lines.append(f"  the folder of your own data, {self.places.data}, does not exist")
        lines.append(f"  homepage: {self.source.homepage}; terms: {self.source.licence}")
        lines += [f"  note: {self.source.note}"] if self.source.note else []
        return DataFileError(self.source.name, "\n".join(lines))
