"""The text files of CelebA: attributes and partition.

``list_attr_celeba.txt``: the number of images n; a line with the 40 attributes' names; then n lines ``000001.jpg -1 1 ...``.
``list_eval_partition.txt``: n lines ``000001.jpg 0``: 0 for training, 1 for validation, 2 for testing. Neither has a checksum in it.
Source: Z. Liu et al., Deep learning face attributes in the wild, 2015, https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import read_text, shown

#: Longest text file, in bytes; the official ones have 27 and 3 MB.
TEXT_LIMIT = 64 * 2**20
#: Names of images.
IMAGE_NAME = re.compile(r"[0-9]{6}\.jpg")


def read_attributes(path: Path | str) -> tuple[tuple[str, ...], list[str], np.ndarray]:
    """Names of the k attributes, names of the n images, and values (n, k) int8, each -1 or 1.

    ``DataFileError`` for a wrong count, number of columns, name or value, and for names that come twice.
    """
    lines = _lines(path)
    count = lines[0].strip()
    if len(lines) < 3 or not re.fullmatch(r"[0-9]{1,9}", count) or int(count) != len(lines) - 2:
        raise DataFileError(
            path,
            f"states {shown(count)} images in its first line but has {max(0, len(lines) - 2)} after the header; get it again",
        )
    attributes = tuple(lines[1].split())
    if not attributes or len(set(attributes)) < len(attributes) or not all(re.fullmatch(r"\w+", n) for n in attributes):
        raise DataFileError(path, "line 2 does not name the attributes, each once; get it again")
    images, values = _table(path, lines, 2, len(attributes), {"-1": -1, "1": 1})
    return attributes, images, values


def read_partition(path: Path | str) -> tuple[list[str], np.ndarray]:
    """Names of the n images and their parts (n,) int8: 0 training, 1 validation, 2 testing. ``DataFileError`` as above."""
    images, values = _table(path, _lines(path), 0, 1, {"0": 0, "1": 1, "2": 2})
    return images, values[:, 0]


def _lines(path: Path | str) -> list[str]:
    lines = read_text(path, TEXT_LIMIT).split("\n")
    return lines[:-1] if lines[-1] == "" and len(lines) > 1 else lines


def _table(
    path: Path | str, lines: list[str], first: int, columns: int, allowed: dict[str, int]
) -> tuple[list[str], np.ndarray]:
    """Names and values of the lines from ``first`` on: a name and ``columns`` values each."""
    images: dict[str, None] = {}
    rows = []
    for number, line in enumerate(lines[first:], first + 1):
        name, *row = line.split() or [""]
        if not IMAGE_NAME.fullmatch(name) or name in images:
            raise DataFileError(
                path, f"line {number} begins with {shown(name)}; a new name such as 000001.jpg is needed: get it again"
            )
        if len(row) != columns:
            raise DataFileError(path, f"line {number} has {len(row)} values instead of {columns}; get it again")
        try:
            rows.append(bytes(allowed[value] & 0xFF for value in row))
        except KeyError as error:
            raise DataFileError(
                path,
                f"line {number} has the value {shown(error.args[0])}; allowed are {', '.join(allowed)}: get it again",
            ) from error
        images[name] = None
    return list(images), np.frombuffer(bytearray(b"".join(rows)), np.int8).reshape(len(rows), columns)
