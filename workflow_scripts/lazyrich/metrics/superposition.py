"""Superposition: how many directions of its own a feature, or a sample, has in a hidden layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lazyrich.models.features import penultimate_features


def feature_dimensionality(vectors: ArrayLike) -> NDArray[np.float64]:
    """D_i = ||W_i||^2 / sum_j (What_i . W_j)^2, What_i = W_i / ||W_i||: the share of a dimension that vector i has.

    Args:
        vectors: (k, p), one vector a row, such as the columns of a first layer's weight or hidden vectors of samples.
            Not centred here, and free of their common scale.

    Returns:
        (k,), each in [0, 1]: 1 for a direction that no other vector shares, 1/2 for each of an antipodal pair, 1/n for
        n equal vectors, and about p / (p + k - 1) for random isotropic ones. A zero vector has 0: the feature is not
        represented. D_i is at most the leverage of row i, so sum_i D_i <= rank <= p.

    Raises:
        ValueError: if the vectors are not a non-empty matrix of finite numbers.

    Source: Elhage et al., Toy models of superposition, arXiv 2209.10652; used in Goring et al., arXiv 2507.19680.
    """
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise ValueError(f"vectors have shape {rows.shape}; give (k, p), one vector a row, k and p at least 1")
    if not np.isfinite(rows).all():
        raise ValueError("the vectors have entries that are not finite; drop diverged members first")
    # Scaled, so that no fourth power leaves the range of float64.
    rows = rows / (np.abs(rows).max() or 1.0)
    squares = np.einsum("ij,ij->i", rows, rows)
    # sum_j (W_i . W_j)^2, along the smaller of the two ways to bracket W_i W^T W W_i^T.
    if rows.shape[1] < rows.shape[0]:
        shared = np.einsum("ij,ij->i", rows @ (rows.T @ rows), rows)
    else:
        shared = np.square(rows @ rows.T).sum(axis=1)
    return np.divide(np.square(squares), shared, out=np.zeros(len(rows)), where=shared > 0)


def sample_dimensionality(model: nn.Module, x: Tensor) -> NDArray[np.float64]:
    """`feature_dimensionality` of the hidden vectors of the samples x, (n, ...), in front of the readout of `model`: (n,).

    It falls with the number of samples, about as p / (p + n - 1): compare equal numbers only.
    Source: Henighan et al., Superposition, memorization, and double descent, Transformer Circuits Thread (2023).
    """
    return feature_dimensionality(penultimate_features(model, x).cpu().numpy())


def class_means(features: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """The mean feature vector of each class that has samples, by ascending label: (classes, p).

    Args:
        features: (n, p).
        labels: (n,), whole numbers.

    Raises:
        ValueError: if the numbers of samples differ.
    """
    values, classes = np.asarray(features, dtype=np.float64), np.asarray(labels)
    if values.ndim != 2 or classes.shape != values.shape[:1]:
        raise ValueError(f"features {values.shape} and labels {classes.shape} must be (n, p) and (n,)")
    return np.stack([values[classes == label].mean(axis=0) for label in np.unique(classes)])
