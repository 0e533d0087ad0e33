"""Learning curves of kernel regression from the spectrum of the kernel and the power of the target in its modes.

Conventions. K(x, x') = sum_k eta_k phi_k(x) phi_k(x') with E[phi_k phi_l] = delta_kl, and f*(x) = sum_k c_k phi_k(x). The
power of mode k is p_k = c_k^2, so that sum_k p_k = E[f*^2]. (With the weights of Canatar et al., f* = sum_k w_k sqrt(eta_k)
phi_k, it is p_k = eta_k w_k^2.) On n samples, with K u_k = n eta_k u_k, the estimates are eta_k = eigenvalue / n and
p_k = (u_k . y)^2 / n.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq


class PredictedLearningCurve(NamedTuple):
    """The theory's quantities at each training-set size.

    Attributes:
        sizes: (S,).
        errors: (S,), mean squared test error, in the units of the power.
        kappa: (S,), the effective ridge, in the units of the eigenvalues: modes with m eta_k > kappa are learned.
        gamma: (S,), in [0, 1]; 1 / (1 - gamma) is the factor of overfitting.
    """

    sizes: NDArray[np.float64]
    errors: NDArray[np.float64]
    kappa: NDArray[np.float64]
    gamma: NDArray[np.float64]


def power_spectrum(eigenvectors: ArrayLike, targets: ArrayLike) -> NDArray[np.float64]:
    """p_k = (u_k . y)^2 / n, averaged over outputs: the share of mode k in the mean square of the targets.

    Args:
        eigenvectors: (n, k), orthonormal columns, by descending eigenvalue.
        targets: (n,) or (n, C) on the same samples; as of `lazyrich.metrics.power.cumulative_power`, whose sums these are
            up to their normalisation.

    Returns:
        (k,); over all n eigenvectors it sums to mean(y^2).

    Raises:
        ValueError: if the sample counts differ.
    """
    vectors, values = np.asarray(eigenvectors, dtype=np.float64), np.asarray(targets, dtype=np.float64)
    if vectors.ndim != 2 or values.ndim not in (1, 2) or len(vectors) != len(values):
        raise ValueError(f"eigenvectors {vectors.shape} and targets {values.shape} must be (n, k) and (n,) or (n, C)")
    return np.square(vectors.T @ values.reshape(len(values), -1)).mean(axis=1) / len(values)


def predicted_learning_curve(
    eigenvalues: ArrayLike,
    power: ArrayLike,
    sizes: Sequence[float],
    *,
    ridge: float = 0.0,
    noise: float = 0.0,
    pool: int | None = None,
) -> PredictedLearningCurve:
    """Mean squared error of kernel regression with m training samples, averaged over training sets:

        kappa = ridge + sum_k kappa eta_k / (kappa + m eta_k),
        gamma = sum_k m eta_k^2 / (kappa + m eta_k)^2,
        E(m) = [sum_k p_k kappa^2 / (kappa + m eta_k)^2 + sigma^2] / (1 - gamma).

    E includes the noise of the test targets; the distance from f* itself is E - sigma^2. The form of Canatar et al., with
    sigma^2 gamma in the place of sigma^2, is that distance. Exact for Gaussian phi_k as sizes and modes grow; for others it
    is an approximation that has to be measured.

    Without ridge, and with at least as many samples as modes of positive eigenvalue, kappa = 0: what these modes span is
    fitted exactly. Where the numbers are equal, gamma is 1 and E infinite (double descent), unless there is nothing to fit
    wrongly, which makes it 0.

    Args:
        eigenvalues: (k,), eta_k, not negative (round-off below zero counts as 0).
        power: (k,), p_k. Power that no mode holds belongs into `noise`.
        sizes: training-set sizes m, positive.
        ridge: lambda of (K + lambda I)^-1, in the units of K, as of `kernel_regression`.
        noise: sigma^2, the variance of the noise in training and test targets.
        pool: n, if the modes are those of n samples, training sets are drawn from these without replacement and errors are
            taken on the rest. The modes describe errors over all n, (ridge / kappa)^2 E of which is that of the training
            points; so the rest has E (n - m (ridge / kappa)^2) / (n - m). Exact for a small ridge and random eigenvectors.
            `None` is the limit n -> infinity.

    Raises:
        ValueError: for lengths that differ, values that are negative or not finite, no positive eigenvalue, or a size that
            is not positive or not below `pool`.

    Source: Canatar, Bordelon and Pehlevan, Nature Communications 12 (2021) 2914, equations 4 and 5; used in arXiv
        2507.19680.
    """
    eta, p, m = (np.asarray(values, dtype=np.float64).ravel() for values in (eigenvalues, power, sizes))
    _check(eta, p, m, ridge, noise, pool)
    eta = np.maximum(eta, 0.0)
    kappa = np.array([effective_ridge(eta, size, ridge) for size in m.tolist()])
    gamma, errors = np.empty(len(m)), np.empty(len(m))
    for index, (size, k) in enumerate(zip(m.tolist(), kappa.tolist(), strict=True)):
        learned = _learned(eta, size, k)
        gamma[index] = float(np.square(learned).sum()) / size
        numerator = float((p * np.square(1 - learned)).sum()) + noise
        # Round-off must not turn the pole, gamma = 1, into a large number of either sign.
        gap = 1 - gamma[index] if gamma[index] < 1 - 1e-12 else 0.0
        errors[index] = 0.0 if numerator == 0 else numerator / gap if gap > 0 else np.inf
    if pool is not None:
        fitted = np.divide(ridge, kappa, out=np.zeros_like(kappa), where=kappa > 0)
        errors *= (pool - m * np.square(fitted)) / (pool - m)
    return PredictedLearningCurve(m, errors, kappa, gamma)


def effective_ridge(eigenvalues: NDArray[np.float64], size: float, ridge: float = 0.0) -> float:
    """The largest solution kappa of kappa = ridge + sum_k kappa eta_k / (kappa + m eta_k).

    It lies between `ridge` and ridge + sum_k eta_k. h(kappa) = 1 - ridge / kappa - sum_k eta_k / (kappa + m eta_k) increases
    in kappa, so that there is one positive root at most; without ridge there is none, and kappa = 0, if h(0+) = 1 - (number
    of positive eta_k) / m is not negative.
    """
    eta = eigenvalues[eigenvalues > 0]
    trace = float(eta.sum())
    if ridge == 0 and len(eta) <= size:
        return 0.0

    def excess(log_kappa: float) -> float:
        kappa = float(np.exp(log_kappa))
        return 1 - ridge / kappa - float((eta / (kappa + size * eta)).sum())

    high = float(np.log(ridge + trace)) + 1e-9
    if ridge > 0:
        low = float(np.log(ridge)) - 1e-9
    else:
        # At kappa = a m min(eta) the sum is at least (number of modes) / (m (1 + a)), which is above 1 for this a.
        share = (len(eta) / size - 1) / 2
        low = min(float(np.log(share * size * eta.min())), high - 1)
    return float(np.exp(brentq(excess, low, high, xtol=1e-14, rtol=8.9e-16, maxiter=500)))


def _learned(eta: NDArray[np.float64], size: float, kappa: float) -> NDArray[np.float64]:
    """m eta_k / (kappa + m eta_k), from 0 (not learned) to 1; a mode of eigenvalue 0 is never learned."""
    denominator = kappa + size * eta
    return np.divide(size * eta, denominator, out=np.zeros_like(eta), where=denominator > 0)


def _check(
    eta: NDArray[np.float64],
    power: NDArray[np.float64],
    sizes: NDArray[np.float64],
    ridge: float,
    noise: float,
    pool: int | None,
) -> None:
    if eta.size == 0 or eta.size != power.size:
        raise ValueError(
            f"{eta.size} eigenvalues and {power.size} powers; give one power per eigenvalue, and at least one"
        )
    if not (np.isfinite(eta).all() and np.isfinite(power).all() and np.isfinite([ridge, noise]).all()):
        raise ValueError(f"eigenvalues, power, ridge={ridge} and noise={noise} must be finite")
    if not eta.max() > 0 or eta.min() < -1e-6 * eta.max():
        raise ValueError(
            f"eigenvalues from {eta.min():g} to {eta.max():g} are not those of a kernel: none may be negative beyond round-off, "
            "and one must be positive"
        )
    if (power < 0).any() or ridge < 0 or noise < 0:
        raise ValueError(f"power (least {power.min():g}), ridge={ridge} and noise={noise} must not be negative")
    if not (sizes > 0).all() or (pool is not None and not (sizes < pool).all()):
        limit = "" if pool is None else f" and below the {pool} points of the pool"
        raise ValueError(f"sizes {sizes.tolist()} must be positive{limit}")
