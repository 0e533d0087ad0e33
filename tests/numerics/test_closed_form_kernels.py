"""The arc-cosine recursion against quadrature, Monte Carlo and wide networks."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import nn

from lazyrich.kernels.closed_form import relu_nngp, relu_ntk, relu_ntk_diagonal
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk
from lazyrich.models.layers import Linear


def gaussian_expectation(a, b, c, q):
    """E[max(0, u)^q max(0, w)^q], 0^0 = 0, for (u, w) ~ N(0, [[a, c], [c, b]]), by quadrature over the angle.

    With u = sqrt(a) r cos(s) and w = sqrt(b) r cos(s - theta), the radial integral of r^(2q + 1) exp(-r^2 / 2) is 2^q q!.
    """
    theta = np.arccos(np.clip(c / np.sqrt(a * b), -1, 1))
    product = quad(lambda s: (np.cos(s) * np.cos(s - theta)) ** q, theta - np.pi / 2, np.pi / 2, epsabs=1e-13)[0]
    return (a * b) ** (q / 2) * 2**q * math.factorial(q) * product / (2 * np.pi)


def recursion_by_quadrature(x, z, hidden_layers, v, bias, q):
    """Sigma and Theta of one pair, with the variances of both points carried along."""
    a, b, c = (v * float(p @ w) / len(x) + bias for p, w in ((x, x), (z, z), (x, z)))
    tangent = c
    for _ in range(hidden_layers):
        slope = q**2 * gaussian_expectation(a, b, c, q - 1)
        a, b, c = (v * gaussian_expectation(*entries, q) + bias for entries in ((a, a, a), (b, b, b), (a, b, c)))
        tangent = c + v * slope * tangent
    return c, tangent


@pytest.mark.parametrize("hidden_layers", [0, 1, 2, 3])
@pytest.mark.parametrize(("v", "bias"), [(1.0, 0.0), (2.0, 0.0), (0.3, 0.5)])
@pytest.mark.parametrize("power", [1, 2, 3])
def test_equals_quadrature(hidden_layers, v, bias, power):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((4, 6)), rng.standard_normal((3, 6))
    network = {"hidden_layers": hidden_layers, "weight_variance": v, "bias_variance": bias, "power": power}
    expected = np.array([[recursion_by_quadrature(p, w, hidden_layers, v, bias, power) for w in z] for p in x])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(relu_nngp(x, z, **network), expected[..., 0], rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(relu_ntk(x, z, **network), expected[..., 1], rtol=1e-9, atol=1e-12 * scale)
    own = [recursion_by_quadrature(p, p, hidden_layers, v, bias, power)[1] for p in x]
    np.testing.assert_allclose(relu_ntk_diagonal(x, **network), own, rtol=1e-10)
    np.testing.assert_allclose(np.diag(relu_ntk(x, **network)), own, rtol=1e-10)


def test_tangent_kernel_is_the_derivative_by_the_correlation():
    """For one hidden layer Theta = Sigma_2 + c dSigma_2/dc, whatever the power: no use of the formula of phi'."""
    angles = np.linspace(0.1, 3.0, 7)
    x = np.array([[np.sqrt(2), 0.0]])  # unit variance in two dimensions
    for power in (1, 2, 3):

        def nngp(c, power=power):
            z = np.sqrt(2) * np.stack([c, np.sqrt(1 - c**2)], axis=1)
            return relu_nngp(x, z, hidden_layers=1, power=power)[0]

        c, step = np.cos(angles), 1e-5
        slope = (nngp(c + step) - nngp(c - step)) / (2 * step)
        z = np.sqrt(2) * np.stack([c, np.sqrt(1 - c**2)], axis=1)
        np.testing.assert_allclose(
            relu_ntk(x, z, hidden_layers=1, power=power)[0], nngp(c) + c * slope, rtol=1e-7, atol=1e-7
        )


