"""The readout layer of any `nn.Module`, and the features that enter it."""

from __future__ import annotations

import difflib

import torch
from torch import Tensor, nn

from lazyrich.models.evaluation_mode import evaluation_mode


def readout_layer(model: nn.Module, x: Tensor | None = None) -> nn.Linear:
    """The last `nn.Linear` of `model` in module order; with `x`, the last of those that a forward pass on `x` reaches.

    Layers that a model holds and does not call (an unused head, the projection inside `nn.MultiheadAttention`) are told
    apart only by a forward pass, so give `x` for a model of unknown structure; one sample, shape (1, ...), will do.
    Raises ValueError when there is no such layer.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if x is not None:
        reached: set[nn.Module] = set()
        hooks = [layer.register_forward_pre_hook(lambda module, _: reached.add(module)) for layer in layers]
        try:
            with torch.no_grad(), evaluation_mode(model):
                model(x)
        finally:
            for hook in hooks:
                hook.remove()
        layers = [layer for layer in layers if layer in reached]
    if not layers:
        where = "holds" if x is None else "calls"
        raise ValueError(f"{type(model).__name__} {where} no nn.Linear, so it has no readout; end it with an nn.Linear")
    return layers[-1]


def submodule(model: nn.Module, name: str | None) -> nn.Module:
    """The layer of `model` called `name`, as in `named_modules`; ValueError with the names that there are otherwise."""
    named = {found: module for found, module in model.named_modules() if found}
    if name not in named:
        near = difflib.get_close_matches(str(name), named, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"{type(model).__name__} has no layer {name!r}{hint} It has: {', '.join(named)}")
    return named[name]


def penultimate_features(model: nn.Module, x: Tensor, batch_size: int | None = None) -> Tensor:
    """Phi, shape (n, features): the inputs of the readout layer on the samples x; see `layer_inputs`.

    Works on any module that ends in an `nn.Linear` (see `readout_layer`).
    """
    _check(x, batch_size)
    return layer_inputs(model, readout_layer(model, x[:1]), x, batch_size)


def layer_inputs(model: nn.Module, layer: nn.Module, x: Tensor, batch_size: int | None = None) -> Tensor:
    """What enters `layer`, a submodule of `model`, on the samples x, shape (n, ...): (n, features).

    In evaluation mode and without gradients, in batches of `batch_size` samples (default: all at once). Inputs with more than two
    axes are flattened from the second axis on. When the layer is called more than once in a pass, the last call counts.
    Raises ValueError when x is empty, when `batch_size` is not positive, and when the layer is not called or does not see one row
    per sample.
    """
    _check(x, batch_size)
    seen: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        seen[:] = [inputs[0].detach()]

    features = []
    hook = layer.register_forward_pre_hook(keep)
    try:
        with torch.no_grad(), evaluation_mode(model):
            for batch in torch.split(x, batch_size or len(x)):
                model(batch)
                if not seen:
                    raise ValueError(f"{type(model).__name__} holds this {type(layer).__name__} and does not call it")
                if seen[0].ndim < 2 or len(seen[0]) != len(batch):
                    raise ValueError(
                        f"the input of this {type(layer).__name__} has shape {tuple(seen[0].shape)} for {len(batch)} samples; "
                        "its first axis must run over the samples"
                    )
                features.append(seen[0].flatten(1))
    finally:
        hook.remove()
    # A model may reuse the memory of its activations, so a single batch is copied as well.
    return torch.cat(features) if len(features) > 1 else features[0].clone()


def _check(x: Tensor, batch_size: int | None) -> None:
    if len(x) == 0:
        raise ValueError("x holds no samples; give at least one")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size is {batch_size!r}; give at least 1, or None for all samples at once")
