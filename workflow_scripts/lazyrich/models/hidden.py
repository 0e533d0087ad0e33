"""The features of every hidden layer of a network, from one forward pass."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from lazyrich.models.evaluation_mode import evaluation_mode

#: Layers with weights, between which features are taken.
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d)


def hidden_features(model: nn.Module, x: Tensor, batch_size: int = 512) -> dict[str, Tensor]:
    """Layer name -> features that it hands on, (n, features): what enters the next linear or convolutional layer.

    So of an MLP, hidden.l has its post-activations, and of a CNN these after pooling, flattened; the last entry is what
    `penultimate_features` gives. The last layer, the readout, has no entry. Layers come in the order of their first call;
    of one that is called more than once in a pass, the last input counts.

    In evaluation mode and without gradients, in batches of `batch_size` samples. All features are held:
    n * (their number) numbers a layer.

    Raises:
        ValueError: when x is empty, `batch_size` is not positive, a layer does not see one row per sample, or fewer than
            two layers are called.
    """
    if len(x) == 0 or batch_size < 1:
        raise ValueError(f"{len(x)} samples in batches of {batch_size}: both must be at least 1")
    names: dict[nn.Module, str] = {module: name for name, module in model.named_modules() if isinstance(module, LAYERS)}
    seen: dict[str, Tensor] = {}
    found: dict[str, list[Tensor]] = {}

    def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # A copy, as an activation that works in place may reuse the memory.
        seen[names[module]] = inputs[0].detach().clone()

    hooks = [module.register_forward_pre_hook(keep) for module in names]
    try:
        with torch.no_grad(), evaluation_mode(model):
            for batch in torch.split(x, batch_size):
                model(batch)
                for name, values in seen.items():
                    if values.ndim < 2 or len(values) != len(batch):
                        raise ValueError(
                            f"the input of {name} has shape {tuple(values.shape)} for {len(batch)} samples; its first "
                            "axis must run over the samples"
                        )
                    found.setdefault(name, []).append(values.flatten(1))
    finally:
        for hook in hooks:
            hook.remove()
    if len(found) < 2:
        raise ValueError(
            f"{type(model).__name__} calls {len(found)} linear or convolutional layers; hidden features lie between two"
        )
    return {layer: torch.cat(found[following]) for layer, following in pairwise(found)}
