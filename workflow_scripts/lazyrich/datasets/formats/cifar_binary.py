"""The binary version of CIFAR-10 and CIFAR-100.

A file is a sequence of records without a header. A record is one label byte (CIFAR-10) or two (CIFAR-100: coarse, then fine), then
3072 bytes of pixels: the red, green and blue planes of 32 x 32, row by row. Nothing in a record tells that a pixel was changed: the
checksum of the archive does.
Source: A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lazyrich.datasets.errors import DataFileError

#: Channels, rows, columns.
IMAGE_SHAPE = (3, 32, 32)


def read_records(
    data: bytes | bytearray, path: Path | str, label_bytes: int, classes: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 3, 32, 32) uint8 and labels (n, label_bytes) int64 of the records in ``data``; column i is below ``classes[i]``.

    ``path`` is what the messages name. ``DataFileError`` for no record, part of one, and a label out of range.
    """
    if len(classes) != label_bytes:
        raise ValueError(
            f"classes is {classes!r}; give one number of classes for each of the {label_bytes} label bytes"
        )
    record = label_bytes + 3 * 32 * 32
    count, rest = divmod(len(data), record)
    if rest or not count:
        raise DataFileError(
            path,
            f"has {len(data)} bytes, not a whole number of records of {record} bytes: it is truncated; get it again",
        )
    records = np.frombuffer(data, np.uint8).reshape(count, record)
    labels = records[:, :label_bytes].astype(np.int64)
    for column, limit in enumerate(classes):
        wrong = np.flatnonzero(labels[:, column] >= limit)
        if len(wrong):
            first = wrong[0]
            raise DataFileError(
                path,
                f"record {first} has the label {labels[first, column]} in byte {column}, where 0 to {limit - 1} are allowed; "
                "it is damaged or another data set: get it again",
            )
    return records[:, label_bytes:].reshape(count, *IMAGE_SHAPE).copy(), labels
