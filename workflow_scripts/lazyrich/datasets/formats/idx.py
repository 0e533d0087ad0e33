"""IDX, the format of MNIST's files.

All integers are big-endian. Bytes 0 and 1 are zero, byte 2 is the type (08: unsigned bytes), byte 3 the number of dimensions d;
then d sizes of 4 bytes, then the values, the last dimension fastest, to the end of the file. The official files are gzipped.
Source: Y. LeCun, C. Cortes and C. J. C. Burges, http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import DEFLATE_RATIO, ByteStream

#: Largest array, in bytes.
SIZE_LIMIT = 2 * 2**30


def dimensions(path: Path | str) -> int:
    """The number of dimensions that the header states: 1 of labels, 3 of images. ``DataFileError`` for another format."""
    with ByteStream(path, 4) as stream:
        return _dimensions(stream)


def read_idx(path: Path | str, dimensions: int) -> np.ndarray:
    """The array of unsigned bytes, uint8, with this number of dimensions; gzipped or not, by the first two bytes.

    ``DataFileError`` for another type, another number of dimensions, an empty array, one over :data:`SIZE_LIMIT`, a file that is too
    short or too long, and for damage that gzip's checksum shows.
    """
    head = 4 + 4 * dimensions
    with ByteStream(path, head + SIZE_LIMIT + 1) as stream:
        stated = _dimensions(stream)
        if stated != dimensions:
            raise DataFileError(
                path, f"has {stated} dimensions instead of {dimensions}; are images and labels exchanged?"
            )
        shape = struct.unpack(f">{dimensions}I", stream.exactly(4 * dimensions, "the header"))
        size = math.prod(shape)
        if not 0 < size <= SIZE_LIMIT:
            raise DataFileError(
                path, f"states the shape {shape}, of {size} bytes; 1 to {SIZE_LIMIT} are allowed: get the official file"
            )
        there = stream.size_on_disk * DEFLATE_RATIO if stream.gzipped else stream.size_on_disk - head
        if size > there:
            raise DataFileError(path, f"is truncated: the shape {shape} takes {size} bytes; get it again")
        data = stream.exactly(size, f"an array of shape {shape}")
        if stream.read(1):
            raise DataFileError(path, f"has trailing bytes after the array of shape {shape}; get the official file")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _dimensions(stream: ByteStream) -> int:
    magic = bytes(stream.exactly(4, "the header"))
    if magic[:3] != b"\0\0\x08":
        raise DataFileError(
            stream.path,
            f"begins with {magic.hex(' ')}, not with 00 00 08: it is no IDX file of bytes; get the official file",
        )
    return magic[3]
