"""A small vision transformer: patches as tokens, pre-norm blocks of self-attention and MLP, the mean over tokens, readout.

With N = width, tokens t = 1..T and L = hidden_layers blocks, norm = layer normalisation without learned scale or shift (which the
layer that follows could absorb):

    x_t = linear(patch_t) + position_t
    x  <- x + L^(-1/2) attention(norm(x))           L times, as a pair with
    x  <- x + L^(-1/2) linear(phi(linear(norm(x))))    linear N -> 4N -> N
    f   = readout(mean over t of norm(x_t)).

In attention each of the `heads` heads, of size d = N / heads, mixes values v_s by softmax over s of scale * q_t . k_s, and a last
linear layer acts on all heads side by side (Dosovitskiy et al., arXiv 2010.11929; mean over tokens in place of a class token).

What follows mup (Yang and Hu, arXiv 2011.14522, 2203.03466): linear layers and readout, as in all our models; the scale of q . k, 1 / d in
mup and 1 / sqrt(d) in the others; a number of heads that does not change with width. What is our choice: queries and keys start
like other weights, not at zero; positions are a linear layer on the one-hot number of the token, hence N(0, init_scale^2) without a
multiplier in every parametrization; the branch scale L^(-1/2), as in Bordelon et al. (arXiv 2309.16620); norm has no parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lazyrich.models.activations import ACTIVATIONS
from lazyrich.models.images import image_shape
from lazyrich.models.layers import Linear
from lazyrich.models.parametrization import Parametrization
from lazyrich.specification import choice, flag, whole_number

HEADS = 4
EXPANSION = 4
#: Patches along the shorter side of an image if the size of a patch is not given.
PATCHES = 4


class Positions(nn.Module):
    """x_t + position_t, on tokens (n, T, N)."""

    def __init__(self, tokens: int, width: int, std: float) -> None:
        super().__init__()
        self.std = std
        self.weight = nn.Parameter(torch.full((tokens, width), float("nan")))

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator) -> None:
        # In float64 on the generator's device, as in `lazyrich.models.layers`: a seed means the same in every precision.
        draw = torch.empty(self.weight.shape, dtype=torch.float64, device=generator.device)
        self.weight.copy_(nn.init.normal_(draw, 0.0, self.std, generator=generator))

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens + self.weight


class Attention(nn.Module):
    """Multi-head self-attention over tokens, (n, T, N) to (n, T, N)."""

    def __init__(self, width: int, heads: int, parametrization: Parametrization, bias: bool) -> None:
        super().__init__()
        size = width // heads
        self.heads = heads
        self.scale = 1.0 / size if parametrization.name == "mup" else size**-0.5
        # Keys have no bias: it would shift all scores of a query alike, which softmax does not see. Its gradient would be round-off,
        # and Adam would make steps of it.
        self.query, self.key, self.value, self.output = (
            Linear(width, width, biased, **parametrization.hidden(width)) for biased in (bias, False, bias, bias)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            layer(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        shares = (self.scale * query @ key.transpose(-1, -2)).softmax(-1)
        return self.output((shares @ value).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """One block of the transformer, (n, T, N) to (n, T, N)."""

    def __init__(
        self,
        width: int,
        heads: int,
        scale: float,
        activation: Callable[[Tensor], Tensor],
        parametrization: Parametrization,
        bias: bool,
    ) -> None:
        super().__init__()
        inner = EXPANSION * width
        self.scale, self.activation = scale, activation
        self.attention = Attention(width, heads, parametrization, bias)
        self.expand = Linear(width, inner, bias, **parametrization.hidden(width))
        self.contract = Linear(inner, width, bias, **parametrization.hidden(inner))

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.scale * self.attention(_normalised(tokens))
        return tokens + self.scale * self.contract(self.activation(self.expand(_normalised(tokens))))


class VisionTransformer(nn.Module):
    """Patches, positions, blocks and a readout: (n, channels, height, width) to (n, outputs)."""

    def __init__(
        self,
        input_shape: tuple[int, int, int],
        outputs: int,
        width: int,
        hidden_layers: int,
        heads: int,
        patch: int,
        activation: Callable[[Tensor], Tensor],
        parametrization: Parametrization,
        bias: bool = False,
    ) -> None:
        super().__init__()
        channels, rows, columns = input_shape
        inputs, scale = channels * patch**2, hidden_layers**-0.5
        self.patch = patch
        self.embedding = Linear(inputs, width, bias, **parametrization.hidden(inputs))
        self.positions = Positions((rows // patch) * (columns // patch), width, parametrization.hidden(1)["std"])
        self.blocks = nn.Sequential(
            *(Block(width, heads, scale, activation, parametrization, bias) for _ in range(hidden_layers))
        )
        self.readout = Linear(width, outputs, bias, **parametrization.readout(width))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Draw all parameters from `generator`, in the order in which the layers are defined."""
        for layer in self.modules():
            if isinstance(layer, Linear | Positions):
                layer.reset_parameters(generator)

    def patches(self, inputs: Tensor) -> Tensor:
        """The patches of each image, row by row, (n, T, channels * patch * patch)."""
        cut = inputs.unflatten(3, (-1, self.patch)).unflatten(2, (-1, self.patch))
        return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.blocks(self.positions(self.embedding(self.patches(inputs))))
        return self.readout(_normalised(tokens).mean(1))


def _normalised(tokens: Tensor) -> Tensor:
    return nn.functional.layer_norm(tokens, tokens.shape[-1:])


def build(spec: Mapping[str, Any], input_shape: tuple[int, ...], outputs: int) -> VisionTransformer:
    """A vision transformer whose parameters are still to be drawn (`reset_parameters`), for inputs (channels, height, width).

    Keys of `spec`: width (N above); hidden_layers (blocks, 2); heads (4); patch (pixels along a side of a patch; a quarter of the shorter
    side of the image); activation of the MLP (relu); parametrization (standard), gamma (1) and init_scale (1), see
    `lazyrich.models.parametrization`; bias (false), of all linear layers but the keys. Raises ValueError on a value that is not allowed, on inputs that are not
    images of at least 4x4 pixels, on heads that do not divide the width and on patches that do not divide the image.
    """
    channels, rows, columns = image_shape(input_shape, PATCHES, "vit")
    width, heads = whole_number(spec, "width"), whole_number(spec, "heads", HEADS)
    if width % heads:
        raise ValueError(f"heads is {heads}, which does not divide the width {width}; give a divisor of the width")
    patch = whole_number(spec, "patch", min(rows, columns) // PATCHES)
    if rows % patch or columns % patch:
        raise ValueError(
            f"patch is {patch}, which does not divide an image of {rows}x{columns} pixels; give a common divisor of both"
        )
    return VisionTransformer(
        input_shape=(channels, rows, columns),
        outputs=outputs,
        width=width,
        hidden_layers=whole_number(spec, "hidden_layers", 2),
        heads=heads,
        patch=patch,
        activation=ACTIVATIONS[choice(spec, "activation", ACTIVATIONS, "relu")],
        parametrization=Parametrization.from_spec(spec),
        bias=flag(spec, "bias", False),
    )
