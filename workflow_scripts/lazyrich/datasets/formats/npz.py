"""Arrays of NumPy's .npz files, whole or some of their rows, without holding more than is asked for.

An .npz is a zip archive (stored or deflated) with one ``NAME.npy`` an array. An .npy is ``93 NUMPY``, a version of two bytes, the length
of the header (2 bytes in version 1, 4 in version 2), the header: a Python literal with ``descr``, ``fortran_order`` and ``shape``; then
the values, the last dimension fastest. Arrays of objects are pickles, which run code when they are read: they are refused.
Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

from __future__ import annotations

import difflib
import io
import math
import struct
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.archive import Archive
from lazyrich.datasets.formats.files import damage_told, shown

#: Longest directory of the archive, longest header, in bytes. Longer headers could exhaust the parser of literals.
DIRECTORY_LIMIT, HEADER_LIMIT = 2**20, 1024
#: Largest array that is read whole, and largest row, in bytes.
ARRAY_LIMIT, ROW_LIMIT = 8 * 2**30, 2**28
#: Bytes of rows that are in memory at a time.
ROW_BLOCK = 8 * 2**20

_SUFFIX = ".npy"


class NpzFile:
    """An .npz file; it is open only while a method reads. ``DataFileError`` wherever it is malformed.

    Arrays are row-major, of booleans, integers, or floats of up to 8 bytes. They are returned in the machine's byte order.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = path
        with Archive(path, DIRECTORY_LIMIT) as archive:
            members = [name for name in archive.names if name.endswith(_SUFFIX)]
        #: Names of the arrays.
        self.names = tuple(name.removesuffix(_SUFFIX) for name in members)
        if not members:
            raise DataFileError(path, "holds no array; save it with numpy.savez")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the array ``name``, of which the archive holds as many bytes as the two take."""
        with self._opened(name) as (_, _, shape, dtype):
            return shape, dtype.newbyteorder("=")

    def array(self, name: str) -> np.ndarray:
        """The whole array ``name``, of at most :data:`ARRAY_LIMIT` bytes, with its CRC-32 checked."""
        with self._opened(name) as (archive, stream, shape, dtype):
            size = math.prod(shape) * dtype.itemsize
            if size > ARRAY_LIMIT:
                raise DataFileError(
                    self.path, f"{shown(name)} takes {size} bytes, over the limit of {ARRAY_LIMIT}; save less"
                )
            data = archive.exactly(stream, size, name)
            self._end(archive, stream, name)
        return np.frombuffer(data, dtype).astype(dtype.newbyteorder("="), copy=False).reshape(shape)

    def rows(self, name: str, indices: np.ndarray, *, whole: bool = True) -> np.ndarray:
        """The rows ``indices`` (sorted, int) of the array ``name``, in one pass of :data:`ROW_BLOCK` bytes at a time.

        ``whole`` reads on to the end, where the CRC-32 is checked; without it, rows behind the last one are not read and damage is not
        noticed.
        """
        with self._opened(name) as (archive, stream, shape, dtype):
            indices = self._checked(name, indices, shape)
            row = math.prod(shape[1:]) * dtype.itemsize
            if row > ROW_LIMIT:
                raise DataFileError(
                    self.path, f"a row of {shown(name)} takes {row} bytes, over the limit of {ROW_LIMIT}"
                )
            taken = np.empty((len(indices), *shape[1:]), dtype.newbyteorder("="))
            last = shape[0] if whole else (int(indices[-1]) + 1 if len(indices) else 0)
            step = max(1, ROW_BLOCK // max(1, row))
            for start in range(0, last if row else 0, step):
                stop = min(start + step, last)
                data = archive.exactly(stream, (stop - start) * row, name)
                first, behind = np.searchsorted(indices, (start, stop))
                block = np.frombuffer(data, dtype).reshape(stop - start, *shape[1:])
                taken[first:behind] = block[indices[first:behind] - start]
            if whole:
                self._end(archive, stream, name)
        return taken

    def _checked(self, name: str, indices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        indices = np.asarray(indices)
        if not shape:
            raise DataFileError(self.path, f"{shown(name)} is one number, without rows; save an array")
        if indices.ndim != 1 or indices.dtype.kind not in "iu" or (np.diff(indices.astype(np.int64)) < 0).any():
            raise ValueError(f"indices of {name!r} are not a sorted list of whole numbers; sort them")
        if len(indices) and not 0 <= indices[0] <= indices[-1] < shape[0]:
            raise DataFileError(
                self.path,
                f"{shown(name)} has {shape[0]} rows; rows {indices[0]} to {indices[-1]} were asked for: ask for fewer",
            )
        return indices.astype(np.int64)

    @contextmanager
    def _opened(self, name: str) -> Iterator[tuple[Archive, zipfile.ZipExtFile, tuple[int, ...], np.dtype]]:
        """The archive, the member's stream behind its header, and what the header states."""
        if name not in self.names:
            near = difflib.get_close_matches(name, self.names, 1) or self.names[:20]
            raise DataFileError(self.path, f"has no array {name!r}; it has {', '.join(map(shown, near))}")
        member = name + _SUFFIX
        with Archive(self.path, DIRECTORY_LIMIT) as archive:
            if member not in archive.names:
                raise DataFileError(self.path, f"has lost its array {name!r} since it was opened; leave the file alone")
            with archive.open(member) as stream:
                shape, dtype, used = self._header(archive, stream, member)
                stated = used + math.prod(shape) * dtype.itemsize
                if stated != archive.size(member):
                    raise DataFileError(
                        self.path,
                        f"{shown(name)} has {archive.size(member)} bytes, where {dtype} of shape {shape} takes {stated}; save it again",
                    )
                yield archive, stream, shape, dtype

    def _header(
        self, archive: Archive, stream: zipfile.ZipExtFile, member: str
    ) -> tuple[tuple[int, ...], np.dtype, int]:
        """Shape, dtype, and the bytes that magic string and header take."""
        magic = bytes(archive.exactly(stream, 8, member))
        if magic[:6] != b"\x93NUMPY" or magic[6:] not in (b"\x01\x00", b"\x02\x00"):
            raise DataFileError(
                self.path,
                f"{shown(member)} begins with {magic.hex(' ')}: it is no array of numbers; save it with numpy.savez",
            )
        first = magic[6] == 1
        prefix = bytes(archive.exactly(stream, 2 if first else 4, member))
        length = struct.unpack("<H" if first else "<I", prefix)[0]
        if length > HEADER_LIMIT:
            raise DataFileError(
                self.path, f"{shown(member)} has a header of {length} bytes; {HEADER_LIMIT} are allowed"
            )
        text = bytes(archive.exactly(stream, length, member))
        parse = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
        with damage_told(self.path, f"the header of {shown(member)}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the file is of Python 2
            shape, fortran, dtype = parse(io.BytesIO(prefix + text), max_header_size=HEADER_LIMIT)
        if dtype.hasobject:
            raise DataFileError(
                self.path, f"{shown(member)} holds objects, which are pickled and could run code; save it as numbers"
            )
        if dtype.kind not in "biuf" or dtype.itemsize > 8 or dtype.fields or dtype.subdtype:
            raise DataFileError(
                self.path, f"{shown(member)} is of dtype {shown(str(dtype))}; save booleans, integers or floats"
            )
        if fortran and len(shape) > 1:
            raise DataFileError(
                self.path,
                f"{shown(member)} is in Fortran order; save numpy.ascontiguousarray of it, whose rows can be streamed",
            )
        shape = tuple(int(size) for size in shape)
        if any(size < 0 for size in shape) or len(shape) > 32 or math.prod(size or 1 for size in shape) >= 2**60:
            raise DataFileError(self.path, f"{shown(member)} states the shape {shown(str(shape))}; save it again")
        return shape, dtype, len(magic) + len(prefix) + len(text)

    def _end(self, archive: Archive, stream: zipfile.ZipExtFile, name: str) -> None:
        if not archive.at_end(stream, name):
            raise DataFileError(self.path, f"{shown(name)} has trailing bytes; save it again")
