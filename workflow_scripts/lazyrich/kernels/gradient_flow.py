"""Kernel regression by gradient flow, stopped at a given training loss."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from lazyrich.kernels.regression import check_regression


class StoppedFlow(NamedTuple):
    """Gradient flow of a kernel, at the time when it reached a training loss.

    Attributes:
        predictions: (n_test, outputs), float64.
        time: in units of 1 / (kernel entry); infinite if the loss is only reached in the limit, or not at all.
        loss: the training loss at that time.
    """

    predictions: NDArray[np.float64]
    time: float
    loss: float


def stopped_gradient_flow(K: ArrayLike, y: ArrayLike, K_test: ArrayLike, loss: float) -> StoppedFlow:
    """Predictions of gradient flow from 0 on the squared error with kernel K, when the training loss has fallen to `loss`.

    With K = V diag(l) V^T the residuals at time t are V exp(-l t) V^T y, so

        loss(t) = sum_j exp(-2 l_j t) ||v_j^T y||^2 / (n outputs),    mu_t(x) = K(x, X) V diag((1 - exp(-l t)) / l) V^T y.

    It is what a network does whose tangent kernel K stands still, in the limit of small steps: the regression to set against
    a network whose training was stopped at the same loss. For t to infinity it is kernel regression without a ridge.

    Args:
        K: (n, n), symmetric positive semi-definite up to round-off; eigenvalues below n eps max(l) count as 0.
        y: (n, outputs), what is to be learned (targets less the outputs at initialisation).
        K_test: (n_test, n).
        loss: mean squared error over samples and outputs, not negative; above that of t = 0 the flow has not begun.

    Raises:
        ValueError: for shapes that do not fit, values that are not finite, or a negative loss.

    Source: Jacot et al., arXiv 1806.07572, section 5; Ali et al., arXiv 1810.10082, for early stopping as regularisation.
    """
    kernel, targets, other = (np.asarray(array, dtype=np.float64) for array in (K, y, K_test))
    check_regression(kernel, targets, other)
    if targets.ndim != 2:
        raise ValueError(f"y {targets.shape} does not fit; expected (n, outputs)")
    if not loss >= 0:
        raise ValueError(f"loss={loss} must not be negative")
    values, vectors = np.linalg.eigh(kernel)
    positive = values > len(values) * np.finfo(np.float64).eps * max(values[-1], 0.0)
    values, vectors = values[positive], vectors[:, positive]
    coefficients = vectors.T @ targets
    power = np.square(coefficients).sum(axis=1)
    unreachable = max(float(np.square(targets).sum() - power.sum()), 0.0)

    def loss_at(time: float) -> float:
        return float((np.exp(-2 * values * time) @ power + unreachable) / targets.size)

    time = _time(loss_at, values, loss)
    weights = 1 / values if math.isinf(time) else -np.expm1(-values * time) / values
    return StoppedFlow(other @ (vectors @ (weights[:, None] * coefficients)), time, loss_at(time))


def _time(loss_at, values: NDArray[np.float64], loss: float) -> float:
    """The time at which the falling function `loss_at` is `loss`."""
    if not len(values) or loss >= loss_at(0.0):
        return 0.0
    # After this time nothing is left that double precision shows.
    last = math.log(1e40 / values[0])
    if loss <= loss_at(math.exp(last)):
        return math.inf
    first = math.log(1e-20 / values[-1])
    return math.exp(brentq(lambda log_time: loss_at(math.exp(log_time)) - loss, first, last, xtol=1e-12))
