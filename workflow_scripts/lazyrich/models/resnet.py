"""A small residual network with pre-activation, for images of any size from 4x4 up.

conv 3x3 (channels -> N); three stages of `hidden_layers` blocks with N, 2N and 4N channels, between them average pooling 2x2 and
conv 1x1 to twice the channels; phi, average over all pixels, readout. A block is

    x + L^(-1/2) conv(phi(conv(phi(x)))),    L = 3 hidden_layers blocks in all,

the pre-activation of He et al. (arXiv 1603.05027) with the branch scale of Bordelon et al. (arXiv 2309.16620), at which the
stream keeps its size, and features move as fast, at any depth. That scale takes the place of normalisation. Batch
normalisation would need buffers, which checkpoints do not hold, and while training would make the output for one sample depend on the
others, so that there would be no tangent kernel of samples.
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
STAGES = 3


class Block(nn.Module):
    """x + scale * conv(phi(conv(phi(x)))), on images (n, channels, height, width)."""

    def __init__(
        self,
        channels: int,
        scale: float,
        activation: Callable[[Tensor], Tensor],
        parametrization: Parametrization,
        bias: bool,
    ) -> None:
        super().__init__()
        self.scale, self.activation = scale, activation
        self.first = _convolution(channels, channels, KERNEL_SIZE, bias, parametrization)
        self.second = _convolution(channels, channels, KERNEL_SIZE, bias, parametrization)

    def forward(self, inputs: Tensor) -> Tensor:
        branch = self.second(self.activation(self.first(self.activation(inputs))))
        return inputs + self.scale * branch


class ResNet(nn.Module):
    """A stem, three stages of residual blocks, and a readout: (n, channels, height, width) to (n, outputs)."""

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        outputs: int,
        width: int,
        hidden_layers: int,
        activation: Callable[[Tensor], Tensor],
        parametrization: Parametrization,
        bias: bool = False,
    ) -> None:
        super().__init__()
        channels = [width * 2**stage for stage in range(STAGES)]
        scale = (STAGES * hidden_layers) ** -0.5
        self.activation = activation
        self.stem = _convolution(input_shape[0], width, KERNEL_SIZE, bias, parametrization)
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(count, scale, activation, parametrization, bias) for _ in range(hidden_layers)))
            for count in channels
        )
        self.transitions = nn.ModuleList(
            _convolution(count, 2 * count, 1, bias, parametrization) for count in channels[:-1]
        )
        self.readout = Linear(channels[-1], outputs, bias, **parametrization.readout(channels[-1]))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all parameters from `generator`, in the order in which the layers are defined."""
        for layer in self.modules():
            if isinstance(layer, Conv2d | Linear):
                layer.reset_parameters(generator)

    def forward(self, inputs: Tensor) -> Tensor:
        first, *others = self.stages
        stream = first(self.stem(inputs))
        for transition, stage in zip(self.transitions, others, strict=True):
            stream = stage(transition(nn.functional.avg_pool2d(stream, POOLING)))
        return self.readout(self.activation(stream).mean((2, 3)))


def _convolution(inputs: int, outputs: int, size: int, bias: bool, parametrization: Parametrization) -> Conv2d:
    """A convolution whose fan_in, in every parametrization, is that of the whole patch.

    With fan_in = channels, as the CNN has it in ntk and mup, a 3x3 convolution multiplies the variance by nine, and a block by up to 81:
    too much where blocks follow each other. A constant factor does not matter to how anything scales with width.
    """
    return Conv2d(inputs, outputs, size, bias, **parametrization.hidden(inputs * size**2))


def build(spec: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int) -> ResNet:
    """A residual network whose parameters are still to be drawn (`reset_parameters`), for inputs (channels, height, width).

    Keys of `spec`: width (N above); hidden_layers (blocks in each of the three stages, 2); activation (relu); parametrization
    (standard), gamma (1) and init_scale (1), see `lazyrich.models.parametrization`; bias (false). Of an odd height or width, pooling leaves
    out the last row or column. Raises ValueError on a value that is not allowed and on inputs that are not images of at least 4x4
    pixels.
    """
    return ResNet(
        input_shape=image_shape(input_shape, POOLING ** (STAGES - 1), "resnet"),
        outputs=outputs,
        width=whole_number(spec, "width"),
        hidden_layers=whole_number(spec, "hidden_layers", 2),
        activation=ACTIVATIONS[choice(spec, "activation", ACTIVATIONS, "relu")],
        parametrization=Parametrization.from_spec(spec),
        bias=flag(spec, "bias", False),
    )
