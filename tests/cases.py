"""One list of networks on which every implementation of an object is compared with every other.

Each case is small enough for an explicit loop over samples, outputs and parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lazyrich.models import resnet, vit
from lazyrich.models.layers import Linear


@dataclass(frozen=True)
class Case:
    """A network, the shape of one input, and its number of outputs."""

    name: str
    build: Callable[[], nn.Module]
    input_shape: tuple[int, ...]
    outputs: int
    dtype: torch.dtype = torch.float64
    #: Of networks that take whole numbers: how many there are.
    tokens: int | None = None

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
        if self.tokens is not None:
            return torch.randint(self.tokens, (samples, *self.input_shape), generator=generator)
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
        nn.ELU(inplace=True),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def grouped_convolutions() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, (3, 2), stride=(2, 1), padding=(1, 0), groups=2),
        nn.GELU(),
        nn.Conv2d(4, 4, 3, padding="same", padding_mode="reflect"),
        nn.Tanh(),
        nn.Conv2d(4, 4, 3, groups=4, dilation=2, bias=False),
        nn.MaxPool2d(1),
        nn.Conv2d(4, 2, 1, padding="valid"),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(2, 2),
    )


def sequence_convolution() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(3, 4, 3, stride=2, padding=1), nn.BatchNorm1d(4), nn.SiLU(), nn.Conv1d(4, 2, 2, groups=2), nn.Flatten(),
        nn.Linear(6, 2),
    )  # fmt: skip


def few_pixels() -> nn.Module:
    """Few positions and many channels: pairing positions is cheaper than forming gradients."""
    return nn.Sequential(
        nn.Conv2d(6, 12, 3, stride=2, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2, bias=False)
    )


def group_normalised() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Tanh(), nn.Flatten(2), nn.RMSNorm(4), nn.Linear(4, 3), nn.Flatten(),
        nn.Linear(12, 2),
    )  # fmt: skip


class TokenEmbedding(nn.Module):
    """Embedded tokens, one of which is padding, with learned positions."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(5, 3, padding_idx=0)
        self.positions = nn.Parameter(torch.empty(4, 3))
        self.readout = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(torch.tanh(self.tokens(x) + self.positions).sum(1))


class TiedEmbedding(nn.Module):
    """One table read by rows at the input and multiplied with at the output."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(torch.tanh(self.tokens(x)).mean(1), self.tokens.weight)


class Attention(nn.Module):
    """Multi-head attention over positions, with a causal mask, whose weights are returned and used."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.readout = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        mask = torch.ones(3, 3, dtype=torch.bool).triu(1)
        mixed, shares = self.attention(x, x, x, attn_mask=mask)
        return self.readout(mixed.sum(1)) * shares[:, 2, :1]


def transformer_layer() -> nn.Module:
    layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.1, batch_first=True, norm_first=True)
    return nn.Sequential(layer, nn.Flatten(), nn.Linear(12, 2))


class PatchTransformer(nn.Module):
    """A vision transformer in small: patches, a class token, positions, one layer with positions first, a readout."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 4, 2, stride=2)
        self.class_token = nn.Parameter(torch.empty(1, 1, 4))
        self.positions = nn.Parameter(torch.empty(1, 5, 4))
        self.layer = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0)
        self.readout = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.class_token.expand(len(x), -1, -1), patches], dim=1) + self.positions
        return self.readout(self.layer(tokens.transpose(0, 1))[0])


class TransposedAndSliced(nn.Module):
    """Parameters used through views: a matrix and its transpose, two halves of one matrix, one row twice."""

    def __init__(self) -> None:
        super().__init__()
        self.square = nn.Parameter(torch.empty(4, 4))
        self.halves = nn.Parameter(torch.empty(8, 4))
        self.shift = nn.Parameter(torch.empty(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(x @ self.square + self.shift[0])
        x = torch.tanh(nn.functional.linear(x, self.square.T) - 2.0 * self.shift[0] + self.shift[1] / 3)
        first, second = self.halves.chunk(2)
        return ((x @ first.T) * torch.sigmoid(nn.functional.linear(x, second)))[:, :2]


class MergedPositions(nn.Module):
    """Positions and samples along one axis inside of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Tanh())
        self.readout = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(self.inner(x.flatten(0, 1)).reshape(len(x), 8))


class LearnedScales(nn.Module):
    """A number for everything, one for each feature, one in place; and a parameter that nothing depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.empty(()))
        self.per_feature = nn.Parameter(torch.empty(3))
        self.shift = nn.Parameter(torch.empty(1))
        self.unused = nn.Parameter(torch.empty(2))
        self.readout = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.scale * x) * -self.per_feature
        x += self.shift
        return self.readout(1.0 - torch.tanh(x)) + self.per_feature.detach()[:2]


class SeparateHeads(nn.Module):
    """Two outputs, each from a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 1)
        self.second = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.first(x), self.second(x)], dim=1)


class PowersOfParameter(nn.Module):
    """A parameter in an exponent beside layers that are known."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.exponent = nn.Parameter(torch.empty(3))
        self.readout = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.readout(torch.exp(self.exponent) * torch.sigmoid(self.layer(x)))


class Doubled(nn.Module):
    """A bilinear layer of its input with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Bilinear(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x, x)


def transposed_convolution() -> nn.Module:
    return nn.Sequential(nn.ConvTranspose2d(2, 3, 2), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2))


def own_resnet() -> nn.Module:
    """The library's residual network, with biases, one block a stage."""
    return resnet.build(
        {"width": 2, "hidden_layers": 1, "activation": "tanh", "parametrization": "mup", "bias": True}, (1, 4, 4), 2
    )


def own_transformer() -> nn.Module:
    """The library's vision transformer, with biases, two blocks and two heads."""
    return vit.build(
        {"width": 4, "heads": 2, "patch": 2, "activation": "gelu", "parametrization": "mup", "bias": True}, (2, 4, 4), 2
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
    Case("strides, dilation and groups", grouped_convolutions, (2, 9, 9), 2),
    Case("convolution of sequences", sequence_convolution, (3, 8), 2),
    Case("wide convolution of few pixels", few_pixels, (6, 4, 4), 2),
    Case("group normalisation", group_normalised, (2, 4, 4), 2),
    Case("embedding", TokenEmbedding, (4,), 2, tokens=5),
    Case("embedding tied to the readout", TiedEmbedding, (3,), 5, tokens=5),
    Case("attention", Attention, (3, 4), 2),
    Case("transformer layer", transformer_layer, (3, 4), 2),
    Case("vision transformer", PatchTransformer, (1, 4, 4), 3),
    Case("our residual convolution network", own_resnet, (1, 4, 4), 2),
    Case("our vision transformer", own_transformer, (2, 4, 4), 2),
    Case("transposed and sliced parameters", TransposedAndSliced, (4,), 2),
    Case("positions merged into samples", MergedPositions, (2, 3), 2),
    Case("one value for everything", LearnedScales, (3,), 2),
    Case("an output apart from the rest", SeparateHeads, (4,), 2),
)

#: Networks with parameters that only automatic differentiation knows what to do with, and the names of these.
UNKNOWN_LAYERS: tuple[tuple[Case, frozenset[str]], ...] = (
    (Case("powers of a parameter", PowersOfParameter, (3,), 2), frozenset({"exponent"})),
    (
        Case("bilinear", lambda: nn.Sequential(Doubled(), nn.Linear(3, 2)), (4,), 2),
        frozenset({"0.layer.weight", "0.layer.bias"}),
    ),
    (Case("transposed convolution", transposed_convolution, (2, 3, 3), 2), frozenset({"0.weight", "0.bias"})),
)
