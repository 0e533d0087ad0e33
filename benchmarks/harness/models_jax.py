"""The benchmark's networks as pure JAX functions of a dictionary of parameters, with the weights of the torch models.

Convolutions run channels-last (NHWC, HWIO), the layout that XLA's CPU backend is fastest in. BatchNorm is in eval mode:
its statistics are constants, its scale and shift parameters.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from harness.cases import Network

Parameters = dict[str, jax.Array]
Apply = Callable[[Parameters, jax.Array], jax.Array]

BATCH_NORM_EPSILON = 1e-5


def load(network: Network, weights: dict[str, NDArray[np.float32]]) -> tuple[Apply, Parameters]:
    """f(parameters, x) -> (n, outputs), and the parameters; x comes from `inputs`."""
    statistics = {name: jnp.asarray(value) for name, value in weights.items() if ".running_" in name}
    parameters = {
        name: jnp.asarray(_channels_last(name, value)) for name, value in weights.items() if ".running_" not in name
    }
    if network.kind == "mlp":
        return _mlp, parameters
    if network.kind in ("cnn", "cnn-pooled"):
        # Flattened channels-first in torch: the rows of the readout change places.
        channels = 2 * network.width
        name = f"{_last_layer(parameters)}.weight"
        readout = np.asarray(parameters[name]).reshape(channels, 64, -1).transpose(1, 0, 2)
        parameters[name] = jnp.asarray(readout.reshape(channels * 64, -1))
        return (_strided_cnn if network.kind == "cnn" else _pooled_cnn), parameters
    return _resnet18(statistics), parameters


def inputs(x: NDArray[np.float32]) -> jax.Array:
    """Samples in the layout of the networks."""
    return jnp.asarray(x if x.ndim == 2 else np.ascontiguousarray(x.transpose(0, 2, 3, 1)))


def _channels_last(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    if value.ndim == 4:
        return np.ascontiguousarray(value.transpose(2, 3, 1, 0))
    return np.ascontiguousarray(value.T) if value.ndim == 2 else value


def _last_layer(p: Parameters) -> str:
    return str(max(int(name.split(".")[0]) for name in p))


def _linear(p: Parameters, name: str, x: jax.Array) -> jax.Array:
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def _conv(p: Parameters, name: str, x: jax.Array, stride: int, padding: int = 1) -> jax.Array:
    pads = ((padding, padding), (padding, padding))
    dimensions = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, p[f"{name}.weight"], (stride, stride), pads, dimension_numbers=dimensions)
    return y + p[f"{name}.bias"] if f"{name}.bias" in p else y


def _pool(x: jax.Array) -> jax.Array:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def _mlp(p: Parameters, x: jax.Array) -> jax.Array:
    for layer in ("0", "2", "4"):
        x = jax.nn.relu(_linear(p, layer, x))
    return _linear(p, "6", x)


def _strided_cnn(p: Parameters, x: jax.Array) -> jax.Array:
    for layer in ("0", "2"):
        x = jax.nn.relu(_conv(p, layer, x, stride=2))
    return _linear(p, "5", x.reshape(len(x), -1))


def _pooled_cnn(p: Parameters, x: jax.Array) -> jax.Array:
    for layer in ("0", "3"):
        x = _pool(jax.nn.relu(_conv(p, layer, x, stride=1)))
    return _linear(p, "7", x.reshape(len(x), -1))


def _resnet18(statistics: Parameters) -> Apply:
    def batch_norm(p: Parameters, name: str, x: jax.Array) -> jax.Array:
        mean, variance = statistics[f"{name}.running_mean"], statistics[f"{name}.running_var"]
        whitened = (x - mean) * jax.lax.rsqrt(variance + BATCH_NORM_EPSILON)
        return whitened * p[f"{name}.weight"] + p[f"{name}.bias"]

    def block(p: Parameters, name: str, x: jax.Array, stride: int) -> jax.Array:
        y = jax.nn.relu(batch_norm(p, f"{name}.bn1", _conv(p, f"{name}.conv1", x, stride)))
        y = batch_norm(p, f"{name}.bn2", _conv(p, f"{name}.conv2", y, 1))
        if f"{name}.shortcut.0.weight" in p:
            x = batch_norm(p, f"{name}.shortcut.1", _conv(p, f"{name}.shortcut.0", x, stride, padding=0))
        return jax.nn.relu(y + x)

    def apply(p: Parameters, x: jax.Array) -> jax.Array:
        x = jax.nn.relu(batch_norm(p, "1", _conv(p, "0", x, stride=1)))
        for layer in range(3, 11):
            x = block(p, str(layer), x, stride=2 if layer in (5, 7, 9) else 1)
        return _linear(p, "13", x.mean((1, 2)))

    return apply
