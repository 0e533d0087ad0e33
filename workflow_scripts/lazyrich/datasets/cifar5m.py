"""CIFAR-5M: about six million images made by a diffusion model trained on CIFAR-10, labelled by a classifier.

Source: Nakkiran, Neyshabur, Sedghi, The deep bootstrap framework (arXiv 2010.08127). A file of the set holds a million images, 3 GB: it
is read as a stream, and only the images that are drawn are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazyrich.datasets.cifar10 import CLASSES
from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.npz import NpzFile
from lazyrich.datasets.pools.pool import Pool, Pools

TEST = "part5.npz"


def wanted_files(spec: Mapping[str, Any]) -> list[str]:
    """The files that are needed of all that there are: the first ``parts``, and the one for testing."""
    return [*(f"part{index}.npz" for index in range(spec.get("parts", 5))), TEST]


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an image, and the classes, as they are known before there is any file."""
    return (3, 32, 32), CLASSES


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """Images (n, 3, 32, 32) to train on, from the first ``parts`` files, and to test on, from the last."""
    *train, test = (_part(files[name]) for name in wanted_files(spec))
    return Pools(Pool.joined(train), test, CLASSES)


def _part(path: Path) -> Pool:
    """The pool of one file: X (n, 32, 32, 3) uint8 and Y (n,)."""
    file = NpzFile(path)
    shape, dtype = file.header("X")
    labels = file.array("Y")
    if shape[1:] != (32, 32, 3) or dtype != np.uint8 or labels.shape != shape[:1] or labels.dtype.kind not in "iu":
        raise DataFileError(
            path,
            f"X is {dtype} {shape} and Y {labels.dtype} {labels.shape}; X uint8 (n, 32, 32, 3) and Y (n,) are wanted",
        )
    if not ((labels >= 0) & (labels < len(CLASSES))).all():
        raise DataFileError(
            path, f"Y has labels from {labels.min()} to {labels.max()}; 0 to {len(CLASSES) - 1} are allowed"
        )

    def take(rows: np.ndarray) -> np.ndarray:
        order = np.argsort(rows, kind="stable")
        pixels = np.empty((len(rows), 3, 32, 32), dtype=np.uint8)
        pixels[order] = file.rows("X", rows[order]).transpose(0, 3, 1, 2)
        return pixels

    return Pool(take, labels.astype(np.int64))