@pytest.mark.parametrize("power", [2, 3])
def test_power_relu_equals_monte_carlo(power):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5))
    draws = rng.standard_normal((400_000, 5)) @ x.T / np.sqrt(5) + 0.7 * rng.standard_normal((400_000, 1))
    samples = (np.maximum(draws, 0) ** power).prod(axis=1) + 0.49
    error = samples.std() / np.sqrt(len(samples))
    network = {"hidden_layers": 1, "bias_variance": 0.49, "power": power}
    assert abs(samples.mean() - relu_nngp(x, **network)[0, 1]) < 5 * error
    slopes = power**2 * (np.maximum(draws, 0) ** (power - 1)).prod(axis=1)
    tangent = samples + slopes * (x[0] @ x[1] / 5 + 0.49)
    error = tangent.std() / np.sqrt(len(tangent))
    assert abs(tangent.mean() - relu_ntk(x, **network)[0, 1]) < 5 * error


class PowerReLU(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power = power

    def forward(self, x):
        return torch.relu(x) ** self.power


def empirical_kernels(width, power, hidden_layers, bias, draws, x, generator):
    """NTKs of `draws` networks in NTK parametrization, biases of variance 1 with multiplier sqrt(bias)."""
    layers = []
    sizes = [x.shape[1]] + [width] * hidden_layers
    for i, fan_in in enumerate(sizes):
        outputs = width if i < hidden_layers else 1
        scales = {"bias": bias > 0, "bias_std": 1.0, "bias_multiplier": bias**0.5}
        layers += [Linear(fan_in, outputs, multiplier=fan_in**-0.5, **scales), PowerReLU(power)]
    model = nn.Sequential(*layers[:-1]).double()
    for _ in range(draws):
        for layer in layers[::2]:
            layer.reset_parameters(generator)
        yield empirical_ntk(model, x).numpy()


@pytest.mark.parametrize(
    ("power", "hidden_layers", "bias", "widths"),
    [
        (1, 2, 0.0, (32, 128, 512)),
        (1, 2, 0.3, (32, 128, 512)),
        (2, 1, 0.0, (32, 128, 512)),
        (3, 1, 0.0, (32, 128, 512)),
        (2, 2, 0.2, (128, 512)),  # at width 32 the error is twice the kernel, far from where its leading order rules
    ],
)
def test_finite_networks_approach_it_as_one_over_the_root_of_the_width(power, hidden_layers, bias, widths):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    expected = relu_ntk(x, hidden_layers=hidden_layers, bias_variance=bias, power=power)
    errors = []
    for width in widths:
        kernels = empirical_kernels(width, power, hidden_layers, bias, 40, x, generator)
        squares = [np.square(kernel - expected).sum() / np.square(expected).sum() for kernel in kernels]
        errors.append(np.sqrt(np.mean(squares)))
    slope = np.polyfit(np.log(widths), np.log(errors), 1)[0]
    assert -0.65 < slope < -0.35, errors


def test_powers_are_homogeneous_without_biases():
    x = np.random.default_rng(0).standard_normal((4, 3))
    for power in (1, 2, 3):
        kernel = relu_ntk(x, hidden_layers=2, power=power)
        np.testing.assert_allclose(
            relu_ntk(1.5 * x, hidden_layers=2, power=power), 1.5 ** (2 * power**2) * kernel, rtol=1e-12
        )


def test_one_layer_equals_monte_carlo():
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 5))
    draws = rng.standard_normal((400_000, 5)) @ x.T / np.sqrt(5)
    samples = np.maximum(draws, 0).prod(axis=1)
    error = samples.std() / np.sqrt(len(samples))
    assert abs(samples.mean() - relu_nngp(x, hidden_layers=1)[0, 1]) < 5 * error
    active = (draws > 0).all(axis=1)
    tangent = samples + active * (x[0] @ x[1]) / 5
    error = tangent.std() / np.sqrt(len(tangent))
    assert abs(tangent.mean() - relu_ntk(x, hidden_layers=1)[0, 1]) < 5 * error


