"""Kernel ridge regression with many ridges, from one decomposition of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from lazyrich.kernels.cholesky import cholesky_factor, larger_jitter, prepared
from lazyrich.kernels.regression import check_regression

Method = Literal["cholesky", "tridiagonal", "eigh"]
METHODS: tuple[Method, ...] = ("cholesky", "tridiagonal", "eigh")

# Where one decomposition costs as much as this many Cholesky factors: measured 4 to 10 at n = 500 to 2000.
CROSSOVER = 8
# LAPACK's divide and conquer counts its workspace, 1 + 6 n + 2 n^2, in 32-bit integers.
MAXIMAL_EIGH = 32_766


class RidgePath(NamedTuple):
    """Regressions with `ridges`.

    Attributes:
        ridges: (R,), in the units of K, in the order given.
        predictions: (R, n_test) or (R, n_test, C).
        leave_one_out: residuals y_i - mu_(-i)(x_i) of each training sample by the predictor of all others, (R, n) or
            (R, n, C); None unless asked for.
        jitter: relative to the mean diagonal entry, one for all ridges.
        method: that was used.
    """

    ridges: NDArray[np.float64]
    predictions: NDArray[np.float64]
    leave_one_out: NDArray[np.float64] | None
    jitter: float
    method: Method


class _Solved(NamedTuple):
    """Weights (K + shift I)^-1 y of each ridge, (n, R, C); from ``"eigh"`` also the inverses' diagonals, (n, R)."""

    weights: NDArray[np.float64]
    inverse_diagonals: NDArray[np.float64] | None
    jitter: float


def ridge_path(
    K_train: NDArray[np.floating],
    y: NDArray[np.floating],
    K_test: NDArray[np.floating],
    ridges: Sequence[float],
    *,
    jitter: float = 1e-6,
    leave_one_out: bool = False,
    method: Method | None = None,
    overwrite: bool = False,
) -> RidgePath:
    """`kernel_regression` for every ridge of `ridges`: mu(x) = K(x, X) [K + (ridge + jitter mean_i K_ii) I]^-1 y.

    Methods, with the leading cost in n^3 operations:

    - ``"cholesky"``: 1/3 a ridge. Least for few ridges.
    - ``"tridiagonal"``: K = Q T Q^T once, 4/3, half of it bound by memory; a ridge then costs O(n^2), as T + shift I is
      solved in O(n).
    - ``"eigh"``: K = U diag(w) U^T once, about 9, four matrices of memory, n <= 32,766. Beside the weights, the
      leave-one-out residuals cost O(n^2) a ridge.

    By default (`method=None`) ``"eigh"`` for `leave_one_out`, else ``"cholesky"`` below 8 ridges and ``"tridiagonal"``
    from there on.

    Args:
        K_train, y, K_test, overwrite: as of `kernel_regression`.
        ridges: in the units of K, in any order.
        jitter: as of `kernel_regression`; what the smallest ridge needs is given to all.
        leave_one_out: also return y_i - mu_(-i)(x_i) = weights_i / [(K + shift I)^-1]_ii, with the same shift.

    Raises:
        ValueError: as `kernel_regression`; for no ridges, an unknown method, `leave_one_out` with another method than
            ``"eigh"``, or too large an n for that.
        numpy.linalg.LinAlgError: if K is not positive definite with jitter 1e-2 and the smallest ridge.

    Source: Golub, Heath and Wahba, Technometrics 1979 (leave one out).
    """
    check_regression(K_train, y, K_test)
    shifts = np.asarray(ridges, dtype=np.float64)
    if shifts.ndim != 1 or not len(shifts) or not np.isfinite(shifts).all() or (shifts < 0).any():
        raise ValueError(f"ridges={ridges}: give one or more finite numbers, none negative")
    chosen = _method(method, len(shifts), len(K_train), leave_one_out)
    columns = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    if chosen == "cholesky":
        solved = _by_cholesky(K_train, columns, shifts, jitter, overwrite)
    else:
        work, _, unit = prepared(K_train, float(shifts.min()), jitter, overwrite)
        solved = (_by_eigh if chosen == "eigh" else _by_tridiagonal)(work, columns, shifts, jitter, unit)

    def by_ridge(values: NDArray[np.float64]) -> NDArray[np.float64]:
        found = np.ascontiguousarray(values.reshape(len(values), len(shifts), -1).transpose(1, 0, 2))
        return found.reshape(*found.shape[:2], *y.shape[1:])

    predictions = by_ridge(np.asarray(K_test, dtype=np.float64) @ solved.weights.reshape(len(y), -1))
    residuals = None
    if leave_one_out and solved.inverse_diagonals is not None:
        residuals = by_ridge(solved.weights / solved.inverse_diagonals[:, :, None])
    return RidgePath(shifts, predictions, residuals, solved.jitter, chosen)


