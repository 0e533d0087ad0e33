"""Pre-activation tangent kernel (PTK): how alike two samples' gradients are at what leaves a layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lazyrich.kernels.gram import gram_matrix
from lazyrich.models.evaluation_mode import evaluation_mode
from lazyrich.models.features import submodule


def preactivation_tangent_kernel(
    model: nn.Module,
    layer: str,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    batch_size: int = 512,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """PTK(x, x') = (1/C) sum_c grad_h f_c(x) . grad_h f_c(x'), with h what leaves `layer`, all its axes together.

    For a layer h = W z that acts once per sample, the layer's share in the NTK is PTK(x, x') (z . z'): the product, entry by entry,
    with the conjugate kernel of the same layer.

    Args:
        layer: name of a submodule that is called once in a pass and returns a tensor with samples along the first axis.
        x1, x2: inputs (n1, ...) and (n2, ...); `x2=None` means `x1`, and the result then equals its transpose bit by bit.
        batch_size: samples in one pass.
        dtype: type of the product; by default that of the gradients.

    Returns:
        (n1, n2). The paper sums over the C outputs: multiply by C.

    Raises:
        ValueError: if there is no such layer, or it is not called exactly once.

    Source: Beaglehole et al., arXiv 2402.05271, section 2.
    """
    module = submodule(model, layer)
    left = _gradients(model, module, x1, batch_size, dtype)
    right = None if x2 is None else _gradients(model, module, x2, batch_size, dtype).flatten(1)
    return gram_matrix(left.flatten(1), right) / left.shape[1]


def _gradients(model: nn.Module, layer: nn.Module, x: Tensor, batch_size: int, dtype: torch.dtype | None) -> Tensor:
    """grad_h f_c, (n, C, entries of h)."""
    leaves: list[Tensor] = []

    def cut(_: nn.Module, __: object, output: Tensor) -> Tensor:
        # Everything before h is cut off; a copy, as the next layer may work in place.
        leaves.append(output.detach().requires_grad_())
        return leaves[-1].clone()

    parts = []
    hook = layer.register_forward_hook(cut)
    try:
        with torch.enable_grad(), evaluation_mode(model):
            for batch in torch.split(x, batch_size):
                leaves.clear()
                outputs = model(batch).reshape(len(batch), -1)
                if len(leaves) != 1:
                    raise ValueError(
                        f"the layer is called {len(leaves)} times in a pass; its pre-activation is not one tensor"
                    )
                parts.append(_of_each_output(outputs, leaves[0]))
    finally:
        hook.remove()
    found = torch.cat(parts)
    return found if dtype is None else found.to(dtype)


def _of_each_output(outputs: Tensor, leaf: Tensor) -> Tensor:
    classes = outputs.shape[1]
    gradients = [
        torch.autograd.grad(outputs[:, c].sum(), leaf, retain_graph=c < classes - 1)[0] for c in range(classes)
    ]
    return torch.stack([gradient.flatten(1) for gradient in gradients], 1)
