"""Gradient flow of a kernel against its differential equation, gradient descent in small steps, and kernel regression."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.gradient_flow import stopped_gradient_flow


@pytest.fixture(scope="module")
def problem():
    generator = np.random.default_rng(0)
    x, z = generator.standard_normal((30, 5)), generator.standard_normal((11, 5))
    y = np.stack([np.sin(x).sum(axis=1), x[:, 0] * x[:, 1]], axis=1)
    return relu_ntk(x, hidden_layers=2), y, relu_ntk(z, x, hidden_layers=2)


@pytest.mark.parametrize("share", [0.9, 0.3, 0.02])
def test_predictions_solve_the_differential_equation(problem, share):
    """d f / dt = -K (f - y) on the training points and the same on the others, integrated to the time that is found."""
    K, y, other = problem
    loss = share * np.square(y).mean()
    found = stopped_gradient_flow(K, y, other, loss)
    both = np.concatenate([K, other])

    def flow(_, outputs):
        outputs = outputs.reshape(len(both), y.shape[1])
        return (-both @ (outputs[: len(K)] - y)).ravel()

    solved = solve_ivp(
        flow, (0, found.time), np.zeros(both.shape[0] * y.shape[1]), method="LSODA", rtol=1e-10, atol=1e-12
    )
    end = solved.y[:, -1].reshape(len(both), y.shape[1])
    np.testing.assert_allclose(found.predictions, end[len(K) :], rtol=1e-6, atol=1e-7)
    assert np.square(end[: len(K)] - y).mean() == pytest.approx(loss, rel=1e-6)
    assert found.loss == pytest.approx(loss, rel=1e-9)


def test_gradient_descent_of_a_linear_model_passes_through_it():
    """f = A(x) theta by gradient descent in small steps: its tangent kernel A A^T stands still."""
    generator = np.random.default_rng(1)
    features, unseen = generator.standard_normal((12, 40)), generator.standard_normal((7, 40))
    y = generator.standard_normal((12, 1))
    theta = np.zeros((40, 1))
    for _ in range(4000):
        theta -= 2e-6 * features.T @ (features @ theta - y)
    loss = np.square(features @ theta - y).mean()
    assert 0.05 < loss / np.square(y).mean() < 0.95
    found = stopped_gradient_flow(features @ features.T, y, unseen @ features.T, loss)
    np.testing.assert_allclose(found.predictions, unseen @ theta, rtol=1e-3, atol=1e-4)


def test_ends_of_the_flow(problem):
    K, y, other = problem
    begun = stopped_gradient_flow(K, y, other, 2 * np.square(y).mean())
    assert begun.time == 0 and not begun.predictions.any()
    ended = stopped_gradient_flow(K, y, other, 0.0)
    assert math.isinf(ended.time) and ended.loss < 1e-20
    np.testing.assert_allclose(ended.predictions, other @ np.linalg.solve(K, y), rtol=1e-6)


def test_what_a_singular_kernel_cannot_fit_stays():
    """Two equal points with different targets: half of the variance is out of reach, and the rest is fitted."""
    K, y = np.ones((2, 2)), np.array([[1.0], [-1.0]])
    found = stopped_gradient_flow(K, y + 1, np.ones((1, 2)), 0.5)
    assert math.isinf(found.time) and found.loss == pytest.approx(1.0)
    np.testing.assert_allclose(found.predictions, [[1.0]])
    np.testing.assert_allclose(stopped_gradient_flow(0 * K, y, np.ones((1, 2)), 0.1).predictions, [[0.0]])


def test_the_scale_of_the_kernel_is_a_unit_of_time(problem):
    K, y, other = problem
    one, thousand = (stopped_gradient_flow(s * K, y, s * other, 0.1) for s in (1, 1000))
    np.testing.assert_allclose(one.predictions, thousand.predictions, rtol=1e-8)
    assert one.time / thousand.time == pytest.approx(1000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda K, y, other: (K[:3], y, other, 0.1), "do not fit"),
        (lambda K, y, other: (K, y, other[:, :3], 0.1), "do not fit"),
        (lambda K, y, other: (K, y * np.nan, other, 0.1), "not finite"),
        (lambda K, y, other: (K, y, other, -0.1), "must not be negative"),
        (lambda K, y, other: (K, y, other, math.nan), "must not be negative"),
    ],
)
def test_what_is_refused(problem, change, message):
    with pytest.raises(ValueError, match=message):
        stopped_gradient_flow(*change(*problem))
