"""Arrays of a Zarr folder of format 3, as ``zarr.save_group`` or ``zarr.create_array`` writes it.

Every array is a folder with ``zarr.json`` (shape, type, chunks, codecs) and chunks ``c/0/0``, whole ones also at the edges; a chunk that is
missing holds the fill value. ``zarr`` decodes; what it trusts is checked before, for all chunks: that they are files, and that
what zstd or Blosc would allocate is the size of a chunk. Other codecs are refused: some unpickle, gzip states no size in front.
Chunks have no checksum, unless they were written with crc32c or zstd's own.
Sources: https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html; RFC 8878 (zstd), 3.1.1.1; c-blosc, README_CHUNK_FORMAT.rst.
"""

from __future__ import annotations

import json
import math
import os
import stat
import struct
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import check_expansion, damage_told, open_regular, shown

#: Longest metadata, in bytes; most chunks of an array, and most entries of the whole folder.
METADATA_LIMIT, CHUNK_LIMIT, ENTRY_LIMIT = 2**16, 100_000, 500_000

_TYPES = {f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)} - {"float8"}
_COMPRESSORS = ("zstd", "blosc")


class ZarrFolder:
    """A Zarr folder; ``names`` are its arrays, such as ``inputs`` and ``train/inputs``. ``DataFileError`` wherever it is malformed."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with damage_told(path, "the folder"):
            self._metadata = {name: _metadata(folder) for name, folder in self._arrays()}
        self.names = tuple(self._metadata)
        if not self.names:
            raise DataFileError(path, "holds no array of Zarr format 3; save it with zarr.save_group")

    def _arrays(self) -> list[tuple[str, Path]]:
        """Names and folders of the arrays, after a walk that refuses links, pipes and devices."""
        found, entries = [], 0
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                mode = os.lstat(os.path.join(folder, name)).st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise DataFileError(
                        self.path, f"{shown(name)} is a link, pipe or device; copy the files themselves"
                    )
            entries += len(folders) + len(files)
            if entries > ENTRY_LIMIT:
                raise DataFileError(self.path, f"has over {ENTRY_LIMIT} entries; use larger chunks")
            if ".zarray" in files or ".zgroup" in files:
                raise DataFileError(self.path, "is of Zarr format 2; save it again with zarr_format=3")
            if "zarr.json" in files and _json(Path(folder)).get("node_type") == "array":
                found.append((Path(folder).relative_to(self.path).as_posix(), Path(folder)))
        return sorted(found)

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype]:
        """Shape and dtype of the array ``name``."""
        shape, dtype, _, _ = self._metadata[name]
        return shape, dtype

    def array(self, name: str) -> np.ndarray:
        """The whole array ``name``, in the machine's byte order."""
        shape, dtype, chunk, encoding = self._metadata[name]
        folder = self.path / name
        on_disk = 0
        with damage_told(folder, "the chunks"):
            for place, _, files in os.walk(folder / "c"):
                for file in files:
                    on_disk += _check_chunk(Path(place, file), chunk, *encoding)
        if not shape:
            raise DataFileError(folder, "is one number; save an array")
        check_expansion(folder, "the array", math.prod(shape) * dtype.itemsize, on_disk)
        with damage_told(folder, "the array"):
            stored = zarr.open_array(folder, mode="r", zarr_format=3)
            array = np.asarray(stored[...])
        if array.shape != shape or array.dtype != dtype:
            raise DataFileError(
                folder, f"reads as {array.dtype} of shape {array.shape}, unlike its metadata; save it again"
            )
        return np.ascontiguousarray(array)


def _json(folder: Path) -> dict[str, Any]:
    with open_regular(folder / "zarr.json") as file:
        text = file.read(METADATA_LIMIT + 1)
    if len(text) > METADATA_LIMIT:
        raise DataFileError(folder, f"has metadata of over {METADATA_LIMIT} bytes; save it again")
    with damage_told(folder, "zarr.json"):
        content = json.loads(text)
    return content if isinstance(content, dict) else {}


