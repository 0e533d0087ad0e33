"""Neural feature ansatz: correlation of W^T W with W^T K W, uncentered, centered on the initialisation, and against
rotations of K.

Notation, for one layer h = W x: W its weight now, W_0 at initialisation, Wbar = W - W_0; K the feature covariance of
the pre-activation tangent kernel now, K_0 at initialisation, Kbar = K - K_0. Then F = W^T W is the neural feature
matrix, G = W^T K W the average gradient outer product, Fbar = Wbar^T Wbar, Gbar = Wbar^T K Wbar. Weights are (fan_out,
fan_in) and effective, multiplier times W (see `lazyrich.metrics.feature_matrices`); covariances are (fan_out, fan_out).

Source: Beaglehole, Mitliagkas and Agarwala, arXiv 2402.05271 (its fourth version writes U-NFC and C-NFC for UC-NFA and
    C-NFA).
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lazyrich.metrics.matrix_correlation import Kind, matrix_correlation


class DoubleCenteredCorrelations(NamedTuple):
    """rho(Fbar, Wbar^T Kbar Wbar), of the change of K, and rho(Fbar, Wbar^T K_0 Wbar), of its initial value."""

    changed: float
    initial: float


def uncentered_correlation(
    weight: ArrayLike, covariance: ArrayLike, kind: Kind = "cosine", power: float = 1.0
) -> float:
    """UC-NFA = rho(W^T W, (W^T K W)^power); `power` 1/2 or 1/L for the ansatz with a power of the AGOP. NaN if either
    vanishes.
    """
    W, K = _weight_and_covariance(weight, covariance)
    return matrix_correlation(W.T @ W, _symmetric(W.T @ K @ W), kind, power)


def centered_correlation(
    weight: ArrayLike, initial_weight: ArrayLike, covariance: ArrayLike, kind: Kind = "cosine", power: float = 1.0
) -> float:
    """C-NFA = rho(Wbar^T Wbar, (Wbar^T K Wbar)^power). NaN at initialisation, where it is 0/0."""
    return uncentered_correlation(_change(weight, initial_weight), covariance, kind, power)


def double_centered_correlations(
    weight: ArrayLike,
    initial_weight: ArrayLike,
    covariance: ArrayLike,
    initial_covariance: ArrayLike,
    kind: Kind = "cosine",
) -> DoubleCenteredCorrelations:
    """rho(Fbar, Wbar^T Kbar Wbar) and rho(Fbar, Wbar^T K_0 Wbar): which part of K the change of the weights aligns
    with.

    Kbar need not be positive semi-definite, so the first can be negative.
    """
    change = _change(weight, initial_weight)
    return DoubleCenteredCorrelations(
        changed=uncentered_correlation(change, _change(covariance, initial_covariance), kind),
        initial=uncentered_correlation(change, initial_covariance, kind),
    )


def centered_ratio(weight: ArrayLike, initial_weight: ArrayLike, covariance: ArrayLike) -> float:
    """tr(Fbar Gbar) / tr(F G): the numerator of C-NFA over that of UC-NFA.

    Near 0 the initial weights dominate and UC-NFA says little about what was learned. It is not bounded by 1: cross
    terms can be negative. NaN if tr(F G) vanishes.
    """
    W, K = _weight_and_covariance(weight, covariance)
    change = _change(weight, initial_weight)
    total = _numerator(W, K)
    return _numerator(change, K) / total if total > 0 else float("nan")


def gradient_product_contributions(
    weight: ArrayLike, initial_weight: ArrayLike, covariance: ArrayLike, initial_covariance: ArrayLike
) -> dict[tuple[str, str, str], float]:
    """The eight parts of tr(F G), as shares that sum to 1.

    G = W^T K W = sum over A, C in (W_0, Wbar) and B in (K_0, Kbar) of A^T B C; the share of a term is tr(F A^T B C) /
    tr(F G). Keys are (A, B, C), each "initial" or "change". Terms (A, B, C) and (C, B, A) are transposes and have equal
    shares. Shares can be negative or above 1. All NaN if tr(F G) vanishes.
    """
    W, K = _weight_and_covariance(weight, covariance)
    weights = {"initial": np.asarray(initial_weight, dtype=np.float64), "change": _change(weight, initial_weight)}
    covariances = {
        "initial": np.asarray(initial_covariance, dtype=np.float64),
        "change": _change(covariance, initial_covariance),
    }
    total = _numerator(W, K)
    # tr(F A^T B C) = <B, A F C^T>: the products stay as small as the layer.
    feature_matrix = W.T @ W
    return {
        (a, b, c): float(np.vdot(covariances[b], weights[a] @ feature_matrix @ weights[c].T)) / total
        if total > 0
        else float("nan")
        for a, b, c in product(weights, covariances, weights)
    }


def random_rotation(dimension: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """A Haar-distributed orthogonal matrix (dimension, dimension). Source: Mezzadri, Notices of the AMS 54 (2007)."""
    factor, triangle = np.linalg.qr(generator.standard_normal((dimension, dimension)))
    # The signs of the factorisation are a convention of LAPACK; those of the diagonal make it unique, and the law
    # uniform.
    return factor * np.where(np.diag(triangle) < 0, -1.0, 1.0)


def rotated_covariance_null(
    weight: ArrayLike,
    covariance: ArrayLike,
    generator: np.random.Generator,
    rotations: int = 5,
    kind: Kind = "cosine",
    power: float = 1.0,
) -> NDArray[np.float64]:
    """UC-NFA with K replaced by Q K Q^T, Q a random rotation: what the spectra alone give, (rotations,).

    For the null of C-NFA pass Wbar as the weight. The cosine of two positive semi-definite matrices has a high floor
    (0.4 to 0.9 in the paper's settings), so print this beside every correlation.
    """
    if rotations < 1:
        raise ValueError(f"rotations={rotations} must be at least 1")
    W, K = _weight_and_covariance(weight, covariance)
    null = np.empty(rotations)
    for i in range(rotations):
        rotated_weight = random_rotation(len(K), generator).T @ W
        null[i] = matrix_correlation(W.T @ W, _symmetric(rotated_weight.T @ K @ rotated_weight), kind, power)
    return null


def _weight_and_covariance(weight: ArrayLike, covariance: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    W, K = np.asarray(weight, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    if W.ndim != 2 or K.shape != (len(W), len(W)):
        raise ValueError(
            f"weight {W.shape} and covariance {K.shape} do not fit; expected (fan_out, fan_in) and (fan_out, fan_out)"
        )
    return W, K


def _change(now: ArrayLike, initial: ArrayLike) -> NDArray[np.float64]:
    after, before = np.asarray(now, dtype=np.float64), np.asarray(initial, dtype=np.float64)
    if after.shape != before.shape:
        raise ValueError(
            f"shapes {after.shape} now and {before.shape} at initialisation differ; they must be of the same layer"
        )
    return after - before


def _symmetric(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return (matrix + matrix.T) / 2


def _numerator(W: NDArray[np.float64], K: NDArray[np.float64]) -> float:
    """tr(W^T W W^T K W) = <K, (W W^T)^2>."""
    gram = W @ W.T
    return float(np.vdot(K, gram @ gram))
