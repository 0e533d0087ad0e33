"""Multilayer perceptron: hidden layers of one width, then a linear readout."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lazyrich.models.activations import ACTIVATIONS
from lazyrich.models.layers import Linear
from lazyrich.models.parametrization import Parametrization
from lazyrich.specification import choice, flag, whole_number


class MLP(nn.Module):
    """f(x) = readout(phi(hidden_L(... phi(hidden_1(x))))), from x of shape (n, ...), flattened, to (n, outputs)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        width: int,
        hidden_layers: int,
        activation: Callable[[Tensor], Tensor],
        parametrization: Parametrization,
        bias: bool = False,
    ) -> None:
        super().__init__()
        sizes = [inputs] + [width] * hidden_layers
        self.activation = activation
        self.hidden = nn.ModuleList(
            Linear(fan_in, fan_out, bias, **parametrization.hidden(fan_in))
            for fan_in, fan_out in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.readout = Linear(sizes[-1], outputs, bias, **parametrization.readout(sizes[-1]))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all parameters from `generator`, in the order of the layers."""
        for layer in [*self.hidden, self.readout]:
            layer.reset_parameters(generator)

    def chain(self) -> list[Callable[[Tensor], Tensor]]:
        """The steps from flattened inputs to outputs; training multiplies out many networks at once by them."""
        return [*(step for layer in self.hidden for step in (layer, self.activation)), self.readout]

    def forward(self, inputs: Tensor) -> Tensor:
        values = inputs.flatten(1)
        for step in self.chain():
            values = step(values)
        return values


def build(spec: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int) -> MLP:
    """An MLP whose parameters are still to be drawn (`reset_parameters`).

    Keys of `spec`: width; hidden_layers (default 2); activation (relu); parametrization (standard), gamma (1) and
    init_scale (1), see `lazyrich.models.parametrization`; bias (false). ValueError on a value that is not allowed.
    """
    return MLP(
        inputs=math.prod(input_shape),
        outputs=outputs,
        width=whole_number(spec, "width"),
        hidden_layers=whole_number(spec, "hidden_layers", 2),
        activation=ACTIVATIONS[choice(spec, "activation", ACTIVATIONS, "relu")],
        parametrization=Parametrization.from_spec(spec),
        bias=flag(spec, "bias", False),
    )
