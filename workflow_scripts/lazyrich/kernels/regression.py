"""Kernel (ridge) regression by one Cholesky factorisation in float64."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lazyrich.kernels.cholesky import cholesky_factor


class KernelRegression(NamedTuple):
    """Predictions at the test points, (n_test,) or (n_test, C), and the relative jitter that was needed."""

    predictions: NDArray[np.float64]
    jitter: float


def kernel_regression(
    K_train: NDArray[np.floating],
    y: NDArray[np.floating],
    K_test: NDArray[np.floating],
    *,
    ridge: float = 0.0,
    jitter: float = 1e-6,
    overwrite: bool = False,
) -> KernelRegression:
    """mu(x) = K(x, X) [K(X, X) + (ridge + jitter mean_i K(x_i, x_i)) I]^(-1) y.

    With K the NTK at initialisation and a centred network this is the NTK predictor; otherwise pass y - f_0(X) and add
    f_0(x). For many ridges of one kernel see `ridge_path`, for many sizes of one training set
    `nested_kernel_regression`.

    Args:
        K_train: (n, n), symmetric; only read, unless `overwrite`. One float64 copy is made (512 MiB at n = 8192).
        y: (n,) or (n, C).
        K_test: (n_test, n), rows are test points.
        ridge: in the units of K, as `alpha` of scikit-learn's KernelRidge.
        jitter: relative to the mean diagonal entry, so free of units. If K is not positive definite to working
            precision, it is made ten times larger (from 1e-12 if it is 0) until the factorisation passes, at most up to
            1e-2.
        overwrite: destroy `K_train` (float64, C-contiguous) instead of copying it.

    Returns:
        Predictions and the relative jitter that was used: report it, a large one is a smoother predictor.

    Raises:
        ValueError: for shapes that do not fit, values that are not finite, negative ridge or jitter, or a mean diagonal
            that is not positive.
        numpy.linalg.LinAlgError: if K is still not positive definite with jitter 1e-2.

    Source: Goring et al., arXiv 2507.19680 (NTK predictor mu_NT).
    """
    check_regression(K_train, y, K_test)
    factor = cholesky_factor(K_train, ridge=ridge, jitter=jitter, overwrite=overwrite)
    return KernelRegression(np.asarray(K_test, dtype=np.float64) @ factor.solve(y), factor.jitter)


def check_regression(K_train: NDArray, y: NDArray, K_test: NDArray) -> None:
    """`ValueError` unless kernels and targets belong to one regression and are finite."""
    n = len(K_train)
    if K_train.shape != (n, n) or y.shape[:1] != (n,) or y.ndim > 2 or K_test.ndim != 2 or K_test.shape[1] != n:
        raise ValueError(
            f"shapes do not fit: K_train {K_train.shape}, y {y.shape}, K_test {K_test.shape}; "
            "expected (n, n), (n,) or (n, C), and (n_test, n)"
        )
    for name, array in (("K_train", K_train), ("y", y), ("K_test", K_test)):
        # A sum is finite if all entries are, and needs no mask of the size of the matrix; overflow is judged entry by
        # entry.
        if not np.isfinite(np.sum(array, dtype=np.float64)) and not np.isfinite(array).all():
            raise ValueError(
                f"{name} has {int((~np.isfinite(array)).sum())} entries that are not finite; mend or drop those samples"
            )
