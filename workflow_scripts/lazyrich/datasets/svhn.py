"""SVHN: street view house numbers, cropped to single digits, 99,289 colour images of 32x32 pixels; for non-commercial use.

Source: Netzer, Wang, Coates, Bissacco, Wu, Ng, Reading digits in natural images with unsupervised feature learning (2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazyrich.datasets.formats.svhn import svhn_arrays
from lazyrich.datasets.pools.pool import Pool, Pools

CLASSES = tuple("0123456789")
OFFICIAL = {"train": ("train_32x32.mat",), "test": ("test_32x32.mat",)}


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an image, and the classes, as they are known before there is any file."""
    return (3, 32, 32), CLASSES


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """Images (n, 3, 32, 32) to train on and to test on; label 10, as the files have it, is digit 0."""
    pools = {
        role: Pool.joined([Pool.of(*svhn_arrays(files[name])) for name in names])
        for role, names in (spec.get("files") or OFFICIAL).items()
    }
    return Pools(pools["train"], pools.get("test"), CLASSES)
