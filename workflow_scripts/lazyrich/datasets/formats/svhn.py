"""The cropped digits of SVHN, `train_32x32.mat`, `test_32x32.mat` and `extra_32x32.mat`.

``X`` is (32, 32, 3, n) uint8: row, column, channel, image. ``y`` is (n, 1), 1 to 9 for these digits and 10 for the digit 0.
Source: Y. Netzer et al., Reading digits in natural images with unsupervised feature learning, 2011, http://ufldl.stanford.edu/housenumbers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.mat import read_mat


def svhn_arrays(path: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (n, 3, 32, 32) uint8 and labels (n,) int64, where the label 10 has become 0. ``DataFileError`` for other contents."""
    arrays = read_mat(path, ("X", "y"))
    images, labels = arrays.pop("X"), arrays.pop("y")
    if images.ndim != 4 or images.shape[:3] != (32, 32, 3) or images.dtype != np.uint8 or not images.shape[3]:
        raise DataFileError(
            path, f"X is {images.dtype} of shape {images.shape} instead of uint8 (32, 32, 3, n); get the official file"
        )
    if labels.shape != (images.shape[3], 1):
        raise DataFileError(path, f"y has the shape {labels.shape} for {images.shape[3]} images; get the official file")
    wrong = np.flatnonzero(~np.isin(labels[:, 0], np.arange(1, 11)))
    if len(wrong):
        raise DataFileError(
            path,
            f"image {wrong[0]} has the label {labels[wrong[0], 0]}, where 1 to 10 are allowed; get the official file",
        )
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels[:, 0].astype(np.int64) % 10
