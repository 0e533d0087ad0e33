"""Neural feature matrix, pre-activation tangent kernel and average gradient outer product of linear layers.

For a layer h = W x inside a network f, W^T W is what the layer does to its inputs, K = E[grad_h f grad_h f^T] what the
rest of the network makes of its outputs, and G = E[grad_x f grad_x f^T] = W^T K W their combination.

The layers of this library multiply, h = multiplier * (W x) + ...: everywhere here and in `lazyrich.metrics.ansatz` the
weight is the one that acts on the input, `effective_weight(layer)` = multiplier * W, because with that one G = W^T K W
holds. Correlations do not see the factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lazyrich.models.evaluation_mode import evaluation_mode


class LayerGradients(NamedTuple):
    """Per-sample gradients with respect to the inputs and the pre-activations of one layer.

    Shapes (n, C, positions, fan_in) and (n, C, positions, fan_out) for n samples and C network outputs;
    `positions` counts the rows that the layer sees per sample: 1 in an MLP, the tokens of a sequence, times the calls
    of a shared layer.
    """

    inputs: Tensor
    outputs: Tensor


class FeatureMoments(NamedTuple):
    """Second moments of `LayerGradients`: K, (fan_out, fan_out), and G, (fan_in, fan_in), float64."""

    covariance: NDArray[np.float64]
    outer_product: NDArray[np.float64]


def effective_weight(layer: nn.Linear) -> NDArray[np.float64]:
    """multiplier * W, (fan_out, fan_in), float64: what acts on the inputs; a plain `nn.Linear` has multiplier 1."""
    return float(getattr(layer, "multiplier", 1.0)) * layer.weight.detach().cpu().double().numpy()


def linear_layer(model: nn.Module, name: str) -> nn.Linear:
    """The submodule called ``name``; ``ValueError`` if it is no linear layer."""
    layer = model.get_submodule(name)
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"layer {name} is a {type(layer).__name__}; this is measured on linear layers")
    return layer


def neural_feature_matrix(weight: ArrayLike | Tensor) -> NDArray[np.float64]:
    """F = W^T W, (fan_in, fan_in), of a weight (fan_out, fan_in); of a layer, pass `effective_weight(layer)`."""
    matrix = weight.detach().cpu().numpy() if isinstance(weight, Tensor) else np.asarray(weight)
    matrix = matrix.astype(np.float64)
    if matrix.ndim != 2:
        raise ValueError(
            f"weight has shape {matrix.shape}; expected (fan_out, fan_in), flatten a convolution to (channels, patch)"
        )
    return matrix.T @ matrix


def layer_gradients(model: nn.Module, x: Tensor, layers: Sequence[nn.Linear]) -> list[LayerGradients]:
    """Gradients of every output f_c(x_a) with respect to the inputs x_l and pre-activations h_l of the given layers.

    One forward pass, then one backward pass per output: sum_a f_c(x_a) has the per-sample gradients side by side, as
    eval mode keeps the samples apart. The gradient with respect to the inputs is that of the path through this layer:
    beside a skip connection, what the same activations do elsewhere does not count, so that G = W^T K W holds in every
    network.

    Args:
        model: module from (n, ...) to (n, C) or (n,); its mode is put back afterwards.
        x: (n, ...) on the model's device.
        layers: `nn.Linear` submodules of `model` (subclasses included), each called at least once in a forward pass.

    Raises:
        ValueError: if a layer is not a linear submodule of `model`, is not reached by a forward pass, or mixes the
            samples' axis.

    Memory: n * C * (fan_in + fan_out) numbers per layer, beside the activations.
    """
    own = set(model.modules())
    for layer in layers:
        if not isinstance(layer, nn.Linear) or layer not in own:
            raise ValueError(
                f"{layer} is not an nn.Linear inside {type(model).__name__}; pick layers from model.modules()"
            )
    calls: dict[nn.Linear, list[tuple[Tensor, Tensor]]] = {layer: [] for layer in layers}
    entered: dict[nn.Linear, Tensor] = {}

    def before(layer: nn.Linear, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        # An alias of the input, so that its gradient is that of this layer's path alone, and a leaf if nothing upstream
        # is one.
        entered[layer] = (
            arguments[0].clone() if arguments[0].requires_grad else arguments[0].detach().clone().requires_grad_()
        )
        return (entered[layer], *arguments[1:])

    def after(layer: nn.Linear, _: tuple[Tensor, ...], output: Tensor) -> Tensor:
        calls[layer].append((entered.pop(layer), output))
        # An activation that works in place would otherwise turn the recorded pre-activation into its own output.
        return output.clone()

    hooks = [layer.register_forward_pre_hook(before) for layer in calls] + [
        layer.register_forward_hook(after) for layer in calls
    ]
    try:
        with evaluation_mode(model), torch.enable_grad():
            outputs = model(x).reshape(len(x), -1)
    finally:
        for hook in hooks:
            hook.remove()
    for layer, recorded in calls.items():
        if not recorded or any(len(entry) != len(x) or entry.dim() < 2 for entry, _ in recorded):
            shapes = [tuple(entry.shape) for entry, _ in recorded]
            raise ValueError(
                f"{layer} saw inputs of shapes {shapes} for {len(x)} samples; samples must stand along the first axis"
            )
    tensors = [tensor for recorded in calls.values() for pair in recorded for tensor in pair]
    gradients = iter(_gradients_per_output(outputs, tensors))
    by_layer = {}
    for layer, recorded in calls.items():
        pairs = [(next(gradients), next(gradients)) for _ in recorded]
        by_layer[layer] = LayerGradients(*(torch.cat(side, dim=2) for side in zip(*pairs, strict=True)))
    return [by_layer[layer] for layer in layers]


def _gradients_per_output(outputs: Tensor, tensors: Sequence[Tensor]) -> list[Tensor]:
    """For outputs (n, C) and each tensor (n, ..., k): the per-sample gradients, (n, C, positions, k)."""
    n, classes = outputs.shape
    by_class = [
        torch.autograd.grad(
            outputs[:, c].sum(), tensors, retain_graph=c + 1 < classes, allow_unused=True, materialize_grads=True
        )
        for c in range(classes)
    ]
    return [
        torch.stack([gradient.reshape(n, -1, tensor.shape[-1]) for gradient in of_tensor], dim=1)
        for tensor, of_tensor in zip(tensors, zip(*by_class, strict=True), strict=True)
    ]


def feature_moments(
    model: nn.Module, x: Tensor, layers: Sequence[nn.Linear], batch_size: int = 1024
) -> list[FeatureMoments]:
    """K_l = (1/n) sum_a sum_c grad_h f_c grad_h f_c^T and G_l, the same of grad_x, for each layer, in batches of
    `batch_size` samples.

    Mean over samples, sum over outputs and positions, accumulated in float64; the gradients keep the type of the model.
    """
    if len(x) == 0 or batch_size < 1:
        raise ValueError(f"{len(x)} samples in batches of {batch_size}: both must be at least 1")
    totals: list[list[Tensor]] = []
    for batch in torch.split(x, batch_size):
        batch_moments = [
            [_second_moment(g.outputs), _second_moment(g.inputs)] for g in layer_gradients(model, batch, layers)
        ]
        if not totals:
            totals = batch_moments
            continue
        for total, moments in zip(totals, batch_moments, strict=True):
            total[0] += moments[0]
            total[1] += moments[1]
    return [FeatureMoments(*((moment / len(x)).cpu().numpy() for moment in total)) for total in totals]


def ptk_feature_covariance(
    model: nn.Module, x: Tensor, layer: nn.Linear, batch_size: int = 1024
) -> NDArray[np.float64]:
    """K_l = (1/n) sum_a sum_c grad_h f_c(x_a) grad_h f_c(x_a)^T, (fan_out, fan_out), of the pre-activations h of
    `layer`.

    The feature covariance of the pre-activation tangent kernel PTK(x, z) = grad_h f(x) . grad_h f(z).
    Source: Beaglehole et al., arXiv 2402.05271.
    """
    return feature_moments(model, x, [layer], batch_size)[0].covariance


def average_gradient_outer_product(
    model: nn.Module, x: Tensor, layer: nn.Linear | None = None, batch_size: int = 1024
) -> NDArray[np.float64]:
    """AGOP G = (1/n) sum_a sum_c grad f_c(x_a) grad f_c(x_a)^T.

    With respect to the inputs of `layer`, (fan_in, fan_in), where G = W^T K W with W = `effective_weight(layer)` and
    K = `ptk_feature_covariance`; or, for `layer=None`, to the inputs of the network, flattened: (d, d).

    Source: Radhakrishnan et al., arXiv 2212.13881; Beaglehole et al., arXiv 2402.05271.
    """
    if layer is not None:
        return feature_moments(model, x, [layer], batch_size)[0].outer_product
    total = torch.zeros(x[0].numel(), x[0].numel(), dtype=torch.float64, device=x.device)
    for batch in torch.split(x, batch_size):
        points = batch.detach().flatten(1).requires_grad_()
        with evaluation_mode(model), torch.enable_grad():
            outputs = model(points.reshape(batch.shape)).reshape(len(batch), -1)
        total += _second_moment(*_gradients_per_output(outputs, [points]))
    return (total / len(x)).cpu().numpy()


def _second_moment(gradients: Tensor) -> Tensor:
    rows = gradients.flatten(0, 2).double()
    return rows.T @ rows
