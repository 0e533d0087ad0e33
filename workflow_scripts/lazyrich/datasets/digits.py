"""Handwritten digits: the 1,797 real images of 8x8 pixels, in ten classes, that ship with scikit-learn.

Source: the test set of "Optical Recognition of Handwritten Digits", UCI (Alpaydin and Kaynak, 1998). Needs no download.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from lazyrich.datasets.splits import split_sizes

CLASSES = 10
LARGEST_PIXEL = 16.0


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """One random split into disjoint train, test and probe images. Keys: train, test, probe.

    "inputs" (n, 1, 8, 8), shifted and scaled by the mean and standard deviation (one number each) of the training
    pixels; "targets" (n, 10), one-hot minus 1/10; "labels" (n,) int64. A larger training set holds the images of a
    smaller one, and leaves the images of test and probe as they were.
    ValueError when the splits ask for more images than there are.
    """
    sizes = split_sizes(spec)
    digits = load_digits()
    available, wanted = len(digits.target), sum(sizes.values())
    if wanted > available:
        asked = " + ".join(f"{split} {size}" for split, size in sizes.items())
        raise ValueError(
            f"digits has {available:,} images and {asked} = {wanted:,} are asked for; make a split smaller"
        )
    order = generator.permutation(available)
    rows = {}
    for split in ("test", "probe", "train"):  # train last, so that its size moves no image of the others
        rows[split], order = np.split(order, [sizes[split]])

    images = digits.images[:, None] / LARGEST_PIXEL
    mean, deviation = images[rows["train"]].mean(), images[rows["train"]].std()
    one_hot = np.eye(CLASSES) - 1 / CLASSES
    return {
        split: {
            "inputs": ((images[rows[split]] - mean) / deviation).astype(np.float32),
            "targets": one_hot[digits.target[rows[split]]].astype(np.float32),
            "labels": digits.target[rows[split]].astype(np.int64),
        }
        for split in sizes
    }
