"""MNIST: 70,000 handwritten digits of 28x28 pixels, in ten classes; and whatever else comes in its format, such as Fashion-MNIST.

Source: LeCun, Bottou, Bengio, Haffner, Gradient-based learning applied to document recognition (1998).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.idx import dimensions, read_idx
from lazyrich.datasets.pools.pool import Pool, Pools

CLASSES = tuple("0123456789")
OFFICIAL = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """The shape of an image, and the classes, as they are known before there is any file; None of files of the user's own."""
    return None if "files" in spec else ((1, 28, 28), CLASSES)


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """Images (n, 1, H, W) to train on and to test on, from pairs of files, one of images and one of labels."""
    read = {role: _pair([files[name] for name in names]) for role, names in (spec.get("files") or OFFICIAL).items()}
    classes = max(len(CLASSES), *(int(labels.max()) + 1 for _, labels in read.values()))
    pools = {role: Pool.of(images[:, None], labels) for role, (images, labels) in read.items()}
    return Pools(pools["train"], pools.get("test"), tuple(map(str, range(classes))))


def _pair(paths: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, H, W) and labels (n,), uint8, from their two files in whatever order."""
    found = {dimensions(path): path for path in paths}
    if len(paths) != 2 or set(found) != {1, 3}:
        raise DataFileError(
            " and ".join(map(str, paths)), "these are not a file of images and one of labels; name two such files"
        )
    images, labels = read_idx(found[3], 3), read_idx(found[1], 1)
    if len(images) != len(labels):
        raise DataFileError(
            found[1],
            f"{len(labels):,} labels, and {len(images):,} images in {found[3]}; these files do not belong together",
        )
    return images, labels
