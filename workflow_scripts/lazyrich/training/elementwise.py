"""Elementwise functions of a chain, forward and backward."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from lazyrich.models.activations import linear

#: For functions phi whose derivative is a function of a = phi(h): a from h, and dL/dh from dL/da and a, both in place.
IN_PLACE: dict[Callable, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    torch.relu: (torch.relu_, lambda g, a: torch.ops.aten.threshold_backward.grad_input(g, a, 0, grad_input=g)),
    torch.tanh: (torch.tanh_, lambda g, a: torch.ops.aten.tanh_backward.grad_input(g, a, grad_input=g)),
    linear: (lambda h: h, lambda g, a: g),
}


class Elementwise:
    """a = phi(h), and dL/dh from dL/da, of any differentiable elementwise phi.

    dL/da may be overwritten, and h too if ``overwrite`` says so.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], overwrite: bool) -> None:
        self._function = function
        self._in_place = IN_PLACE.get(function) if overwrite else None

    def forward(self, values: Tensor) -> Tensor:
        if self._in_place:
            self._outputs = self._in_place[0](values)
            return self._outputs
        with torch.enable_grad():
            self._inputs = values.detach().requires_grad_()
            self._outputs = self._function(self._inputs)
        return self._outputs.detach()

    def differentiate(self, gradient: Tensor) -> None:
        """Nothing to do: there are no parameters."""

    def backward(self, gradient: Tensor) -> Tensor:
        if self._in_place:
            return self._in_place[1](gradient, self._outputs)
        return torch.autograd.grad(self._outputs, self._inputs, gradient)[0]
