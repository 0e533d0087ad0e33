"""One list of networks on which every implementation of an object is compared with every other.

Each case is small enough for an explicit loop over samples, outputs and parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lazyrich.models.layers import Linear


@dataclass(frozen=True)
class Case:
    """A network, the shape of one input, and its number of outputs."""

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    outputs: int
    dtype: torch.dtype = torch.float64

    def model(self, seed: int = 0) -> nn.Module:
        """The network with weights of `seed`, in train mode, in the case's type."""
        model = self.build().to(self.dtype)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                fan_in = parameter.shape[1:].numel() if parameter.dim() > 1 else 4
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / fan_in**0.5)
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    # Positive: among the buffers are variances.
                    buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=torch.float64))
        return model

    def inputs(self, samples: int, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn((samples, *self.input_shape), generator=generator, dtype=torch.float64).to(self.dtype)

    def linear_layers(self, model: nn.Module) -> list[nn.Linear]:
        return [module for module in model.modules() if isinstance(module, nn.Linear)]


class Residual(nn.Module):
    """A linear layer beside a skip connection, with layer normalisation in front."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.normalisation = nn.LayerNorm(width)
        self.layer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.tanh(self.layer(self.normalisation(x)))


class SharedLayer(nn.Module):
    """One layer called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Linear(5, 5, bias=False)
        self.readout = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(torch.tanh(self.shared(torch.tanh(self.shared(x)))))


def tied_parameter() -> nn.Module:
    """Two layers that hold one parameter."""
    model = nn.Sequential(
        nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False), nn.ReLU(), nn.Linear(4, 1)
    )
    model[2].weight = model[0].weight
    return model


def frozen_first_layer() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 3))
    model[0].requires_grad_(False)
    return model


def multiplied_layers() -> nn.Module:
    """The library's layers, in muP with two outputs."""
    return nn.Sequential(
        Linear(6, 8, multiplier=6**-0.5),
        nn.ReLU(),
        Linear(8, 8, multiplier=8**-0.5),
        nn.ReLU(),
        Linear(8, 2, multiplier=1 / 8),
    )


def convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 3, 3, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(2),
        nn.Conv2d(3, 4, 3, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def mlp(activation: Callable[[], nn.Module], outputs: int, bias: bool = True) -> Callable[[], nn.Module]:
    def build() -> nn.Module:
        return nn.Sequential(
            nn.Linear(5, 7, bias=bias),
            activation(),
            nn.Linear(7, 6, bias=bias),
            activation(),
            nn.Linear(6, outputs, bias=bias),
        )

    return build


CASES: tuple[Case, ...] = (
    Case("relu", mlp(nn.ReLU, 3), (5,), 3),
    Case("relu in place, no bias, scalar", mlp(lambda: nn.ReLU(inplace=True), 1, bias=False), (5,), 1),
    Case("tanh", mlp(nn.Tanh, 2), (5,), 2),
    Case("tanh, float32", mlp(nn.Tanh, 2), (5,), 2, torch.float32),
    Case("multipliers", multiplied_layers, (6,), 2),
    Case("shared layer", SharedLayer, (5,), 2),
    Case("tied parameter", tied_parameter, (4,), 1),
    Case("frozen first layer", frozen_first_layer, (4,), 3),
    Case("residual and layer normalisation", lambda: nn.Sequential(Residual(5), Residual(5), nn.Linear(5, 2)), (5,), 2),
    Case("convolution and batch normalisation", convolutional, (2, 6, 6), 3),
    Case("tokens", lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)), (2, 3), 2),
)
