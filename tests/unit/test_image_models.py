"""The residual network and the vision transformer against torch's own layers with the same weights."""

import pytest
import torch
from torch import nn

from lazyrich.configuration_schema import Schemas
from lazyrich.models import resnet, vit
from lazyrich.models.features import penultimate_features
from lazyrich.models.state import flatten_parameters, load_parameters
from small_configuration import ROOT


def network(build, shape=(2, 8, 8), seed=0, **spec):
    """A network whose biases are not zero."""
    model = build({"width": 8, "bias": True, **spec}, shape, 3).double()
    model.reset_parameters(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.linspace(-1, 1, parameter.numel(), dtype=torch.float64))
    return model


def images(*shape, count=4):
    generator = torch.Generator().manual_seed(99)
    return torch.randn(count, *(shape or (2, 8, 8)), generator=generator, dtype=torch.float64)


# -- the residual network --------------------------------------------------------------------------------------------------


class PlainResNet(nn.Module):
    """The same in torch's layers, which have their parameters in the same order."""

    def __init__(self, blocks):
        super().__init__()
        self.blocks = blocks
        self.stem = nn.Conv2d(2, 8, 3, padding=1)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Tanh(), nn.Conv2d(n, n, 3, padding=1), nn.Tanh(), nn.Conv2d(n, n, 3, padding=1))
            for n in (8, 16, 32)
            for _ in range(blocks)
        )
        self.widen = nn.ModuleList([nn.Conv2d(8, 16, 1), nn.Conv2d(16, 32, 1)])
        self.tail = nn.Sequential(nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 3))

    def forward(self, x):
        x = self.stem(x)
        for number, branch in enumerate(self.branches):
            if number and number % self.blocks == 0:
                x = self.widen[number // self.blocks - 1](nn.AvgPool2d(2)(x))
            x = x + branch(x) / len(self.branches) ** 0.5
        return self.tail(x)


@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mup"])
@pytest.mark.parametrize("blocks", [1, 2])
def test_resnet_equals_plain_torch_layers(blocks, parametrization):
    """ntk and mup with their multipliers, 1 / sqrt(all that enters a unit), put into the weights."""
    model = network(resnet.build, hidden_layers=blocks, activation="tanh", parametrization=parametrization, gamma=0.5)
    plain = PlainResNet(blocks).double()
    load_parameters(plain, flatten_parameters(model))
    with torch.no_grad():
        if parametrization != "standard":
            for layer in plain.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    layer.weight.div_(layer.weight[0].numel() ** 0.5)
        readout = plain.tail[-1]
        readout.weight.div_(0.5 * (32**0.5 if parametrization == "mup" else 1))
        readout.bias.div_(0.5 * (32 if parametrization == "mup" else 1))
    torch.testing.assert_close(model(images()), plain(images()), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(penultimate_features(model, images()), plain.tail[:-1](body(plain, images())))


def body(plain, x):
    seen = []
    hook = plain.tail.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    plain(x)
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (8, 8), (14, 14), (16, 16), (28, 28), (32, 32)])
def test_resnet_has_one_set_of_parameters_for_every_image_size(size):
    model = resnet.build({"width": 2, "hidden_layers": 1}, (1, *size), 5)
    count = 2 * 9 + (2 * 4 + 2 * 16 + 2 * 64) * 9 + 2 * 4 + 4 * 8 + 5 * 8
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    model.reset_parameters(torch.Generator().manual_seed(0))
    assert torch.isfinite(model(torch.ones(2, 1, *size))).all()


@pytest.mark.parametrize("parametrization", ["standard", "mup"])
def test_the_stream_of_a_resnet_keeps_its_size_at_any_depth(parametrization):
    """Of a linear network: a stage multiplies the mean square by (1 + 1 / L)^(L / 3), and less where padding is seen."""
    x, sizes = images(1, 16, 16, count=16), {}
    for blocks in (1, 8):
        model = resnet.build(
            {"width": 32, "hidden_layers": blocks, "activation": "linear", "parametrization": parametrization},
            (1, 16, 16), 1,
        )  # fmt: skip
        model.double().reset_parameters(torch.Generator().manual_seed(1))
        stem = model.stem(x)
        sizes[blocks] = float((model.stages[0](stem).square().mean() / stem.square().mean()).detach())
    assert all(1.1 < size < 1.5 for size in sizes.values()), sizes
    assert sizes[8] == pytest.approx(sizes[1], rel=0.1)


# -- the vision transformer ------------------------------------------------------------------------------------------------


def plain_attention(layer, width, heads):
    """torch's attention with the weights, times their multipliers, of one of ours."""
    plain = nn.MultiheadAttention(width, heads, batch_first=True).double()
    parts = (layer.query, layer.key, layer.value)
    plain.in_proj_weight.data = torch.cat([part.multiplier * part.weight.detach() for part in parts])
    plain.in_proj_bias.data = torch.cat(
        [layer.query.bias.detach(), torch.zeros(width), layer.value.bias.detach()]
    ).double()
    plain.out_proj.weight.data = layer.output.multiplier * layer.output.weight.detach()
    plain.out_proj.bias.data = layer.output.bias.detach()
    return plain


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("heads", [1, 2, 8])
def test_attention_equals_that_of_torch(heads, parametrization):
    layer = network(vit.build, heads=heads, parametrization=parametrization).blocks[0].attention
    tokens = images(5, 8)
    plain = plain_attention(layer, 8, heads)
    torch.testing.assert_close(layer(tokens), plain(tokens, tokens, tokens)[0], rtol=1e-12, atol=1e-12)


