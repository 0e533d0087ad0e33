"""How PyTorch's functions use the parameters that they are given."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from lazyrich.kernels.layerwise.attention import multi_head_attention
from lazyrich.kernels.layerwise.tracing import UNKNOWN, Rule, Trace
from lazyrich.kernels.layerwise.uses import (
    BatchNormalizationUse,
    ConvolutionUse,
    ElementwiseUse,
    LinearUse,
    LookupUse,
    Use,
)
from lazyrich.kernels.layerwise.views import View


def linear(trace: Trace, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> object:
    if trace.tracked.view(input):
        return UNKNOWN
    view = trace.tracked.view(weight)
    uses: list[Use] = [] if view is None else [LinearUse(view, input.detach())]
    return trace.probe(F.linear(input, weight, bias), [*uses, *_addends(trace, bias)])


def matmul(trace: Trace, input: Tensor, other: Tensor) -> object:
    if trace.tracked.view(other) is None or other.ndim != 2:
        return UNKNOWN
    with trace:
        transposed = other.t()
    return linear(trace, input, transposed)


def convolution_2d(
    trace: Trace, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> object:  # fmt: skip
    if trace.tracked.view(input) or input.ndim != 4:
        return UNKNOWN
    output = F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    stride, dilation = _pair(stride), _pair(dilation)
    view = trace.tracked.view(weight)
    uses: list[Use] = []
    if view is not None:
        padded = _padding(padding, tuple(weight.shape[2:]), dilation)
        if padded is None:
            return UNKNOWN
        uses.append(
            ConvolutionUse(view, input.detach(), stride=stride, padding=padded, dilation=dilation, groups=groups)
        )
    return trace.probe(output, [*uses, *_addends(trace, bias, (1, 1))])


def convolution_1d(
    trace: Trace, input: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> object:  # fmt: skip
    """As a convolution of images one pixel high."""
    if trace.tracked.view(input) or input.ndim != 3:
        return UNKNOWN
    flat = [(a if isinstance(a, int) else a[0]) if not isinstance(a, str) else a for a in (stride, padding, dilation)]
    if isinstance(flat[1], str):
        return UNKNOWN
    with trace:
        tall = weight.unsqueeze(2)
    output = convolution_2d(trace, input.unsqueeze(2), tall, bias, (1, flat[0]), (0, flat[1]), (1, flat[2]), groups)
    return output if output is UNKNOWN else output.squeeze(2)  # type: ignore[attr-defined]


def embedding(
    trace: Trace, input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> object:  # fmt: skip
    view = trace.tracked.view(weight)
    if view is None or max_norm is not None or scale_grad_by_freq:
        return UNKNOWN
    padding = None if padding_idx is None else padding_idx % len(weight)
    return trace.probe(F.embedding(input, weight), [LookupUse(view, input, padding=padding)])


def layer_norm(
    trace: Trace, input: Tensor, normalized_shape: Any, weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> object:  # fmt: skip
    return _affine(trace, input, F.layer_norm(input, normalized_shape, eps=eps), weight, bias, 0)


def rms_norm(
    trace: Trace, input: Tensor, normalized_shape: Any, weight: Tensor | None = None, eps: Any = None
) -> object:
    return _affine(trace, input, F.rms_norm(input, normalized_shape, eps=eps), weight, None, 0)


def group_norm(
    trace: Trace,
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> object:
    return _affine(trace, input, F.group_norm(input, num_groups, eps=eps), weight, bias, input.ndim - 2)


def batch_norm(
    trace: Trace, input: Tensor, running_mean: Tensor | None, running_var: Tensor | None, weight: Tensor | None = None,
    bias: Tensor | None = None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> object:  # fmt: skip
    if training or running_mean is None:
        return UNKNOWN
    if trace.tracked.view(input) or running_var is None:
        return UNKNOWN
    output = F.batch_norm(input, running_mean, running_var, weight, bias, eps=eps)
    uses: list[Use] = []
    view = trace.tracked.view(weight)
    if view is not None:
        deviation = torch.sqrt(running_var + eps)
        uses.append(BatchNormalizationUse(view, input.detach(), mean=running_mean, deviation=deviation))
    return trace.probe(output, [*uses, *_addends(trace, bias, (1,) * (input.ndim - 2))])


def _affine(
    trace: Trace, input: Tensor, normalized: Tensor, weight: Tensor | None, bias: Tensor | None, trailing: int
) -> object:
    """normalized * weight + bias, whose axes stand before `trailing` others."""
    if trace.tracked.view(input):
        return UNKNOWN
    output = normalized
    if weight is not None:
        output = output * weight.reshape(*weight.shape, *[1] * trailing)
    if bias is not None:
        output = output + bias.reshape(*bias.shape, *[1] * trailing)
    uses: list[Use] = []
    view = trace.tracked.view(weight)
    if view is not None:
        uses.append(ElementwiseUse(_trailing(view, (1,) * trailing), normalized.detach()))
    return trace.probe(output, [*uses, *_addends(trace, bias, (1,) * trailing)])


def add(trace: Trace, input: Any, other: Any, *, alpha: float = 1, **kwargs: Any) -> object:
    return UNKNOWN if kwargs else _sum(trace, torch.add, input, other, 1.0, float(alpha))


def add_in_place(trace: Trace, input: Any, other: Any, *, alpha: float = 1) -> object:
    return _sum(trace, torch.Tensor.add_, input, other, 1.0, float(alpha))


def subtract(trace: Trace, input: Any, other: Any, *, alpha: float = 1, **kwargs: Any) -> object:
    return UNKNOWN if kwargs else _sum(trace, torch.sub, input, other, 1.0, -float(alpha))


def subtract_from(trace: Trace, input: Any, other: Any) -> object:
    return _sum(trace, torch.sub, other, input, 1.0, -1.0)


def _sum(trace: Trace, function: Any, left: Any, right: Any, left_sign: float, right_sign: float) -> object:
    """left_sign * left + right_sign * right, as `function` computes it."""
    alpha = {} if abs(right_sign) == 1.0 else {"alpha": abs(right_sign)}
    uses = [*_addends(trace, left, factor=left_sign), *_addends(trace, right, factor=right_sign)]
    if function is torch.Tensor.add_ and trace.tracked.view(left):
        return UNKNOWN
    return trace.probe(function(left, right, **alpha), uses)


def multiply(trace: Trace, input: Any, other: Any, **kwargs: Any) -> object:
    left, right = trace.tracked.view(input), trace.tracked.view(other)
    if kwargs or (left is not None and right is not None):
        return UNKNOWN
    view, factor = (left, other) if left is not None else (right, input)
    product = torch.mul(input, other)
    if view is None:
        return UNKNOWN
    if _number(factor) is not None:
        return trace.tracked.scaled(product, view, _number(factor) or 0.0)
    return trace.probe(product, [ElementwiseUse(_contracted(view), factor.detach())])


def divide(trace: Trace, input: Any, other: Any, **kwargs: Any) -> object:
    view, number = trace.tracked.view(input), _number(other)
    if kwargs or view is None or not number:
        return UNKNOWN
    return trace.tracked.scaled(torch.div(input, other), view, 1.0 / number)


def negate(trace: Trace, input: Tensor) -> object:
    view = trace.tracked.view(input)
    return UNKNOWN if view is None else trace.tracked.scaled(-input, view, -1.0)


def convert(trace: Trace, input: Tensor, *args: Any, **kwargs: Any) -> object:
    result = input.to(*args, **kwargs)
    return result if result is input else UNKNOWN


def concatenate(trace: Trace, tensors: Any, dim: int = 0, **kwargs: Any) -> object:
    dim = kwargs.get("axis", dim)
    parts = [trace.probe(part.clone(), _addends(trace, part)) if trace.tracked.view(part) else part for part in tensors]
    return torch.cat(parts, dim)


def _addends(trace: Trace, thing: Any, trailing: tuple[int, ...] = (), factor: float = 1.0) -> list[Use]:
    """The use of `thing`, if it is a parameter, as something that is added, with `trailing` axes behind its own."""
    view = trace.tracked.view(thing)
    if view is None:
        return []
    scaled = View(view.name, view.size, view.shape, view.scale * factor, view.index)
    return [ElementwiseUse(_contracted(_trailing(scaled, trailing)), torch.empty(0))]


def _trailing(view: View, axes: tuple[int, ...]) -> View:
    if not axes:
        return view
    index = None if view.index is None else view.index.reshape(*view.shape, *axes)
    return View(view.name, view.size, (*view.shape, *axes), view.scale, index)


def _contracted(view: View) -> View:
    """The view before it was expanded: one entry along each axis along which all are the same."""
    index = view.index
    if index is None:
        return view
    for axis, size in enumerate(index.shape):
        first = index.narrow(axis, 0, 1)
        if size > 1 and bool((index == first).all()):
            index = first
    return View(view.name, view.size, tuple(index.shape), view.scale, index)


def _number(thing: Any) -> float | None:
    return float(thing) if isinstance(thing, int | float) and math.isfinite(thing) else None


def _pair(value: Any) -> tuple[int, int]:
    first, *rest = (value, value) if isinstance(value, int) else (*value, *value)
    return first, rest[0]


def _padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, int]) -> tuple[int, int] | None:
    """Zeros before (and after) the rows and columns; None if they are not the same before and after."""
    if padding == "valid":
        return (0, 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        return None if any(t % 2 for t in total) else (total[0] // 2, total[1] // 2)
    return _pair(padding)


RULES: dict[Any, Rule] = {
    F.linear: linear, torch.matmul: matmul, torch.Tensor.matmul: matmul, torch.Tensor.__matmul__: matmul, torch.mm: matmul,
    F.conv2d: convolution_2d, F.conv1d: convolution_1d, F.embedding: embedding,
    F.layer_norm: layer_norm, F.rms_norm: rms_norm, F.group_norm: group_norm, F.batch_norm: batch_norm,
    torch.add: add, torch.Tensor.add: add, torch.Tensor.__add__: add, torch.Tensor.__radd__: add,
    torch.Tensor.add_: add_in_place, torch.Tensor.__iadd__: add_in_place,
    torch.sub: subtract, torch.Tensor.sub: subtract, torch.Tensor.__sub__: subtract, torch.Tensor.__rsub__: subtract_from,
    torch.mul: multiply, torch.Tensor.mul: multiply, torch.Tensor.__mul__: multiply, torch.Tensor.__rmul__: multiply,
    torch.div: divide, torch.Tensor.div: divide, torch.Tensor.__truediv__: divide,
    torch.neg: negate, torch.Tensor.neg: negate, torch.Tensor.__neg__: negate,
    torch.Tensor.to: convert, torch.cat: concatenate, F.multi_head_attention_forward: multi_head_attention,
}  # fmt: skip
