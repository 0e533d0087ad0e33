"""The arc-cosine recursion against quadrature, Monte Carlo and wide networks."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from torch import nn

from lazyrich.kernels.closed_form import relu_nngp, relu_ntk
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk
from lazyrich.models.layers import Linear


def gaussian_expectations(a, b, c):
    """E[relu(u) relu(v)] and E[1(u>0) 1(v>0)] for (u, v) ~ N(0, [[a, c], [c, b]]), by quadrature over the angle.

    With u = sqrt(a) r cos(s) and v = sqrt(b) r cos(s - theta), the radial integrals are 2 and 1, over 2 pi.
    """
    theta = np.arccos(c / np.sqrt(a * b))
    low, high = theta - np.pi / 2, np.pi / 2
    product = quad(lambda s: np.cos(s) * np.cos(s - theta), low, high, epsabs=1e-13)[0]
    return np.sqrt(a * b) * 2 * product / (2 * np.pi), (high - low) / (2 * np.pi)


def recursion_by_quadrature(x, z, hidden_layers, v):
    """Sigma and Theta of one pair, with the variances of both points carried along."""
    a, b, c = (v * float(p @ q) / len(x) for p, q in ((x, x), (z, z), (x, z)))
    tangent = c
    for _ in range(hidden_layers):
        product, both = gaussian_expectations(a, b, c)
        a, b, c = v * a / 2, v * b / 2, v * product
        tangent = c + v * both * tangent
    return c, tangent


@pytest.mark.parametrize("hidden_layers", [0, 1, 2, 3])
@pytest.mark.parametrize("v", [1.0, 2.0, 0.3])
def test_equals_quadrature(hidden_layers, v):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((4, 6)), rng.standard_normal((3, 6))
    ntk = relu_ntk(x, z, hidden_layers=hidden_layers, weight_variance=v)
    nngp = relu_nngp(x, z, hidden_layers=hidden_layers, weight_variance=v)
    expected = np.array([[recursion_by_quadrature(p, q, hidden_layers, v) for q in z] for p in x])
    np.testing.assert_allclose(nngp, expected[..., 0], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(ntk, expected[..., 1], rtol=1e-10, atol=1e-13)


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
        np.testing.assert_allclose(np.diag(kernel[:3, 3:6]), 3 * diagonal[:3], rtol=1e-14)
        assert not kernel[-1].any()
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
    with pytest.raises(ValueError, match="3 features per sample and x2 has 4"):
        relu_ntk(x, np.ones((2, 4)), hidden_layers=1)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        relu_ntk(np.ones(3), hidden_layers=1)
