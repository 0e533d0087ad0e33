"""Stacks of networks that are a chain of linear layers and elementwise functions, by explicit batched products.

For a network of a hundred thousand parameters or less, what autograd, its graph and the optimiser's many small tensors cost exceeds
the arithmetic. A chain needs no graph. With x_0 the inputs, h_l = m_l x_{l-1} W_l^T + c_l b_l and x_l = phi_l(h_l), backpropagation
is three products a layer, each of all networks in one call and into memory that every step uses again:

    g_l = dL/dh_l,   dL/dW_l = m_l g_l^T x_{l-1},   dL/db_l = c_l 1^T g_l,   dL/dx_{l-1} = m_l g_l W_l.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lazyrich.models.layers import Linear
from lazyrich.training import objective
from lazyrich.training.elementwise import Elementwise
from lazyrich.training.samples import Batch
from lazyrich.training.stack import Stack

Step = nn.Linear | Callable[[Tensor], Tensor]


def chain_of(module: nn.Module) -> list[Step] | None:
    """The steps that ``module.chain()`` gives, if they can be stacked here, else None.

    ``module(x)`` must be those steps applied in turn to ``x.flatten(1)``. Steps are linear layers (``nn.Linear`` or that of
    :mod:`lazyrich.models.layers`), one of them first, no layer twice, together holding all parameters; and differentiable
    elementwise functions that leave their argument as it is.
    """
    give = getattr(module, "chain", None)
    if give is None:
        return None
    steps = give()
    layers = [step for step in steps if isinstance(step, nn.Linear)]
    held = [parameter for layer in layers for parameter in layer.parameters()]
    plain = bool(layers) and steps[0] is layers[0] and all(type(layer) in (nn.Linear, Linear) for layer in layers)
    complete = len(held) == len(set(held)) and set(held) == set(module.parameters()) and not [*module.buffers()]
    return steps if plain and complete and all(parameter.requires_grad for parameter in held) else None


class Chained(Stack):
    """A stack of chains (see :func:`chain_of`)."""

    least = 1

    def _prepare(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        names = {parameter: name for name, parameter in self._single.named_parameters()}
        self._steps: list[Product | Elementwise] = []
        for step in chain_of(self._single) or ():
            if isinstance(step, nn.Linear):
                own = [names[parameter] for parameter in step.parameters()]
                self._steps.append(Product(step, [values[name] for name in own], [gradients[name] for name in own]))
            else:
                # What a product has written is read by nobody else, but what a function has written is, by its pullback.
                self._steps.append(Elementwise(step, overwrite=isinstance(self._steps[-1], Product)))

    def differentiate(self, batch: Batch, loss: str) -> None:
        values = batch.inputs.flatten(2)
        for step in self._steps:
            values = step.forward(values)
        gradient = objective.output_gradient(loss, values, batch)
        for step in reversed(self._steps):
            step.differentiate(gradient)
            if step is not self._steps[0]:  # nobody asks for the gradient at the inputs of the network
                gradient = step.backward(gradient)


class Product:
    """h = m x W^T + c b of all networks: x (s, B, in), W (s, out, in), b (s, out), h (s, B, out)."""

    def __init__(self, layer: nn.Linear, values: list[Tensor], gradients: list[Tensor]) -> None:
        self._weight, *biases = values
        self._weight_gradient, *bias_gradients = gradients
        self._bias, self._bias_gradient = (part[0][:, None] if part else None for part in (biases, bias_gradients))
        self._multiplier = getattr(layer, "multiplier", 1.0)
        self._bias_multiplier = getattr(layer, "bias_multiplier", 1.0)
        self._outputs = self._upstream = self._weight.new_empty(0)

    def forward(self, inputs: Tensor) -> Tensor:
        shape = (*inputs.shape[:2], self._weight.shape[1])
        if self._outputs.shape != shape:
            self._outputs = inputs.new_empty(shape)
            # Nobody reads the outputs any more when dL/dx is written: what fits there stays in the cache.
            self._upstream = self._outputs if inputs.shape == shape else torch.empty_like(inputs)
        self._inputs = inputs
        multiply(self._outputs, inputs, self._weight.mT, self._multiplier)
        if self._bias is not None:
            self._outputs.add_(self._bias, alpha=self._bias_multiplier)
        return self._outputs

    def differentiate(self, gradient: Tensor) -> None:
        """Set dL/dW and dL/db from dL/dh."""
        multiply(self._weight_gradient, gradient.mT, self._inputs, self._multiplier)
        if self._bias_gradient is not None:
            ones = gradient.new_ones(()).expand(len(gradient), 1, gradient.shape[1])
            multiply(self._bias_gradient, ones, gradient, self._bias_multiplier)

    def backward(self, gradient: Tensor) -> Tensor:
        """dL/dx from dL/dh."""
        return multiply(self._upstream, gradient, self._weight, self._multiplier)


def multiply(out: Tensor, left: Tensor, right: Tensor, factor: float) -> Tensor:
    """out = factor * left @ right, (s, m, k) by (s, k, n), with the same bits for a network whatever the number s of networks.

    A single product with an axis of length 1 is a matrix times a vector, and computed in another order than the same product
    among others, so that it is computed with a copy. (Measured on a CPU: bits differ for such shapes and for no others.)
    """
    if len(out) == 1 and 1 in (*left.shape[1:], out.shape[2]):
        twice = out.new_empty(2, *out.shape[1:])
        return out.copy_(multiply(twice, left.expand(2, -1, -1), right.expand(2, -1, -1), factor)[:1])
    return out.baddbmm_(left, right, beta=0, alpha=factor)  # beta 0: what is in `out`, be it NaN, is ignored
