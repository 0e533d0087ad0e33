"""Infinite-width kernels of bias-free ReLU networks, by the arc-cosine recursion, in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

# Entries worked on at once: four arrays of 512 KiB stay in cache.
CHUNK_ENTRIES = 2**16
# Cosines this close to 1 or -1 are taken as that: a repeated point comes out of a dot product a few units of round-off
# below 1, where the arc cosine would turn 1e-16 into an angle of 1e-8 and spoil the diagonal.
SAME_DIRECTION = 32 * np.finfo(np.float64).eps


def relu_ntk(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None = None, *, hidden_layers: int, weight_variance: float = 1.0
) -> NDArray[np.float64]:
    """Infinite-width NTK of a bias-free ReLU network all of whose layers train.

    Network with L = `hidden_layers` and v = `weight_variance`, W_ij ~ N(0, 1), in NTK parametrization:
    h_1 = sqrt(v) W_1 x / sqrt(d), h_(l+1) = sqrt(v) W_(l+1) relu(h_l) / sqrt(N), f = sqrt(v) w.relu(h_L) / sqrt(N).
    Then

        Sigma_1 = Theta_1 = v x.x'/d,
        Sigma_(l+1) = v E[relu(u) relu(u')],
        Theta_(l+1) = Sigma_(l+1) + v E[1(u>0) 1(u'>0)] Theta_l,

    with (u, u') ~ N(0, Sigma_l); the kernel is Theta_(L+1).

    Scale. With v = 1 it is the limit of `empirical_ntk` of a network in NTK parametrization, without a further factor
    (several outputs: of its trace form, or of each class-diagonal entry). In muP with readout f = w . relu(h_L) /
    (gamma N), multiply by 1 / (gamma^2 N). Where a variance s^2 sits in the initial weights and not in a multiplier,
    take v = s^2 and divide by s^2.

    Args:
        x1, x2: inputs (n1, ...) and (n2, ...), flattened to d numbers each; `x2=None` means `x1`, and half the work.

    Returns:
        (n1, n2), float64, exactly symmetric for `x2=None`. Round-off is a few 1e-16 of the scale sqrt(K(x, x) K(x',
        x')), but up to 1e-8 of it for two distinct points within an angle of 1e-7.

    Source: Cho and Saul, NeurIPS 2009; Jacot et al., arXiv 1806.07572; Lee et al., arXiv 1902.06720.
    """
    return _arc_cosine_kernel(x1, x2, hidden_layers, weight_variance, tangent=True)


def relu_nngp(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None = None, *, hidden_layers: int, weight_variance: float = 1.0
) -> NDArray[np.float64]:
    """Infinite-width covariance E[f(x) f(x')] = Sigma_(L+1) of the network of `relu_ntk`, with the same arguments.

    At v = 1 and L >= 1 it is also the limit of the conjugate kernel divided by the width N.
    """
    return _arc_cosine_kernel(x1, x2, hidden_layers, weight_variance, tangent=False)


def _arc_cosine_kernel(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None, hidden_layers: int, weight_variance: float, tangent: bool
) -> NDArray[np.float64]:
    if hidden_layers < 0:
        raise ValueError(f"hidden_layers={hidden_layers} must not be negative")
    if not weight_variance > 0:
        raise ValueError(f"weight_variance={weight_variance} must be positive")
    rows, row_norms = _directions(x1)
    symmetric = x2 is None
    columns, column_norms = (rows, row_norms) if x2 is None else _directions(x2)
    dimension = rows.shape[1]
    if columns.shape[1] != dimension:
        raise ValueError(f"x1 has {dimension} features per sample and x2 has {columns.shape[1]}; they must agree")
    # Without biases Sigma_l(x, x) = (v |x|^2 / d) (v/2)^(l-1): norms leave the recursion, which acts on angles alone.
    scale = weight_variance / dimension * (weight_variance / 2) ** hidden_layers
    kernel = np.empty((len(rows), len(columns)))
    step = max(1, CHUNK_ENTRIES // max(1, len(columns)))
    for i in range(0, len(rows), step):
        chunk = slice(i, i + step)
        start = i if symmetric else 0
        block = _recursion_over_angles(rows[chunk] @ columns[start:].T, hidden_layers, tangent)
        block *= row_norms[chunk, None] * scale
        block *= column_norms[start:]
        if symmetric:
            size = len(block)
            # A matrix product may round (a, b) and (b, a) differently, so the upper triangle is mirrored.
            block[:, :size] = np.triu(block[:, :size]) + np.triu(block[:, :size], 1).T
            kernel[i + size :, chunk] = block[:, size:].T
        kernel[chunk, start:] = block
    return kernel


def _directions(x: ArrayLike | Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (n, d) and norms (n,); a zero input keeps the norm 0 and any direction."""
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.ndim < 2:
        raise ValueError(f"inputs have shape {array.shape}; samples must stand along the first of at least two axes")
    points = array.reshape(len(array), -1).astype(np.float64)
    norms = np.linalg.norm(points, axis=1)
    return points / np.where(norms > 0, norms, 1.0)[:, None], norms


def _recursion_over_angles(cosine: NDArray[np.float64], hidden_layers: int, tangent: bool) -> NDArray[np.float64]:
    """Normalised kernel after `hidden_layers` layers; overwrites `cosine`.

    With c = cos(theta): c_(l+1) = (sin(theta_l) + (pi - theta_l) c_l) / pi and t_(l+1) = c_(l+1) + t_l (pi - theta_l) /
    pi, t_1 = c_1.
    """
    np.clip(cosine, -1.0, 1.0, out=cosine)
    cosine[cosine > 1 - SAME_DIRECTION] = 1.0
    cosine[cosine < SAME_DIRECTION - 1] = -1.0
    total = cosine.copy() if tangent else None
    angle_share, sine = np.empty_like(cosine), np.empty_like(cosine)
    for _ in range(hidden_layers):
        np.arccos(cosine, out=angle_share)
        np.subtract(np.pi, angle_share, out=angle_share)
        angle_share /= np.pi
        # (1 - c)(1 + c) keeps the digits of a small angle that 1 - c^2 would lose.
        np.subtract(1.0, cosine, out=sine)
        sine *= 1.0 + cosine
        np.sqrt(sine, out=sine)
        sine /= np.pi
        cosine *= angle_share
        cosine += sine
        np.minimum(cosine, 1.0, out=cosine)
        if total is not None:
            total *= angle_share
            total += cosine
    return cosine if total is None else total