def _method(method: Method | None, ridges: int, n: int, leave_one_out: bool) -> Method:
    chosen = method or ("eigh" if leave_one_out else "cholesky" if ridges < CROSSOVER else "tridiagonal")
    if chosen not in METHODS:
        raise ValueError(f"method={method!r} is not there; choose one of {', '.join(METHODS)}, or None")
    if leave_one_out and chosen != "eigh":
        raise ValueError(f"leave_one_out=True needs method='eigh', not {method!r}; or leave the method out")
    if chosen == "eigh" and n > MAXIMAL_EIGH:
        raise ValueError(
            f"method='eigh' takes up to {MAXIMAL_EIGH} samples (LAPACK's integers), not {n}; "
            "take another method, without leave_one_out"
        )
    # One sample leaves nothing to reduce, and LAPACK's wrappers refuse an empty off-diagonal.
    return "cholesky" if chosen == "tridiagonal" and n < 2 else chosen


def _by_cholesky(
    K: NDArray[np.floating], y: NDArray[np.float64], ridges: NDArray[np.float64], jitter: float, overwrite: bool
) -> _Solved:
    weights = np.empty((len(y), len(ridges), y.shape[1]))
    order = np.argsort(ridges)
    for position, index in enumerate(order):
        last = position == len(order) - 1
        factor = cholesky_factor(K, ridge=float(ridges[index]), jitter=jitter, overwrite=overwrite and last)
        # The smallest ridge comes first: the jitter that it needs is enough for the others.
        jitter = factor.jitter
        weights[:, index] = factor.solve(y)
    return _Solved(weights, None, jitter)


def _by_tridiagonal(
    work: NDArray[np.float64], y: NDArray[np.float64], ridges: NDArray[np.float64], jitter: float, unit: float
) -> _Solved:
    n = len(work)
    lwork = int(scipy.linalg.lapack.dsytrd_lwork(n, lower=1)[0])
    reduced, diagonal, off_diagonal, tau, _ = scipy.linalg.lapack.dsytrd(work.T, lower=1, lwork=lwork, overwrite_a=1)
    least, largest = (
        scipy.linalg.eigvalsh_tridiagonal(diagonal, off_diagonal, select="i", select_range=(i, i))[0]
        for i in (0, n - 1)
    )
    jitter = _sufficient_jitter(least, largest, float(ridges.min()), jitter, n, unit)
    rotated = _apply_reflectors(reduced, tau, y, transpose=True)
    solutions = np.empty((n, len(ridges), y.shape[1]))
    for index, ridge in enumerate(ridges):
        pivots, multipliers, _ = scipy.linalg.lapack.dpttrf(diagonal + (ridge + jitter * unit), off_diagonal)
        solutions[:, index] = scipy.linalg.lapack.dpttrs(pivots, multipliers, rotated)[0]
    weights = _apply_reflectors(reduced, tau, solutions.reshape(n, -1), transpose=False).reshape(solutions.shape)
    return _Solved(weights, None, jitter)


def _apply_reflectors(
    reduced: NDArray[np.float64], tau: NDArray[np.float64], B: NDArray[np.float64], transpose: bool
) -> NDArray[np.float64]:
    """Q B or Q^T B for K = Q T Q^T as LAPACK's dsytrd leaves it: Q = 1 (+) (a product of n - 1 reflectors)."""
    rotated, reflectors, way = np.array(B, order="F"), reduced[1:, :-1], b"T" if transpose else b"N"
    lwork = int(scipy.linalg.lapack.dormqr(b"L", way, reflectors, tau, rotated[1:], -1)[1][0])
    rotated[1:] = scipy.linalg.lapack.dormqr(b"L", way, reflectors, tau, rotated[1:], lwork)[0]
    return rotated


def _by_eigh(
    work: NDArray[np.float64], y: NDArray[np.float64], ridges: NDArray[np.float64], jitter: float, unit: float
) -> _Solved:
    values, vectors = scipy.linalg.eigh(work.T, driver="evd", overwrite_a=True, check_finite=False)
    jitter = _sufficient_jitter(values[0], values[-1], float(ridges.min()), jitter, len(work), unit)
    inverses = 1 / (values[:, None] + (ridges + jitter * unit))
    rotated = inverses[:, :, None] * (vectors.T @ y)[:, None, :]
    weights = (vectors @ rotated.reshape(len(y), -1)).reshape(rotated.shape)
    np.square(vectors, out=vectors)
    return _Solved(weights, vectors @ inverses, jitter)


def _sufficient_jitter(least: float, largest: float, ridge: float, jitter: float, n: int, unit: float) -> float:
    """The jitter with which the least eigenvalue stands clear of round-off."""
    while least + ridge + jitter * unit <= np.finfo(np.float64).eps * abs(largest):
        jitter = larger_jitter(jitter, n, unit)
    return jitter
