"""Models: layers, architectures, and the scales of each parametrization."""

import math

import pytest
import torch
from torch import nn

from lazyrich.models import cnn, mlp, resnet, vit
from lazyrich.models.activations import ACTIVATIONS
from lazyrich.models.layers import Conv2d, Linear
from lazyrich.models.parametrization import PARAMETRIZATIONS, learning_rate_scale
from lazyrich.models.state import flatten_parameters, load_parameters

BUILDERS = {
    "mlp": (mlp.build, (12,)),
    "cnn": (cnn.build, (3, 8, 8)),
    "resnet": (resnet.build, (3, 8, 8)),
    "vit": (vit.build, (3, 8, 8)),
}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def network(architecture="mlp", outputs=2, seed=0, **spec):
    build, shape = BUILDERS[architecture]
    model = build({"width": 16, **spec}, shape, outputs).double()
    model.reset_parameters(generator(seed))
    return model


def samples(architecture="mlp", count=5):
    return torch.randn(count, *BUILDERS[architecture][1], generator=generator(99), dtype=torch.float64)


def outputs_of_layers(model, x):
    seen = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(lambda _, __, output, name=name: seen.__setitem__(name, output.detach()))
    model(x)
    return seen


# --- layers ---------------------------------------------------------------------------------------------------------


def test_linear_is_multiplier_times_weights_plus_bias():
    layer = Linear(3, 2, bias=True, multiplier=0.25, std=2.0, bias_std=1.0, bias_multiplier=0.5)
    layer.reset_parameters(generator())
    x = torch.randn(4, 3, generator=generator(1))
    torch.testing.assert_close(layer(x), 0.25 * (x @ layer.weight.T) + 0.5 * layer.bias)
    assert isinstance(layer, nn.Linear)


def test_convolution_is_multiplier_times_a_plain_one():
    layer = Conv2d(2, 3, bias=True, multiplier=0.5, std=1.0, bias_std=1.0)
    layer.reset_parameters(generator())
    plain = nn.Conv2d(2, 3, 3, padding=1)
    plain.weight.data, plain.bias.data = 0.5 * layer.weight.data, layer.bias.data
    x = torch.randn(2, 2, 6, 6, generator=generator(1))
    torch.testing.assert_close(layer(x), plain(x))
    assert isinstance(layer, nn.Conv2d)


def test_weights_have_the_given_spread_and_biases_start_at_zero():
    layer = Linear(300, 300, bias=True, std=0.3)
    layer.reset_parameters(generator())
    assert layer.weight.std().item() == pytest.approx(0.3, rel=0.02)
    assert layer.weight.mean().item() == pytest.approx(0, abs=0.005)
    assert torch.all(layer.bias == 0)


@pytest.mark.parametrize("architecture", BUILDERS)
def test_a_model_that_was_never_initialised_gives_nan_and_leaves_the_global_random_state(architecture):
    build, shape = BUILDERS[architecture]
    before = torch.get_rng_state()
    model = build({"width": 4}, shape, 1)
    assert torch.isnan(model(torch.ones(1, *shape))).all()
    model.reset_parameters(generator())
    assert torch.isfinite(model(torch.ones(1, *shape))).all()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("architecture", BUILDERS)
def test_a_seed_fixes_the_weights_in_every_precision(architecture):
    build, shape = BUILDERS[architecture]
    single, again, double = (build({"width": 8}, shape, 2) for _ in range(3))
    double.double()
    for model in (single, again, double):
        model.reset_parameters(generator(3))
    assert torch.equal(flatten_parameters(single), flatten_parameters(again))
    assert torch.equal(flatten_parameters(single), flatten_parameters(double).float())
    assert not torch.equal(flatten_parameters(double), flatten_parameters(network(architecture, width=8, seed=4)))


# --- architectures --------------------------------------------------------------------------------------------------


def test_layers_have_readable_names():
    assert [name for name, _ in network("mlp", hidden_layers=2).named_parameters()] == [
        "hidden.0.weight",
        "hidden.1.weight",
        "readout.weight",
    ]
    named = dict(network("cnn", bias=True).named_modules())
    assert {name for name in named if isinstance(named[name], nn.Linear | nn.Conv2d)} == {
        "hidden.0",
        "hidden.1",
        "hidden.2",
        "readout",
    }


def test_mlp_flattens_images_and_equals_the_formula():
    model = mlp.build({"width": 6, "hidden_layers": 2, "activation": "erf", "parametrization": "ntk"}, (1, 2, 3), 4)
    model.double().reset_parameters(generator())
    x = torch.randn(5, 1, 2, 3, generator=generator(1), dtype=torch.float64)
    first, second, last = (parameter.detach() for parameter in model.parameters())
    hidden = torch.erf(torch.erf(x.reshape(5, 6) @ first.T / 6**0.5) @ second.T / 6**0.5)
    torch.testing.assert_close(model(x), hidden @ last.T / 6**0.5)