@pytest.mark.parametrize("parametrization", ["ntk", "mup"])
@pytest.mark.parametrize("hidden_layers", [1, 2])
def test_is_the_limit_of_wide_networks(parametrization, hidden_layers):
    width, features, gamma, draws = 512, 6, 0.5, 60
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, features, generator=generator, dtype=torch.float64)
    sizes = [features] + [width] * hidden_layers
    multipliers = [size**-0.5 for size in sizes]
    if parametrization == "mup":
        multipliers[-1] = 1 / (gamma * width)
    layers = []
    for i, fan_in in enumerate(sizes):
        layers += [Linear(fan_in, width if i < hidden_layers else 1, multiplier=multipliers[i]), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).double()
    kernels = []
    for _ in range(draws):
        for layer in layers[::2]:
            layer.reset_parameters(generator)
        kernels.append(empirical_ntk(model, x).numpy())
    factor = 1 / (gamma**2 * width) if parametrization == "mup" else 1.0
    difference = np.mean(kernels, axis=0) - factor * relu_ntk(x, hidden_layers=hidden_layers)
    error = np.linalg.norm(difference) / np.linalg.norm(np.mean(kernels, axis=0))
    assert error < 0.03
    # Finite width shifts the mean by about 1/width, below what these draws resolve.
    assert (np.abs(difference) < 4.5 * np.std(kernels, axis=0) / np.sqrt(draws)).all()


def test_layer_rates_are_those_of_the_standard_parametrization():
    """W ~ N(0, 1 / fan_in) without multipliers: the part of each layer is its fan-in times as large."""
    width, features = 512, 6
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, features, generator=generator, dtype=torch.float64)
    sizes = (features, width, width)
    layers = [Linear(fan_in, width if i < 2 else 1, std=fan_in**-0.5, multiplier=1.0) for i, fan_in in enumerate(sizes)]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]).double()
    kernels = []
    for _ in range(40):
        for layer in layers:
            layer.reset_parameters(generator)
        kernels.append(empirical_ntk(model, x).numpy())
    mean = np.mean(kernels, axis=0)
    expected = relu_ntk(x, hidden_layers=2, layer_rates=sizes)
    assert np.linalg.norm(mean - expected) / np.linalg.norm(mean) < 0.03
    assert (np.abs(mean - expected) < 4.5 * np.std(kernels, axis=0) / np.sqrt(len(kernels))).all()
    assert np.linalg.norm(mean - width * relu_ntk(x, hidden_layers=2)) / np.linalg.norm(mean) > 0.1


@pytest.mark.parametrize("bias", [0.0, 0.3])
@pytest.mark.parametrize("power", [1, 2])
def test_rates_of_single_layers_add_up_to_the_whole_kernel(bias, power):
    x = np.random.default_rng(0).standard_normal((6, 4))
    network = {"hidden_layers": 2, "bias_variance": bias, "power": power}
    parts = [relu_ntk(x, **network, layer_rates=rates) for rates in np.eye(3)]
    np.testing.assert_allclose(sum(parts), relu_ntk(x, **network), rtol=1e-12)
    np.testing.assert_allclose(parts[2], relu_nngp(x, **network), rtol=1e-12)
    rates = (0.5, 2.0, 3.0)
    weighted = sum(rate * part for rate, part in zip(rates, parts, strict=True))
    np.testing.assert_allclose(relu_ntk(x, **network, layer_rates=rates), weighted, rtol=1e-12)
    np.testing.assert_allclose(relu_ntk_diagonal(x, **network, layer_rates=rates), np.diag(weighted), rtol=1e-12)


@pytest.mark.parametrize("rates", [(1, 1), (1, -1, 1), (1, np.inf, 1)])
def test_layer_rates_that_are_none(rates):
    with pytest.raises(ValueError, match="must be 3 finite numbers that are not negative"):
        relu_ntk(np.ones((2, 3)), hidden_layers=2, layer_rates=rates)


