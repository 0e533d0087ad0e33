"""Infinite-width kernels of ReLU and power-ReLU networks, by the arc-cosine recursion, in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lazyrich.kernels.arc_cosine import POWERS, arc_cosine_layer, snap_to_parallel
from lazyrich.kernels.pairwise import flattened, in_chunks

# Entries worked on at once: four arrays of 512 KiB stay in cache.
CHUNK_ENTRIES = 2**16


def relu_ntk(
    x1: ArrayLike | Tensor,
    x2: ArrayLike | Tensor | None = None,
    *,
    hidden_layers: int,
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
    power: int = 1,
    layer_rates: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """Infinite-width NTK of a network with phi(h) = max(0, h)^q, q = `power`, all of whose parameters train.

    Network with L = `hidden_layers`, v = `weight_variance`, b = `bias_variance` and all parameters W_ij, beta_i ~
    N(0, 1), in NTK parametrization:

        h_1 = sqrt(v) W_1 x / sqrt(d) + sqrt(b) beta_1,
        h_(l+1) = sqrt(v) W_(l+1) phi(h_l) / sqrt(N) + sqrt(b) beta_(l+1),

    and f = h_(L+1), one number. Then

        Sigma_1 = Theta_1 = v x.x'/d + b,
        Sigma_(l+1) = v E[phi(u) phi(u')] + b,
        Theta_(l+1) = Sigma_(l+1) + v E[phi'(u) phi'(u')] Theta_l,

    with (u, u') ~ N(0, Sigma_l); the kernel is Theta_(L+1). With `layer_rates` a_1, ..., a_(L+1), the learning rates of
    the layers relative to a common one, Theta_1 = a_1 Sigma_1 and Theta_(l+1) = a_(l+1) Sigma_(l+1) + ... instead.

    Scale. With v = 1 it is the limit of `empirical_ntk` of a network in NTK parametrization, without a further factor
    (several outputs: of its trace form, or of each class-diagonal entry). In muP with readout f = w . phi(h_L) /
    (gamma N), multiply by 1 / (gamma^2 N). Where a variance s^2 sits in the initial weights and not in a multiplier,
    take v = s^2 and divide by s^2 (without biases). In the standard parametrization, W ~ N(0, 1 / fan_in) and no
    multipliers, the gradient by the weights of a layer is sqrt(fan_in) times as large: take `layer_rates` (d, N, ..., N),
    the fan-in of each layer (without biases). No factor is divided out for q > 1:

        Sigma_(l+1)(x, x) = v (2q - 1)!! / 2 Sigma_l(x, x)^q + b,

    so without biases K(c x, c x') = c^(2 q^L) K(x, x') for c > 0.

    Args:
        x1, x2: inputs (n1, ...) and (n2, ...), flattened to d numbers each; `x2=None` means `x1`, and half the work.
        power: 1 (ReLU), 2 or 3.
        layer_rates: L + 1 numbers that are not negative; `None` means all are 1.

    Returns:
        (n1, n2), float64, exactly symmetric for `x2=None`. Round-off is a few 1e-16 of the scale sqrt(K(x, x) K(x',
        x')), but up to 1e-8 of it for two distinct points within an angle of 1e-7.

    Raises:
        ValueError: for inputs of different sizes, a negative number of layers or bias variance, a weight variance that
            is not positive, another power, another number of rates or a negative one, or variances that leave the range
            of float64.

    Source: Cho and Saul, NeurIPS 2009; Jacot et al., arXiv 1806.07572; Lee et al., arXiv 1902.06720.
    """
    network = _Network(hidden_layers, weight_variance, bias_variance, power, layer_rates)
    return _kernel(x1, x2, network, tangent=True)


def relu_nngp(
    x1: ArrayLike | Tensor,
    x2: ArrayLike | Tensor | None = None,
    *,
    hidden_layers: int,
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
    power: int = 1,
) -> NDArray[np.float64]:
    """Infinite-width covariance E[f(x) f(x')] = Sigma_(L+1) of the network of `relu_ntk`, with the same arguments.

    At v = 1, b = 0 and L >= 1 it is also the limit of the conjugate kernel divided by the width N.
    """
    network = _Network(hidden_layers, weight_variance, bias_variance, power)
    return _kernel(x1, x2, network, tangent=False)


def relu_ntk_diagonal(
    x: ArrayLike | Tensor,
    *,
    hidden_layers: int,
    weight_variance: float = 1.0,
    bias_variance: float = 0.0,
    power: int = 1,
    layer_rates: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """K(x_i, x_i), (n,), of the kernel of `relu_ntk`, with the same arguments, at a cost of O(n d)."""
    network = _Network(hidden_layers, weight_variance, bias_variance, power, layer_rates)
    points = _points(x, network)
    first, *others = network.rates
    total = np.full(len(points.directions), first)
    for rate, share in zip(others, points.weight_shares[1:], strict=True):
        # phi' at angle 0: see `arc_cosine_layer`.
        total = rate + share**2 * network.power**2 / (2 * network.power - 1) * total
    return points.scale**2 * total


class _Network(NamedTuple):
    hidden_layers: int
    weight_variance: float
    bias_variance: float
    power: int
    layer_rates: Sequence[float] | None = None

    @property
    def rates(self) -> list[float]:
        return [1.0] * (self.hidden_layers + 1) if self.layer_rates is None else list(map(float, self.layer_rates))

    def check(self) -> None:
        if self.hidden_layers < 0:
            raise ValueError(f"hidden_layers={self.hidden_layers} must not be negative")
        if not self.weight_variance > 0:
            raise ValueError(f"weight_variance={self.weight_variance} must be positive")
        if not self.bias_variance >= 0:
            raise ValueError(f"bias_variance={self.bias_variance} must not be negative")
        if self.power not in POWERS:
            raise ValueError(f"power={self.power} has no closed form here; choose one of {', '.join(map(str, POWERS))}")
        if len(self.rates) != self.hidden_layers + 1 or not all(0 <= rate < math.inf for rate in self.rates):
            raise ValueError(
                f"layer_rates={self.layer_rates} must be {self.hidden_layers + 1} finite numbers that are not negative, one "
                "for each hidden layer and one for the readout"
            )


class _Points(NamedTuple):
    """Inputs as the recursion over correlations needs them.

    Attributes:
        directions: (n, d), unit vectors; any for a zero input.
        weight_shares, bias_shares: for each of the L + 1 layers, (n,): standard deviation of what comes through the
            weights, and of the bias, over that of their sum. Their squares add up to 1.
        scale: (n,), standard deviation of the output.
    """

    directions: NDArray[np.float64]
    weight_shares: list[NDArray[np.float64]]
    bias_shares: list[NDArray[np.float64]]
    scale: NDArray[np.float64]


def _points(x: ArrayLike | Tensor, network: _Network) -> _Points:
    network.check()
    points = flattened(x)
    norms = np.linalg.norm(points, axis=1)
    weights, biases = [], []
    # E[max(0, u)^(2q)] = (2q - 1)!! / 2 for u ~ N(0, 1).
    moment = math.prod(range(1, 2 * network.power, 2)) / 2
    deviation = norms * math.sqrt(network.weight_variance / points.shape[1])
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in range(network.hidden_layers + 1):
            if layer > 0:
                deviation = math.sqrt(network.weight_variance * moment) * deviation**network.power
            through_weights, deviation = deviation, np.hypot(deviation, math.sqrt(network.bias_variance))
            nonzero = np.where(deviation > 0, deviation, 1.0)
            weights.append(np.where(deviation > 0, through_weights / nonzero, 1.0))
            biases.append(math.sqrt(network.bias_variance) / nonzero)
        variance = deviation**2
    if not np.isfinite(variance).all() or ((variance == 0) & (norms > 0)).any():
        raise ValueError(
            f"variances of {network.hidden_layers} layers of power {network.power} leave the range of float64 for "
            f"inputs of norm {norms.min():g} to {norms.max():g} in {points.shape[1]} dimensions; scale the inputs to "
            "norms near the root of their dimension"
        )
    return _Points(points / np.where(norms > 0, norms, 1.0)[:, None], weights, biases, deviation)


def _kernel(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None, network: _Network, tangent: bool
) -> NDArray[np.float64]:
    rows = _points(x1, network)
    symmetric = x2 is None
    columns = rows if x2 is None else _points(x2, network)
    if columns.directions.shape[1] != rows.directions.shape[1]:
        raise ValueError(
            f"x1 has {rows.directions.shape[1]} features per sample and x2 has {columns.directions.shape[1]}; "
            "they must agree"
        )

    def compute(chunk: slice, others: slice) -> NDArray[np.float64]:
        return _recursion(_part(rows, chunk), _part(columns, others), network, tangent)

    return in_chunks(len(rows.directions), len(columns.directions), symmetric, CHUNK_ENTRIES, compute)


def _part(points: _Points, chosen: slice) -> _Points:
    weights, biases = ([share[chosen] for share in shares] for shares in (points.weight_shares, points.bias_shares))
    return _Points(points.directions[chosen], weights, biases, points.scale[chosen])


def _recursion(rows: _Points, columns: _Points, network: _Network, tangent: bool) -> NDArray[np.float64]:
    """The kernel of some rows and columns, by a recursion over correlations c and tangent kernels t, both of which are
    Sigma and Theta divided by the standard deviations of both points, so that all is of order 1.

    c_1 = r r' cos(x, x') + s s', t_1 = a_1 c_1, c_(l+1) = r r' kappa(c_l) + s s', t_(l+1) = a_(l+1) c_(l+1) +
    r r' kappa'(c_l) t_l, where r and s are the shares of weights and bias, a the rates, and kappa and kappa' are those of `arc_cosine_layer`.
    """
    correlation = rows.directions @ columns.directions.T
    snap_to_parallel(correlation)
    if network.bias_variance > 0:
        _mix_in_bias(correlation, rows, columns, 0)
    rates = network.rates
    total = rates[0] * correlation if tangent else None
    for layer in range(1, network.hidden_layers + 1):
        slope = arc_cosine_layer(correlation, network.power)
        if network.bias_variance > 0:
            slope *= _mix_in_bias(correlation, rows, columns, layer)
        if total is not None:
            total *= slope
            total += correlation if rates[layer] == 1 else rates[layer] * correlation
    result = correlation if total is None else total
    result *= rows.scale[:, None]
    result *= columns.scale
    return result


def _mix_in_bias(correlation: NDArray[np.float64], rows: _Points, columns: _Points, layer: int) -> NDArray[np.float64]:
    """In place: the correlation of what comes through the weights and the bias; returned: the share of the weights."""
    weights = rows.weight_shares[layer][:, None] * columns.weight_shares[layer]
    correlation *= weights
    correlation += rows.bias_shares[layer][:, None] * columns.bias_shares[layer]
    snap_to_parallel(correlation)
    return weights