@pytest.mark.parametrize(("height", "width"), [(4, 4), (8, 8), (28, 28), (32, 32), (14, 14), (10, 8), (7, 5)])
def test_cnn_has_the_stated_shapes_for_every_image_size(height, width):
    model = cnn.build({"width": 3}, (2, height, width), 5)
    assert [tuple(parameter.shape) for parameter in model.parameters()] == [
        (3, 2, 3, 3),
        (6, 3, 3, 3),
        (24, 6 * (height // 4) * (width // 4)),
        (5, 24),
    ]
    assert model(torch.zeros(2, 2, height, width)).shape == (2, 5)


def test_cnn_equals_plain_torch_layers():
    """In the standard parametrization all multipliers are 1, so the weights fit an ordinary nn.Sequential."""
    model = network("cnn", width=4, parametrization="standard")
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.ReLU(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(32, 32, bias=False), nn.ReLU(), nn.Linear(32, 2, bias=False),
    ).double()  # fmt: skip
    load_parameters(plain, flatten_parameters(model))
    torch.testing.assert_close(model(samples("cnn")), plain(samples("cnn")))


def test_activations_against_their_definitions():
    h = torch.linspace(-3, 3, 31, dtype=torch.float64)
    normal = torch.distributions.Normal(torch.zeros((), dtype=torch.float64), 1.0)
    expected = {
        "relu": h.clamp(min=0),
        "tanh": (h.exp() - (-h).exp()) / (h.exp() + (-h).exp()),
        "erf": 2 * normal.cdf(h * math.sqrt(2)) - 1,
        "gelu": h * normal.cdf(h),
        "quadratic": h * h,
        "linear": h,
    }
    assert expected.keys() == ACTIVATIONS.keys()
    for name, values in expected.items():
        torch.testing.assert_close(ACTIVATIONS[name](h), values)


@pytest.mark.parametrize(
    ("architecture", "change", "message"),
    [
        ("mlp", {"activation": "rleu"}, "activation is 'rleu'.*relu, tanh"),
        ("mlp", {"parametrization": "mu"}, "parametrization is 'mu'.*standard, ntk, mup"),
        ("mlp", {"gamma": 0}, "gamma is 0; give a positive"),
        ("mlp", {"gamma": math.nan}, "gamma is nan"),
        ("mlp", {"init_scale": -1.0}, "init_scale is -1.0"),
        ("mlp", {"init_scale": "1"}, "init_scale is '1'"),
        ("mlp", {"width": 2.5}, "width is 2.5; give a whole number"),
        ("mlp", {"width": True}, "width is True"),
        ("mlp", {"hidden_layers": 0}, "hidden_layers is 0"),
        ("mlp", {"bias": "no"}, "bias is 'no'; give true or false"),
        ("cnn", {"width": 0}, "width is 0"),
        ("resnet", {"width": 0}, "width is 0"),
        ("resnet", {"hidden_layers": 0}, "hidden_layers is 0"),
        ("vit", {"hidden_layers": 0.5}, "hidden_layers is 0.5"),
        ("vit", {"heads": 0}, "heads is 0"),
        ("vit", {"heads": 3}, "heads is 3, which does not divide the width 4; give a divisor"),
        ("vit", {"patch": 3}, "patch is 3, which does not divide an image of 8x8 pixels"),
        ("vit", {"patch": 0}, "patch is 0"),
    ],
)
def test_a_wrong_value_is_named(architecture, change, message):
    build, shape = BUILDERS[architecture]
    with pytest.raises(ValueError, match=message):
        build({"width": 4, **change}, shape, 1)


def test_a_missing_width_is_named():
    with pytest.raises(ValueError, match="'width' is missing"):
        mlp.build({"hidden_layers": 2}, (3,), 1)


@pytest.mark.parametrize("shape", [(20,), (1, 8, 3), (1, 3, 8), (1, 0, 0), (8, 8), (0, 8, 8)])
@pytest.mark.parametrize("build", [cnn.build, resnet.build, vit.build])
def test_what_is_no_image_of_a_size_to_pool_twice_is_refused(build, shape):
    with pytest.raises(ValueError, match="images .channels, height, width. of at least 4x4 pixels"):
        build({"width": 4}, shape, 1)


# --- parametrizations -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
@pytest.mark.parametrize("init_scale", [1.0, 0.5])
def test_preactivations_keep_their_variance_as_width_grows(parametrization, init_scale):
    """Linear network, E[x^2] = 1: Var h_l = init_scale^(2 l) at every width, in every parametrization."""
    x = torch.randn(64, 200, generator=generator(5), dtype=torch.float64)
    x = x / x.square().mean().sqrt()
    for width in (256, 1024):
        spec = {
            "width": width,
            "activation": "linear",
            "parametrization": parametrization,
            "init_scale": init_scale,
        }
        model = mlp.build(spec, (200,), 1).double()
        model.reset_parameters(generator(width))
        layers = outputs_of_layers(model, x)
        for depth in (1, 2):
            variance = layers[f"hidden.{depth - 1}"].square().mean().item()
            assert variance == pytest.approx(init_scale ** (2 * depth), rel=0.15)


@pytest.mark.parametrize("parametrization", ["ntk", "mup"])
def test_convolutions_divide_by_channels_and_standard_by_the_whole_patch(parametrization):
    shape = (4, 16, 16)
    x = torch.randn(16, *shape, generator=generator(1), dtype=torch.float64)
    spec = {"width": 64, "activation": "linear"}
    variances = {}
    for name in (parametrization, "standard"):
        model = cnn.build({**spec, "parametrization": name}, shape, 1).double()
        model.reset_parameters(generator(2))
        inner = outputs_of_layers(model, x)["hidden.0"][:, :, 1:-1, 1:-1]  # without the border that padding thins out
        variances[name] = inner.square().mean().item()
    assert variances["standard"] == pytest.approx(1, rel=0.1)
    assert variances[parametrization] == pytest.approx(9, rel=0.1)


def output_spread(parametrization, width):
    x = samples(count=1)
    spread = [network(width=width, seed=s, parametrization=parametrization, outputs=64)(x) for s in range(6)]
    return torch.stack(spread).std().item()


@pytest.mark.parametrize(("parametrization", "exponent"), [("standard", 0.0), ("ntk", 0.0), ("mup", -0.5)])
def test_outputs_at_initialisation_scale_with_width(parametrization, exponent):
    """mup outputs are O(1 / sqrt(N)) at initialisation; those of the other two are O(1)."""
    slope = math.log(output_spread(parametrization, 1024) / output_spread(parametrization, 64)) / math.log(16)
    assert slope == pytest.approx(exponent, abs=0.1)


@pytest.mark.parametrize("architecture", BUILDERS)
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_gamma_divides_the_output_exactly(architecture, parametrization):
    """Also with a bias that is not zero, so that gamma is the same knob during training."""
    x = samples(architecture)
    base = network(architecture, parametrization=parametrization, bias=True)
    vector = torch.randn(len(flatten_parameters(base)), generator=generator(7), dtype=torch.float64)
    load_parameters(base, vector)
    for gamma in (0.01, 0.25, 30.0):
        scaled = network(architecture, parametrization=parametrization, bias=True, gamma=gamma)
        load_parameters(scaled, vector)
        torch.testing.assert_close(scaled(x), base(x) / gamma, rtol=1e-12, atol=0)


def test_ntk_and_standard_draw_the_same_function():
    standard, ntk = (network(parametrization=name, init_scale=0.7) for name in ("standard", "ntk"))
    torch.testing.assert_close(standard(samples()), ntk(samples()), rtol=1e-12, atol=0)


def tangent_kernel(**spec):
    model = network(outputs=1, **spec)
    model(samples(count=1)).sum().backward()
    kernel = sum(parameter.grad.square().sum().item() for parameter in model.parameters())
    return kernel * learning_rate_scale(spec, model)


@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_learning_rate_scale_holds_the_speed_of_the_outputs(parametrization):
    reference = tangent_kernel(parametrization=parametrization, width=512, gamma=1)
    assert tangent_kernel(parametrization=parametrization, width=512, gamma=0.01) == pytest.approx(reference)
    if parametrization != "standard":  # whose tangent kernel grows with width by definition
        assert tangent_kernel(parametrization=parametrization, width=2048, gamma=3) == pytest.approx(reference, rel=0.2)


def test_learning_rate_scale_of_mup_counts_the_inputs_of_the_readout():
    spec = {"width": 16, "parametrization": "mup", "gamma": 0.5}
    assert learning_rate_scale(spec, network("mlp", **spec)) == 16 * 0.25
    assert learning_rate_scale(spec, network("cnn", **spec)) == 8 * 16 * 0.25
    assert learning_rate_scale(spec, network("resnet", **spec)) == 4 * 16 * 0.25
    assert learning_rate_scale(spec, network("vit", **spec)) == 16 * 0.25