def _metadata(folder: Path) -> tuple[tuple[int, ...], np.dtype, int, tuple[str, int]]:
    """Shape, dtype, bytes of a chunk, and what :func:`_encoding` gives."""
    content = _json(folder)
    if content.get("data_type") not in _TYPES:
        raise DataFileError(folder, f"is of type {shown(str(content.get('data_type')))}; save integers or floats")
    dtype = np.dtype(content["data_type"])
    shape = _sizes(folder, content.get("shape"), 0)
    chunks = _sizes(folder, _configuration(folder, content.get("chunk_grid"), "regular").get("chunk_shape"), 1)
    if len(shape) != len(chunks) or len(shape) > 32:
        raise DataFileError(folder, f"has {len(shape)} dimensions but chunks of {len(chunks)}; save it again")
    count = math.prod(-(-size // chunk) for size, chunk in zip(shape, chunks, strict=True))
    chunk = math.prod(chunks) * dtype.itemsize
    if count > CHUNK_LIMIT or chunk > 2**31 - 1:
        raise DataFileError(
            folder, f"has {count} chunks of {chunk} bytes; at most {CHUNK_LIMIT}, of below 2 GiB, are allowed"
        )
    if _configuration(folder, content.get("chunk_key_encoding"), "default").get("separator", "/") != "/":
        raise DataFileError(folder, "does not name its chunks c/0/0; save it with zarr.create_array")
    return shape, dtype, chunk, _encoding(folder, content.get("codecs"))


def _sizes(folder: Path, sizes: Any, least: int) -> tuple[int, ...]:
    if not isinstance(sizes, list) or not all(type(size) is int and least <= size < 2**63 for size in sizes):
        raise DataFileError(
            folder, f"states {shown(str(sizes))} where whole numbers should be; save it with zarr.create_array"
        )
    return tuple(sizes)


def _configuration(folder: Path, part: Any, name: str) -> dict[str, Any]:
    """The configuration of an extension point, which has to be the one called ``name``."""
    if not isinstance(part, dict) or part.get("name") != name or not isinstance(part.get("configuration", {}), dict):
        raise DataFileError(folder, f"has {shown(str(part))} where {name!r} is needed; save it with zarr.create_array")
    return part.get("configuration", {})


def _encoding(folder: Path, codecs: Any) -> tuple[str, int]:
    """Compressor (or ``none``), and the bytes of checksum behind a chunk."""
    names = [codec.get("name") for codec in codecs if isinstance(codec, dict)] if isinstance(codecs, list) else []
    compressor = names[1] if len(names) > 1 and names[1] in _COMPRESSORS else "none"
    wanted = ["bytes"] if compressor == "none" else ["bytes", compressor]
    if names not in (wanted, [*wanted, "crc32c"]) or len(names) != len(codecs):
        allowed = f"bytes, then {', '.join(_COMPRESSORS)} or nothing, then crc32c or nothing"
        raise DataFileError(
            folder, f"has the codecs {shown(str(names))}; {allowed}, are allowed: save it so, without shards"
        )
    return compressor, 4 * (names[-1] == "crc32c")


def _check_chunk(path: Path, chunk: int, compressor: str, checksum: int) -> int:
    """Bytes on disk of a chunk that decodes to ``chunk`` bytes by its own header, and no more."""
    with open_regular(path) as file:
        head = file.read(18)
        size = os.fstat(file.fileno()).st_size
    if compressor == "none":
        fits = size == chunk + checksum
    elif compressor == "zstd":
        fits = _zstd_size(head) == chunk
    else:  # Blosc: decompressed size, block size, size on disk, behind which it would read on
        fits = (
            len(head) >= 16
            and struct.unpack("<I", head[4:8])[0] == chunk
            and struct.unpack("<I", head[12:16])[0] == size - checksum
        )
    if not fits:
        raise DataFileError(
            path, f"does not state that it decodes to the {chunk} bytes of a chunk; save the array again"
        )
    return size


def _zstd_size(head: bytes) -> int | None:
    """Content size in the header of the zstd frame that begins with ``head``; ``None`` if it is not stated."""
    if len(head) < 6 or head[:4] != b"\x28\xb5\x2f\xfd" or head[4] & 0b1011:  # reserved bit, dictionary
        return None
    flag, single = head[4] >> 6, head[4] >> 5 & 1
    width = 1 << flag if flag or single else 0
    start = 5 if single else 6
    field = head[start : start + width]
    if not width or len(field) < width:
        return None
    return int.from_bytes(field, "little") + (256 if flag == 1 else 0)
