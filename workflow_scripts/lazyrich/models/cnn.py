"""A small convolutional network, for images of any size.

conv 3x3 (channels -> N), phi, average pooling 2x2, conv 3x3 (N -> 2N), phi, average pooling 2x2, linear (-> 8N), phi,
readout: the layout of the Pehlevan group's public code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lazyrich.models.activations import ACTIVATIONS
from lazyrich.models.images import image_shape
from lazyrich.models.layers import Conv2d, Linear
from lazyrich.models.parametrization import Parametrization
from lazyrich.specification import choice, flag, whole_number

KERNEL_SIZE = 3
POOLING = 2


class CNN(nn.Module):
    """Two convolutions with pooling, one wide linear layer and a readout: (n, channels, height, width) to (n, outputs)."""

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        outputs: int,
        width: int,
        activation: Callable[[Tensor], Tensor],
        parametrization: Parametrization,
        bias: bool = False,
    ) -> None:
        super().__init__()
        channels, rows, columns = input_shape
        field = KERNEL_SIZE**2
        flattened = 2 * width * (rows // POOLING**2) * (columns // POOLING**2)
        self.activation = activation
        self.hidden = nn.ModuleList(
            [
                Conv2d(channels, width, KERNEL_SIZE, bias, **parametrization.hidden(channels, field)),
                Conv2d(width, 2 * width, KERNEL_SIZE, bias, **parametrization.hidden(width, field)),
                Linear(flattened, 8 * width, bias, **parametrization.hidden(flattened)),
            ]
        )
        self.readout = Linear(8 * width, outputs, bias, **parametrization.readout(8 * width))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all parameters from `generator`, in the order of the layers."""
        for layer in [*self.hidden, self.readout]:
            layer.reset_parameters(generator)

    def forward(self, inputs: Tensor) -> Tensor:
        first, second, dense = self.hidden
        features = nn.functional.avg_pool2d(self.activation(first(inputs)), POOLING)
        features = nn.functional.avg_pool2d(self.activation(second(features)), POOLING)
        return self.readout(self.activation(dense(features.flatten(1))))


def build(spec: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int) -> CNN:
    """A CNN whose parameters are still to be drawn (`reset_parameters`), for inputs of shape (channels, height, width).

    Keys of `spec`: width (N above); activation (relu); parametrization (standard), gamma (1) and init_scale (1), see
    `lazyrich.models.parametrization`; bias (false). Of an odd height or width, pooling leaves out the last row or column. Raises
    ValueError on a value that is not allowed and on inputs that are not images of at least 4x4 pixels.
    """
    return CNN(
        input_shape=image_shape(input_shape, POOLING**2, "cnn"),
        outputs=outputs,
        width=whole_number(spec, "width"),
        activation=ACTIVATIONS[choice(spec, "activation", ACTIVATIONS, "relu")],
        parametrization=Parametrization.from_spec(spec),
        bias=flag(spec, "bias", False),
    )
