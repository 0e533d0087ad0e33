"""Conjugate kernel: the Gram matrix of the features in front of the last linear layer, or of another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lazyrich.kernels.gram import gram_matrix
from lazyrich.models.features import layer_inputs, penultimate_features, submodule


def conjugate_kernel(
    model: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    layer: str | None = None,
    batch_size: int = 512,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """CK(x, x') = Phi(x) . Phi(x'), with Phi the post-activations that enter the last `nn.Linear` of `model`, or `layer`.

    Args:
        model: module with a linear readout, if no `layer` is given; evaluated as `layer_inputs` does.
        layer: name of the submodule in front of which the features are taken.
        x1, x2: inputs (n1, ...) and (n2, ...); `x2=None` means `x1`, and the result then equals its transpose bit by
            bit.
        batch_size: samples in one forward pass.
        dtype: type of the product, e.g. `torch.float64` (the features keep that of the model); by default that of the
            features.

    Returns:
        (n1, n2) kernel, neither centred nor divided by the width: multiply by 1/n for the feature operator T on n
        samples.

    Source: Nam et al., arXiv 2410.04264, section 2 (feature operator); Goring et al., arXiv 2507.19680
        (conjugate-kernel strength).
    """
    left = _features(model, x1, layer, batch_size, dtype)
    return gram_matrix(left, None if x2 is None else _features(model, x2, layer, batch_size, dtype))


def _features(model: nn.Module, x: Tensor, layer: str | None, batch_size: int, dtype: torch.dtype | None) -> Tensor:
    if layer is None:
        features = penultimate_features(model, x, batch_size)
    else:
        features = layer_inputs(model, submodule(model, layer), x, batch_size)
    return features if dtype is None else features.to(dtype)
