"""The error of predictions at test points, as every comparison with kernel regression has it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyrich.datasets.reading import Split


class RegressionError(NamedTuple):
    """``error``: mean squared error over the variance of the targets, so that 1 is that of predicting their mean.
    ``accuracy``: share of points whose largest output is their label's; None for a regression."""

    error: float
    accuracy: float | None


def target_variance(targets: NDArray[np.floating]) -> float:
    """The variance of targets (n, outputs), averaged over outputs: the error of predicting their mean."""
    return float(targets.var(axis=0).mean())


def regression_error(predictions: NDArray[np.floating], test: Split) -> RegressionError:
    """The error of predictions (n, outputs) at the n points of ``test``; mean and variance are averaged over outputs."""
    truth = test.targets.double().numpy()
    if predictions.shape != truth.shape:
        raise ValueError(f"predictions {predictions.shape} and targets {truth.shape} must have one shape, (n, outputs)")
    error = float(np.square(predictions - truth).mean()) / target_variance(truth)
    if test.labels is None:
        return RegressionError(error, None)
    return RegressionError(error, float((predictions.argmax(axis=1) == test.labels.numpy()).mean()))
