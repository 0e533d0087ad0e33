"""Multi-head attention, written out in functions whose use of parameters is known."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lazyrich.kernels.layerwise.tracing import UNKNOWN, Trace


def multi_head_attention(
    trace: Trace, query: Tensor, key: Tensor, value: Tensor, embed_dim_to_check: int, num_heads: int,
    in_proj_weight: Tensor | None, in_proj_bias: Tensor | None, bias_k: Tensor | None, bias_v: Tensor | None,
    add_zero_attn: bool, dropout_p: float, out_proj_weight: Tensor, out_proj_bias: Tensor | None, training: bool = True,
    key_padding_mask: Tensor | None = None, need_weights: bool = True, attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False, q_proj_weight: Tensor | None = None, k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None, static_k: Tensor | None = None, static_v: Tensor | None = None,
    average_attn_weights: bool = True, is_causal: bool = False,
) -> object:  # fmt: skip
    """softmax(Q K^T / sqrt(e)) V per head, as `torch.nn.MultiheadAttention` calls it: (positions, samples, features)."""
    unusual = (bias_k, bias_v, key_padding_mask, static_k, static_v, *trace.tracked.among(query, key, value))
    if (
        any(thing is not None for thing in unusual)
        or add_zero_attn
        or training
        or query.ndim != 3
        or not average_attn_weights
    ):
        return UNKNOWN
    with trace:
        weights = (q_proj_weight, k_proj_weight, v_proj_weight) if use_separate_proj_weight else in_proj_weight.chunk(3)  # type: ignore[union-attr]
        biases: Any = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
        q, k, v = (
            _heads(F.linear(part, weight, bias), num_heads)  # type: ignore[arg-type]
            for part, weight, bias in zip((query, key, value), weights, biases, strict=True)
        )
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if attn_mask is not None:
            scores = _masked(scores, attn_mask)
        shares = scores.softmax(-1)
        joined = (shares @ v).permute(2, 0, 1, 3).flatten(2)
        output = F.linear(joined, out_proj_weight, out_proj_bias)
    return output, shares.mean(1) if need_weights else None


def _heads(tensor: Tensor, heads: int) -> Tensor:
    """(positions, samples, features) as (samples, heads, positions, features of a head)."""
    return tensor.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3)


def _masked(scores: Tensor, mask: Tensor) -> Tensor:
    if mask.ndim == 3:
        mask = mask.reshape(scores.shape)
    return scores.masked_fill(mask, float("-inf")) if mask.dtype == torch.bool else scores + mask
