"""Handwritten digits: the 1,797 real images of 8x8 pixels, in ten classes, that ship with scikit-learn.

Source: the test set of "Optical Recognition of Handwritten Digits", UCI (Alpaydin and Kaynak, 1998). Needs no download.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from lazyrich.datasets.pools.pool import Pool, Pools

CLASSES = tuple("0123456789")
WHITE = 16


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an image, and the classes, as they are known before there is any file."""
    return (1, 8, 8), CLASSES


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """All images as one pool, (n, 1, 8, 8)."""
    digits = load_digits()
    return Pools(Pool.of(digits.images[:, None].astype(np.uint8), digits.target, white=WHITE), None, CLASSES)
