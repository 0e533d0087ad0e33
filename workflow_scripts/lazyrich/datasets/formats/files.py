"""Bytes of a file whose content is not trusted: regular files only, bounded, gunzipped in blocks."""

from __future__ import annotations

import gzip
import os
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from lazyrich.datasets.errors import DataFileError

#: Bytes that are asked of a stream at once, so that memory grows as they arrive, not by what a header claims.
BLOCK = 2**20

#: DEFLATE makes at most 1032 bytes out of one (a match of 258 bytes in 2 bits).
DEFLATE_RATIO = 1032

#: Decompressed arrays over this many bytes may be at most so many times as long as what is on disk.
EXPANSION_FREE, EXPANSION_LIMIT = 64 * 2**20, 200

#: What gzip, zipfile, zlib, struct, NumPy and Pillow raise for malformed bytes.
_DAMAGE = (
    OSError, EOFError, ValueError, TypeError, LookupError, RuntimeError, ArithmeticError, SyntaxError,
    zipfile.BadZipFile, zlib.error, tokenize.TokenError, struct.error,
)  # fmt: skip


@contextmanager
def damage_told(path: Path | str, what: str) -> Iterator[None]:
    """Whatever a library raises within becomes a ``DataFileError`` that says ``what`` could not be read."""
    try:
        yield
    except DataFileError:
        raise
    except _DAMAGE as error:
        reason = shown(str(error) or type(error).__name__)
        raise DataFileError(path, f"{what} cannot be read ({reason}); it is damaged: get it again") from error


def shown(text: str) -> str:
    """Text out of a file, for a message: printable, at most 100 characters."""
    return repr(text if len(text) <= 100 else text[:97] + "...")


def check_expansion(path: Path | str, what: str, size: int, on_disk: int) -> None:
    """Refuse a decompression bomb: ``size`` bytes of ``what`` out of ``on_disk`` bytes."""
    if size > max(EXPANSION_FREE, EXPANSION_LIMIT * on_disk):
        raise DataFileError(
            path,
            f"{what} would expand from {on_disk} to {size} bytes, over {EXPANSION_LIMIT} times: if it is what you meant, save it "
            "without compression",
        )


def open_regular(path: Path | str) -> BinaryIO:
    """The file, opened for reading. A folder, pipe or device is refused: reading a pipe could wait for ever."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise DataFileError(path, "is not a regular file; give the path of the file itself")
        return open(path, "rb")
    except FileNotFoundError as error:
        raise DataFileError(path, "does not exist; download it, or correct the path") from error
    except (OSError, ValueError) as error:
        if isinstance(error, DataFileError):
            raise
        raise DataFileError(path, f"cannot be opened ({error}); check the path and its permissions") from error


def read_exactly(read: Callable[[int], bytes], count: int) -> bytearray | None:
    """``count`` bytes, gathered block by block; ``None`` if the stream ends before."""
    data = bytearray()
    while len(data) < count:
        block = read(min(BLOCK, count - len(data)))
        if not block:
            return None
        data += block
    return data


def read_text(path: Path | str, limit: int) -> str:
    """The ASCII text of a file of at most ``limit`` bytes."""
    with open_regular(path) as file, damage_told(path, "the file"):
        data = file.read(limit + 1)
    if len(data) > limit:
        raise DataFileError(
            path, f"is longer than {limit} bytes, so it is not the file that was asked for; get it again"
        )
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise DataFileError(
            path, f"byte {error.start} is not ASCII text; it is damaged or another file: get it again"
        ) from error


class ByteStream:
    """The bytes of a file in order, decompressed if it begins with gzip's 1f 8b; more than ``limit`` bytes are an error.

    gzip's CRC-32 and length are checked when the end is reached.
    """

    def __init__(self, path: Path | str, limit: int) -> None:
        self.path, self._limit, self._left = path, limit, limit
        self._file = open_regular(path)
        self.size_on_disk = os.fstat(self._file.fileno()).st_size
        self.gzipped = self._file.read(2) == b"\x1f\x8b"
        self._file.seek(0)
        self._source: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=self._file) if self.gzipped else self._file

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, count: int) -> bytes:
        """Up to ``count`` bytes; none at the end."""
        with damage_told(self.path, "the gzip stream" if self.gzipped else "the file"):
            data = self._source.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise DataFileError(self.path, f"holds more than {self._limit} bytes, more than it should; get it again")
        return data

    def exactly(self, count: int, what: str) -> bytearray:
        """``count`` bytes of ``what``."""
        data = read_exactly(self.read, count)
        if data is None:
            raise DataFileError(self.path, f"ends within {what}: it is truncated; get it again")
        return data

    def skip(self, count: int, what: str) -> None:
        """Pass over ``count`` bytes of ``what``."""
        while count > 0:
            block = self.read(min(BLOCK, count))
            if not block:
                raise DataFileError(self.path, f"ends within {what}: it is truncated; get it again")
            count -= len(block)
