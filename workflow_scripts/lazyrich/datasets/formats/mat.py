"""Numeric arrays out of MATLAB 5 files (`save -v6` and `-v7`), as SVHN comes in.

A header of 128 bytes ends in the version (00 01) and the byte order (``IM``: little-endian). Then elements: a tag of two 4-byte integers
(type, bytes), and the bytes, padded to 8 except in type 15, which is a zlib stream of one other element. Type 14 is an array, made of
elements itself: flags (class in the lowest byte), sizes, name, values (first dimension fastest), imaginary part. An element of up
to 4 bytes may sit in its own tag: bytes and type in 2 bytes each, then the values. Values may be stored in a narrower type than
the array's class. zlib's Adler-32 is checked; arrays that are not compressed have no checksum.
Source: MathWorks, MAT-File Format, chapter 1 (Level 5).

Why not ``scipy.io.loadmat``: of 10,000 mutated files of SVHN's layout, SciPy 1.17.1 ended 27 in a crash of the process (SIGSEGV, SIGBUS),
as it indexes a C table by the type in a tag; a negative size was accepted, arrays nested 20,000 deep crashed, and 1 MB expanded to 1 GB.
A check that keeps such files from it must walk all of the above, so that only ``np.frombuffer`` would be left to SciPy.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import DEFLATE_RATIO, damage_told, open_regular, read_exactly, shown

#: Largest array, in bytes; SVHN's `extra` set is 1.6 GB.
SIZE_LIMIT = 2 * 2**30
#: Most elements of a file, and most dimensions of an array.
ELEMENT_LIMIT, DIMENSION_LIMIT = 1000, 32
#: Longest name; MATLAB allows 63 characters.
NAME_LIMIT = 64

_INT32, _UINT32, _MATRIX, _COMPRESSED, _COMPLEX = 5, 6, 14, 15, 0x800
_STORED = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8", 12: "<i8", 13: "<u8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}


def read_mat(path: Path | str, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The real numeric arrays of these names, column-major and of their class's dtype; others are passed over.

    ``DataFileError`` for another format, damage, an array over :data:`SIZE_LIMIT`, and a name that is missing, twice or not numeric.
    """
    found: dict[str, np.ndarray] = {}
    there: list[str] = []
    with open_regular(path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        _check_header(path, file.read(128))
        while (left := size - file.tell()) > 0:
            tag = file.read(8)
            if len(tag) < 8 or len(there) == ELEMENT_LIMIT:
                raise DataFileError(
                    path, f"has trailing bytes, or over {ELEMENT_LIMIT} arrays: it is damaged; get it again"
                )
            kind, count = struct.unpack("<II", tag)
            if kind not in (_MATRIX, _COMPRESSED):
                raise DataFileError(
                    path, f"has an element of type {kind} where an array should be: it is damaged; get it again"
                )
            if count > left - 8:
                raise DataFileError(
                    path, f"is truncated: an array takes {count} bytes of {left - 8} left; get it again"
                )
            end = file.tell() + count
            array = _Array(path, _Inflated(path, file, count) if kind == _COMPRESSED else _Raw(path, file, count))
            there.append(array.name)
            if array.name in names:
                if array.name in found:
                    raise DataFileError(path, f"has the array {shown(array.name)} twice; get it again")
                found[array.name] = array.values()
            file.seek(end)
    for name in names:
        if name not in found:
            known = ", ".join(map(shown, there[:20]))
            raise DataFileError(
                path, f"has no numeric array {shown(name)}; it has {known or 'none'}: get the official file"
            )
    return found


def _check_header(path: Path | str, header: bytes) -> None:
    if len(header) < 128 or header[126:128] not in (b"IM", b"MI"):
        raise DataFileError(path, "is no MATLAB 5 file, or is truncated; get it again")
    if header[124:128] != b"\x00\x01IM":
        raise DataFileError(
            path,
            f"has the version and byte order {header[124:128]!r}; save it by `save -v7` on a little-endian machine",
        )


class _Raw:
    """The next ``count`` bytes of ``file``: an element's body that is not compressed."""

    def __init__(self, path: Path | str, file: BinaryIO, count: int) -> None:
        self.path, self._file, self.left = path, file, count

    def read(self, count: int) -> bytes:
        data = self._file.read(min(count, self.left))
        self.left -= len(data)
        return data

    def body(self) -> int:
        """Bytes of the array at whose beginning the stream stands."""
        return self.left

    def most(self) -> int:
        """Bytes that can still come."""
        return self.left

    def close(self) -> None:
        """Check what is behind the array's values."""
        if self.left > 7:
            raise DataFileError(self.path, f"has {self.left} bytes behind the values of an array; get it again")


class _Inflated(_Raw):
    """The array within the zlib stream in the next ``count`` bytes of ``file``."""

    def __init__(self, path: Path | str, file: BinaryIO, count: int) -> None:
        super().__init__(path, file, count)
        self._inflater, self._pending = zlib.decompressobj(), b""

    def read(self, count: int) -> bytes:
        while not self._inflater.eof:
            fed = self._pending or super().read(2**16)
            with damage_told(self.path, "a compressed array"):
                data = self._inflater.decompress(fed, count)
            self._pending = self._inflater.unconsumed_tail
            if data:
                return data
            if not fed:
                raise DataFileError(self.path, "ends within a compressed array: it is truncated; get it again")
        return b""

    def body(self) -> int:
        kind, count = struct.unpack("<II", _exactly(self.path, self.read, 8))
        if kind != _MATRIX:
            raise DataFileError(self.path, f"has an element of type {kind} instead of a compressed array; get it again")
        return count

    def most(self) -> int:
        return (self.left + len(self._pending) + 1) * DEFLATE_RATIO + 2**16

    def close(self) -> None:
        rest = read_exactly(self.read, 8)
        if rest is not None:
            raise DataFileError(self.path, "has bytes behind the values of a compressed array; get it again")


class _Array:
    """One array: its name at once, its values when they are asked for."""

    def __init__(self, path: Path | str, stream: _Raw) -> None:
        self._path, self._stream = path, stream
        self._body, self._used = stream.body(), 0
        flags = struct.unpack("<I", self._element((_UINT32,), 8)[1][:4].ljust(4, b"\0"))[0]
        self._class = flags & 0xFF
        self.name = "(no numeric array)"
        if self._class in _CLASSES and not flags & _COMPLEX:
            sizes = self._element((_INT32,), 4 * DIMENSION_LIMIT)[1]
            self._shape = struct.unpack(f"<{len(sizes) // 4}i", sizes[: len(sizes) // 4 * 4])
            self.name = self._element((1, 2, 16), NAME_LIMIT)[1].decode("latin-1")

    def values(self) -> np.ndarray:
        dtype = np.dtype(_CLASSES[self._class])
        length = math.prod(self._shape)
        largest = math.prod(size or 1 for size in self._shape) * dtype.itemsize  # as if no size were 0
        if len(self._shape) < 2 or min(self._shape) < 0 or largest > SIZE_LIMIT:
            raise DataFileError(
                self._path, f"{shown(self.name)} states the shape {self._shape}, which is not allowed; get it again"
            )
        kind, data = self._element(tuple(_STORED), SIZE_LIMIT, length)
        stored = np.dtype(_STORED[kind])
        if not np.can_cast(stored, dtype, "safe"):
            raise DataFileError(self._path, f"{shown(self.name)} is {dtype} but stored as {stored}; get it again")
        if not self._used <= self._body <= self._used + 7:
            raise DataFileError(
                self._path, f"{shown(self.name)} states {self._body} bytes but holds {self._used}; get it again"
            )
        self._stream.close()
        return np.frombuffer(data, stored).astype(dtype, copy=False).reshape(self._shape, order="F")

    def _element(self, kinds: tuple[int, ...], limit: int, length: int | None = None) -> tuple[int, bytearray]:
        """Type and bytes of the next element, one of ``kinds``, of at most ``limit`` bytes and of ``length`` values if given."""
        tag = _exactly(self._path, self._stream.read, 8)
        kind, count = struct.unpack("<II", tag)
        small = kind >> 16
        if small:
            kind, count = kind & 0xFFFF, small
        if kind not in kinds or count > (4 if small else limit):
            raise DataFileError(
                self._path, f"has an element of type {kind} and {count} bytes out of place; get it again"
            )
        if length is not None and count != length * np.dtype(_STORED[kind]).itemsize:
            raise DataFileError(
                self._path, f"{shown(self.name)} has {count} bytes of values for the shape {self._shape}; get it again"
            )
        if count > self._stream.most() and not small:
            raise DataFileError(self._path, f"ends within an element of {count} bytes: it is truncated; get it again")
        self._used += 8 if small else 8 + count
        if small:
            return kind, tag[4 : 4 + count]
        data = _exactly(self._path, self._stream.read, count)
        if length is None and count % 8:
            self._used += 8 - count % 8
            _exactly(self._path, self._stream.read, 8 - count % 8)
        return kind, data


def _exactly(path: Path | str, read: Callable[[int], bytes], count: int) -> bytearray:
    data = read_exactly(read, count)
    if data is None:
        raise DataFileError(path, "ends within an array: it is truncated; get it again")
    return data
