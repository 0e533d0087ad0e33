"""The label written into the image: what a network can read off without looking at the picture.

Below each image stand rows of extra pixels, one pixel a class, all zero but that of the class, which has the amplitude given. In
the test split the class that is written can be a random one, so that who reads it is right by chance alone.

Source: the experiment with labels encoded in the image of Nam et al. (arXiv 2410.04264, fig. 1). How the paper encodes them is not
known; rows of their own are our choice. They leave the picture as it is, and an image an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.specification import choice, positive_number

IN_TEST = ("random", "true", "none")


def encoded_rows(classes: int, width: int) -> int:
    """The rows of pixels that so many classes take, one pixel each."""
    return -(-classes // width)


def encoded(
    inputs: np.ndarray,
    labels: np.ndarray,
    classes: int,
    options: Mapping[str, Any],
    split: str,
    generator: np.random.Generator,
) -> np.ndarray:
    """``inputs`` (n, C, H, W) with the labels written below, (n, C, H + ceil(classes / W), W), in all channels.

    ``options``: ``amplitude``, in units of the normalised pixels, and ``test``: whether the test split shows the ``true`` label, a
    ``random`` one, uniform over classes, or ``none``.
    """
    amplitude, in_test = positive_number(options, "amplitude"), choice(options, "test", IN_TEST)
    count, channels, _, width = inputs.shape
    rows = encoded_rows(classes, width)
    shown = generator.integers(0, classes, size=count) if (split, in_test) == ("test", "random") else labels
    pixels = np.zeros((count, channels, rows * width), dtype=np.float32)
    if (split, in_test) != ("test", "none"):
        pixels[np.arange(count), :, shown] = amplitude
    return np.concatenate([inputs, pixels.reshape(count, channels, rows, width)], axis=2)