def test_variance_in_the_initial_weights():
    """W ~ N(0, s^2) with multiplier 1/sqrt(fan_in): weight_variance = s^2, divided by s^2."""
    s, width, features = 0.6, 512, 4
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, features, generator=generator, dtype=torch.float64)
    layers = [
        Linear(features, width, multiplier=features**-0.5, std=s),
        Linear(width, 1, multiplier=width**-0.5, std=s),
    ]
    model = nn.Sequential(layers[0], nn.ReLU(), layers[1]).double()
    kernels = []
    for _ in range(24):
        for layer in layers:
            layer.reset_parameters(generator)
        kernels.append(empirical_ntk(model, x).numpy())
    expected = relu_ntk(x, hidden_layers=1, weight_variance=s**2) / s**2
    assert np.linalg.norm(np.mean(kernels, axis=0) - expected) / np.linalg.norm(expected) < 0.04


def test_repeated_opposite_and_zero_points():
    x = np.random.default_rng(2).standard_normal((3, 7))
    points = np.concatenate([x, 3 * x, -x, np.zeros((1, 7))])
    for hidden_layers in (1, 2, 4):
        kernel = relu_ntk(points, hidden_layers=hidden_layers)
        diagonal = (hidden_layers + 1) * np.square(points).sum(axis=1) / 7 / 2**hidden_layers
        np.testing.assert_allclose(np.diag(kernel), diagonal, rtol=1e-14)
        np.testing.assert_allclose(relu_ntk_diagonal(points, hidden_layers=hidden_layers), diagonal, rtol=1e-14)
        np.testing.assert_allclose(np.diag(kernel[:3, 3:6]), 3 * diagonal[:3], rtol=1e-14)
        assert not kernel[-1].any()
    for network in ({"power": 3}, {"bias_variance": 0.3}, {"power": 2, "bias_variance": 0.3, "weight_variance": 1.7}):
        # A repeated point gives its diagonal entry, also where biases mix into the correlation.
        kernel = relu_ntk(points, np.concatenate([x, np.zeros((1, 7))]), hidden_layers=3, **network)
        expected = relu_ntk_diagonal(points, hidden_layers=3, **network)[[0, 1, 2, 9]]
        np.testing.assert_allclose(np.diag(kernel[[0, 1, 2, 9]]), expected, rtol=1e-12)
    # One hidden layer sees x and -x through different units.
    assert np.abs(np.diag(relu_ntk(x, -x, hidden_layers=1))).max() < 1e-14


@settings(max_examples=20, deadline=None)
@given(n1=st.integers(1, 9), n2=st.integers(1, 9), chunk=st.integers(1, 40))
def test_blocks_agree_and_the_result_is_symmetric(n1, n2, chunk):
    rng = np.random.default_rng(n1 + 10 * n2)
    x, z = rng.standard_normal((n1, 2, 3)).astype(np.float32), rng.standard_normal((n2, 2, 3)).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lazyrich.kernels.closed_form.CHUNK_ENTRIES", chunk)
        kernel = relu_ntk(np.concatenate([x, z]), hidden_layers=2)
        block = relu_ntk(x, torch.from_numpy(z), hidden_layers=2)
    assert np.array_equal(kernel, kernel.T)
    np.testing.assert_allclose(block, kernel[:n1, n1:], rtol=1e-12, atol=1e-14)


def test_errors_say_what_is_wrong():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match="hidden_layers=-1"):
        relu_ntk(x, hidden_layers=-1)
    with pytest.raises(ValueError, match="weight_variance=0"):
        relu_ntk(x, hidden_layers=1, weight_variance=0)
    with pytest.raises(ValueError, match="bias_variance=-1"):
        relu_ntk(x, hidden_layers=1, bias_variance=-1)
    with pytest.raises(ValueError, match="power=4 has no closed form here; choose one of 1, 2, 3"):
        relu_ntk(x, hidden_layers=1, power=4)
    for factor in (1e3, 1e-3):
        with pytest.raises(ValueError, match="leave the range of float64"):
            relu_ntk(factor * x, hidden_layers=5, power=3)
    with pytest.raises(ValueError, match="3 features per sample and x2 has 4"):
        relu_ntk(x, np.ones((2, 4)), hidden_layers=1)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        relu_ntk(np.ones(3), hidden_layers=1)
