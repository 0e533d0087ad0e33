"""How far the weights have moved, in all and layer by layer."""

from collections.abc import Iterator

import numpy as np
import torch

from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.movement import squared_norm_ratio, weight_change
from lazyrich.models.state import parameter_layout, unflatten_parameters


def measure(member: MemberData) -> Iterator[Row]:
    """At every checkpoint, with theta the parameters as they are stored and trained:

    - ``weight_change`` = ||theta_t - theta_0|| / ||theta_0|| and ``squared_weight_norm_ratio`` = ||theta_t||^2 / ||theta_0||^2;
    - ``layer_weight_change`` and ``layer_squared_weight_norm_ratio``: the same of the weight and bias of each layer.

    The multipliers of the ntk and mup parametrizations are constants that are no part of theta. They cancel in a layer's ratios
    (without biases), not in the totals, in which a layer counts by its raw weights: entries of order 1 in ntk and mup, of order
    1 / sqrt(fan_in) in standard. Source: Chizat et al., arXiv 1812.07956, for lazy training as small ``weight_change``.
    """
    layout = parameter_layout(member.run.model(member.name, member.steps[0]))
    initial = _by_layer(member.run.parameters(member.name, member.steps[0]), layout)
    for step in member.steps:
        current = _by_layer(member.run.parameters(member.name, step), layout)
        for layer, start in initial.items():
            prefix = "layer_" if layer else ""
            yield Row(f"{prefix}weight_change", weight_change(start, current[layer]), step, layer)
            yield Row(f"{prefix}squared_weight_norm_ratio", squared_norm_ratio(start, current[layer]), step, layer)


def _by_layer(vector: np.ndarray, layout: list) -> dict[str, np.ndarray]:
    """The whole parameter vector under "", and what each module holds under its name."""
    parts: dict[str, list[np.ndarray]] = {}
    for name, values in unflatten_parameters(torch.from_numpy(vector.astype(np.float64)), layout).items():
        parts.setdefault(name.rpartition(".")[0] or name, []).append(values.numpy().ravel())
    return {"": vector, **{layer: np.concatenate(values) for layer, values in parts.items()}}
