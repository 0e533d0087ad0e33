"""Members of a zip archive, read one at a time into memory or as a stream; nothing is extracted to disk.

``zipfile`` reads; what it trusts is checked before: the length of the directory (which it loads whole), names, methods, sizes, ratios.
It compares the local header's name with the directory's, and the CRC-32 at the end of a member.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO, BinaryIO, Self, cast

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import check_expansion, damage_told, open_regular, read_exactly, shown

#: Flag bits of members that are encrypted, patched, or strongly encrypted.
_UNREADABLE = 0x1 | 0x20 | 0x40


class _Guarded:
    """A file of which one read gives at most ``limit`` bytes: ``zipfile`` asks at once for the whole directory."""

    def __init__(self, file: BinaryIO, path: Path | str, limit: int) -> None:
        self._file, self._path, self._limit = file, path, limit
        self.seek, self.tell, self.close, self.seekable = file.seek, file.tell, file.close, file.seekable

    def read(self, count: int = -1) -> bytes:
        if count > self._limit:
            raise DataFileError(
                self._path, f"has a directory of {count} bytes, over the limit of {self._limit}; get it again"
            )
        data = self._file.read(count if count >= 0 else self._limit + 1)
        if len(data) > self._limit:
            raise DataFileError(self._path, f"has a directory of over {self._limit} bytes; get it again")
        return data


class Archive:
    """A zip archive; close it, or use it in a ``with`` statement.

    ``DataFileError`` for no zip archive, a directory over ``directory_limit`` bytes, names that are absolute, contain ``..`` or come twice.
    """

    def __init__(self, path: Path | str, directory_limit: int) -> None:
        self.path = path
        file = open_regular(path)
        self._size = os.fstat(file.fileno()).st_size
        guarded = _Guarded(file, path, max(directory_limit, 2**17))  # the end record and its comment take up to 64 KiB
        try:
            with damage_told(path, "the zip archive"):
                self._zip = zipfile.ZipFile(cast(IO[bytes], guarded))
            self._members = self._checked()
        except BaseException:
            file.close()
            raise
        self._file = file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    def _checked(self) -> dict[str, zipfile.ZipInfo]:
        members: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            name = info.orig_filename.replace("\\", "/")
            if "\0" in name or name.startswith("/") or ".." in PurePosixPath(name).parts:
                raise DataFileError(self.path, f"has an entry named {shown(name)}, which points outside: do not use it")
            if name in members:
                raise DataFileError(self.path, f"has the entry {shown(name)} twice; get it again")
            members[name] = info
        return members

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._members)

    def size(self, name: str) -> int:
        """Bytes of the member ``name`` by the directory, which must be there."""
        return self._members[name].file_size

    @contextmanager
    def open(self, name: str, limit: int | None = None) -> Iterator[zipfile.ZipExtFile]:
        """The member ``name``, which must be there, as a stream; more than ``limit`` bytes are an error."""
        info = self._members[name]
        if info.flag_bits & _UNREADABLE:
            raise DataFileError(self.path, f"the entry {shown(name)} is encrypted; save it without a password")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DataFileError(
                self.path,
                f"the entry {shown(name)} has the compression method {info.compress_type}; store or deflate it",
            )
        if info.compress_size > self._size:
            raise DataFileError(
                self.path, f"the entry {shown(name)} takes {info.compress_size} bytes of {self._size}: it is truncated"
            )
        if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
            raise DataFileError(self.path, f"the entry {shown(name)} is stored but states two sizes; get it again")
        if limit is not None and info.file_size > limit:
            raise DataFileError(
                self.path, f"the entry {shown(name)} has {info.file_size} bytes, over the limit of {limit}"
            )
        check_expansion(self.path, f"the entry {shown(name)}", info.file_size, info.compress_size)
        with damage_told(self.path, f"the entry {shown(name)}"):
            stream = cast(zipfile.ZipExtFile, self._zip.open(info))
        with stream:
            yield stream

    def exactly(self, stream: zipfile.ZipExtFile, count: int, name: str) -> bytearray:
        """The next ``count`` bytes of a member."""
        with damage_told(self.path, f"the entry {shown(name)}"):
            data = read_exactly(stream.read, count)
        if data is None:
            raise DataFileError(self.path, f"the entry {shown(name)} is truncated; get it again")
        return data

    def at_end(self, stream: zipfile.ZipExtFile, name: str) -> bool:
        """Whether the member ends here; if so, its CRC-32 has been found right."""
        with damage_told(self.path, f"the entry {shown(name)}"):
            return not stream.read(1)

    def read(self, name: str, limit: int) -> bytes:
        """All bytes of the member ``name``, at most ``limit``."""
        with self.open(name, limit) as stream:
            data = self.exactly(stream, self.size(name), name)
            if not self.at_end(stream, name):
                raise DataFileError(self.path, f"the entry {shown(name)} has trailing bytes; get it again")
        return bytes(data)