def test_attention_in_mup_divides_by_the_size_of_a_head():
    layer = network(vit.build, heads=2, parametrization="mup").blocks[0].attention
    tokens = images(5, 8)
    query, key, value = (
        part(tokens).reshape(4, 5, 2, 4).transpose(1, 2) for part in (layer.query, layer.key, layer.value)
    )
    mixed = nn.functional.scaled_dot_product_attention(query, key, value, scale=1 / 4)
    expected = layer.output(mixed.transpose(1, 2).reshape(4, 5, 8))
    torch.testing.assert_close(layer(tokens), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("blocks", [1, 3])
def test_vit_equals_plain_torch_layers(blocks):
    """With one block a branch has the scale 1, and the block is torch's own, with its scales of normalisation at 1."""
    model = network(vit.build, hidden_layers=blocks, heads=2, patch=4, activation="gelu", parametrization="standard")
    patches = nn.Conv2d(2, 8, 4, stride=4).double()
    patches.weight.data = model.embedding.weight.detach().reshape(8, 2, 4, 4)
    patches.bias.data = model.embedding.bias.detach()
    tokens = patches(images()).flatten(2).transpose(1, 2) + model.positions.weight
    for block in model.blocks:
        layer = nn.TransformerEncoderLayer(8, 2, 32, 0.0, "gelu", batch_first=True, norm_first=True).double()
        layer.self_attn = plain_attention(block.attention, 8, 2)
        for plain, ours in ((layer.linear1, block.expand), (layer.linear2, block.contract)):
            plain.load_state_dict(ours.state_dict())
        for last in (layer.self_attn.out_proj, layer.linear2):  # what the branch scale multiplies
            last.weight.data, last.bias.data = last.weight.data / blocks**0.5, last.bias.data / blocks**0.5
        tokens = layer(tokens)
    features = nn.LayerNorm(8).double()(tokens).mean(1)
    torch.testing.assert_close(penultimate_features(model, images()), features.detach(), rtol=1e-11, atol=1e-12)
    expected = features @ model.readout.weight.T + model.readout.bias
    torch.testing.assert_close(model(images()), expected, rtol=1e-11, atol=1e-12)


def test_patches_are_cut_row_by_row():
    x = torch.arange(2 * 4 * 6, dtype=torch.float64).reshape(1, 2, 4, 6)
    found = vit.build({"width": 4, "patch": 2}, (2, 4, 6), 1).patches(x)
    expected = [x[0, :, row : row + 2, column : column + 2].flatten() for row in (0, 2) for column in (0, 2, 4)]
    torch.testing.assert_close(found, torch.stack(expected)[None])


@pytest.mark.parametrize(
    ("size", "patch", "tokens"),
    [((4, 4), 1, 16), ((8, 8), 2, 16), ((28, 28), 7, 16), ((32, 32), 8, 16), ((8, 12), 2, 24), ((5, 7), 1, 35)],
)
def test_a_patch_is_by_default_a_quarter_of_the_shorter_side(size, patch, tokens):
    model = vit.build({"width": 4}, (3, *size), 2)
    assert model.patch == patch and model.positions.weight.shape == (tokens, 4)
    assert model(torch.ones(2, 3, *size)).shape == (2, 2)


def test_where_a_patch_stands_matters_only_by_its_position():
    model, x = network(vit.build), images()
    moved = x.roll(4, dims=3)
    assert not torch.allclose(model(x), model(moved))
    with torch.no_grad():
        model.positions.weight.zero_()
    torch.testing.assert_close(model(x), model(moved), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mup"])
def test_positions_have_the_spread_of_a_layer_with_one_input(parametrization):
    spec = {"width": 512, "parametrization": parametrization, "init_scale": 0.5}
    model = vit.build(spec, (1, 16, 16), 1)
    model.reset_parameters(torch.Generator().manual_seed(0))
    assert model.positions.weight.std().item() == pytest.approx(0.5, rel=0.05)
    assert model.positions.weight.mean().item() == pytest.approx(0, abs=0.02)


def test_the_schema_names_the_default_number_of_heads():
    model = Schemas(ROOT / "config" / "schemas")["model"]
    assert model["properties"]["heads"]["x-absent"] == str(vit.HEADS)
    assert vit.build({"width": 8}, (1, 8, 8), 1).blocks[0].attention.heads == vit.HEADS


@pytest.mark.parametrize("parametrization", ["standard", "ntk", "mup"])
@pytest.mark.parametrize("build", [resnet.build, vit.build])
def test_every_hidden_layer_keeps_the_variance_of_what_enters(build, parametrization):
    """(multiplier * std)^2 * all that enters a unit = init_scale^2; weights of order one, and the multiplier, outside of standard."""
    model = network(build, parametrization=parametrization, init_scale=0.5)
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert layers.pop() is model.readout and len(layers) == {resnet.build: 15, vit.build: 13}[build]
    for layer in layers:
        assert (layer.multiplier * layer.std) ** 2 * layer.weight[0].numel() == pytest.approx(0.5**2)
        assert layer.multiplier == 1.0 if parametrization == "standard" else layer.std == 0.5


@pytest.mark.parametrize("build", [resnet.build, vit.build])
def test_every_layer_trains_and_there_are_no_buffers(build):
    """Also of biases: one of keys would shift all scores of a query alike, which softmax does not see."""
    model = network(build, activation="gelu")
    model(images()).square().sum().backward()
    assert not list(model.buffers())
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().max() > 1e-6, name
