"""Conjugate kernel: the Gram matrix of the features in front of the last linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lazyrich.models.features import penultimate_features


def conjugate_kernel(
    model: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    batch_size: int = 512,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """CK(x, x') = Phi(x) . Phi(x'), with Phi the post-activations that enter the last `nn.Linear` of `model`.

    Args:
        model: module with a linear readout; evaluated as `penultimate_features` does.
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
    left = _features(model, x1, batch_size, dtype)
    if x2 is not None:
        return left @ _features(model, x2, batch_size, dtype).T
    gram = left @ left.T
    # A general matrix product may round (a, b) and (b, a) differently.
    return torch.triu(gram) + torch.triu(gram, 1).T


def _features(model: nn.Module, x: Tensor, batch_size: int, dtype: torch.dtype | None) -> Tensor:
    features = penultimate_features(model, x, batch_size).detach().flatten(1)
    return features if dtype is None else features.to(dtype)
