"""Kernel regression on every leading part of one training set, from one Cholesky factorisation.

With L the factor of the whole training set's kernel and S = L^-1 [y, K(X, x)], the predictor of the first m samples is

    mu_m(x) = sum_(i <= m) S_i(x) S_i(y),

as the leading block of L is the factor of the leading block of the kernel: all sizes together cost one factorisation
and a running sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyrich.kernels.cholesky import cholesky_factor
from lazyrich.kernels.regression import check_regression

MEMORY_BUDGET = 256 * 2**20


class NestedKernelRegression(NamedTuple):
    """Predictors of the first `sizes` samples.

    Attributes:
        sizes: (S,).
        predictions: (S, n_test) or (S, n_test, C).
        jitter: that was needed, relative to the mean diagonal entry of the whole training set; one for all sizes.
    """

    sizes: NDArray[np.int64]
    predictions: NDArray[np.float64]
    jitter: float


class LearningCurve(NamedTuple):
    """Mean squared errors over the test points.

    Attributes:
        sizes: (S,).
        errors: (S,) or (S, C).
        jitter: as of `NestedKernelRegression`.
    """

    sizes: NDArray[np.int64]
    errors: NDArray[np.float64]
    jitter: float


def nested_kernel_regression(
    K_train: NDArray[np.floating],
    y: NDArray[np.floating],
    K_test: NDArray[np.floating],
    sizes: Sequence[int] | None = None,
    *,
    ridge: float = 0.0,
    jitter: float = 1e-6,
    overwrite: bool = False,
) -> NestedKernelRegression:
    """The predictions of `kernel_regression` on the first m samples, for every m of `sizes`, at the cost of one.

    Args:
        K_train, y, K_test, overwrite: as of `kernel_regression`.
        sizes: increasing, between 1 and n; by default all of them, which gives n x n_test (x C) predictions. Where only
            errors are wanted, `learning_curve` never holds those.
        ridge, jitter: as of `kernel_regression`, one absolute value for all sizes: jitter is relative to the mean
            diagonal entry of the whole `K_train`, and a jitter that the largest size needs is given to all. Where it
            must not depend on the other sizes, pass it as `ridge` with `jitter=0`, and see whether 0 comes back.

    Raises:
        ValueError, numpy.linalg.LinAlgError: as `kernel_regression`; for sizes that do not increase or are not there.
    """
    check_regression(K_train, y, K_test)
    chosen = _sizes(sizes, len(K_train))
    factor = cholesky_factor(K_train, ridge=ridge, jitter=jitter, overwrite=overwrite)
    whitened, test = factor.whiten(_columns(y)), factor.whiten(K_test.T)
    predictions = np.empty((len(chosen), len(K_test), whitened.shape[1]))
    for position, prediction in enumerate(_running_predictions(whitened, test, chosen)):
        predictions[position] = prediction
    return NestedKernelRegression(chosen, predictions.reshape(*predictions.shape[:2], *y.shape[1:]), factor.jitter)


def learning_curve(
    K_train: NDArray[np.floating],
    y: NDArray[np.floating],
    K_test: NDArray[np.floating],
    y_test: NDArray[np.floating],
    sizes: Sequence[int] | None = None,
    *,
    ridge: float = 0.0,
    jitter: float = 1e-6,
    overwrite: bool = False,
    memory_budget: int = MEMORY_BUDGET,
) -> LearningCurve:
    """Mean squared test error of kernel regression on the first m samples, for every m of `sizes`, in one pass.

    mean over the test points of (mu_m(x) - y_test(x))^2, one number an output. As `nested_kernel_regression`, but no
    predictions are kept: beside the factor, bands of test points take up to `memory_budget` bytes (at least one point).

    Args:
        y_test: (n_test,) or (n_test, C).

    Raises:
        ValueError, numpy.linalg.LinAlgError: as `nested_kernel_regression`; for `y_test` of another shape than (n_test,
            ...) of `y`, or no test points.
    """
    check_regression(K_train, y, K_test)
    n, n_test = len(K_train), len(K_test)
    if y_test.shape != (n_test, *y.shape[1:]) or n_test == 0:
        raise ValueError(f"y_test has shape {y_test.shape}; expected {(n_test, *y.shape[1:])}, with n_test >= 1")
    chosen = _sizes(sizes, n)
    factor = cholesky_factor(K_train, ridge=ridge, jitter=jitter, overwrite=overwrite)
    whitened, truth = factor.whiten(_columns(y)), _columns(y_test)
    squares = np.zeros((len(chosen), whitened.shape[1]))
    band = max(1, memory_budget // (8 * (n + 3 * whitened.shape[1])))
    for start in range(0, n_test, band):
        test, wanted = factor.whiten(K_test[start : start + band].T), truth[start : start + band]
        for position, prediction in enumerate(_running_predictions(whitened, test, chosen)):
            residual = prediction - wanted
            squares[position] += np.einsum("ij,ij->j", residual, residual)
    return LearningCurve(chosen, (squares / n_test).reshape(len(chosen), *y.shape[1:]), factor.jitter)


def _running_predictions(
    whitened: NDArray[np.float64], test: NDArray[np.float64], sizes: NDArray[np.int64]
) -> Iterator[NDArray[np.float64]]:
    """The predictions (n_test, C) of each size in turn, in one array that the next size overwrites."""
    predictions = np.zeros((test.shape[1], whitened.shape[1]))
    start = 0
    for size in sizes.tolist():
        predictions += test[start:size].T @ whitened[start:size]
        start = size
        yield predictions


def _columns(y: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(y, dtype=np.float64).reshape(len(y), -1)


def _sizes(sizes: Sequence[int] | None, n: int) -> NDArray[np.int64]:
    if sizes is None:
        return np.arange(1, n + 1)
    chosen = np.asarray(sizes)
    if (
        chosen.ndim != 1
        or not np.issubdtype(chosen.dtype, np.integer)
        or not len(chosen)
        or chosen[0] < 1
        or chosen[-1] > n
        or (np.diff(chosen) <= 0).any()
    ):
        raise ValueError(f"sizes={sizes}: give increasing whole numbers between 1 and {n}, the number of samples")
    return chosen.astype(np.int64)
