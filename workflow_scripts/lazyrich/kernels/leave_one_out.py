"""Leave-one-out residuals of kernel regression from one Cholesky factorisation: how to choose a kernel by its training set."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from lazyrich.kernels.cholesky import cholesky_factor
from lazyrich.kernels.regression import check_regression


class LeaveOneOut(NamedTuple):
    """A regression and its errors on samples that it has not seen.

    Attributes:
        weights: (n,) or (n, C), [K + shift I]^-1 y; K(x, X) @ weights are the predictions of `kernel_regression`.
        residuals: (n,) or (n, C), y_i - mu_(-i)(x_i), with mu_(-i) the predictor of all samples but i.
        jitter: relative to the mean diagonal entry, as it was needed.
    """

    weights: NDArray[np.float64]
    residuals: NDArray[np.float64]
    jitter: float


def leave_one_out_regression(
    K_train: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    ridge: float = 0.0,
    jitter: float = 1e-6,
    overwrite: bool = False,
) -> LeaveOneOut:
    """y_i - mu_(-i)(x_i) = weights_i / [(K + shift I)^-1]_ii, with shift = ridge + jitter mean_i K_ii for all i.

    Of one ridge, at n^3 operations: a third for the factor L, and a third for L^-1, whose columns' squared lengths are the
    diagonal wanted. For many ridges of one kernel `ridge_path` needs one decomposition.

    Arguments and errors are those of `kernel_regression`.

    Source: Golub, Heath and Wahba, Technometrics 21 (1979) 215.
    """
    check_regression(K_train, y, np.empty((0, len(K_train))))
    factor = cholesky_factor(K_train, ridge=ridge, jitter=jitter, overwrite=overwrite)
    weights = factor.solve(y)
    inverse = scipy.linalg.lapack.dtrtri(factor.lower, lower=1, overwrite_c=1)[0]
    diagonal = np.array([np.dot(inverse[i:, i], inverse[i:, i]) for i in range(len(inverse))])
    residuals = weights / (diagonal if weights.ndim == 1 else diagonal[:, None])
    return LeaveOneOut(weights, residuals, factor.jitter)
