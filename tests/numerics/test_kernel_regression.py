"""Kernel regression against a plain solve and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

from lazyrich.kernels.regression import kernel_regression


def problem(n, n_test=5, outputs=2, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((n, 3)), rng.standard_normal((n_test, 3))
    K = np.exp(-np.square(x[:, None] - x).sum(axis=2))
    return K, rng.standard_normal((n, outputs)), np.exp(-np.square(z[:, None] - x).sum(axis=2))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 30), outputs=st.integers(1, 3), ridge=st.sampled_from([0.0, 0.1]), overwrite=st.booleans())
def test_equals_a_plain_solve(n, outputs, ridge, overwrite):
    K, y, K_test = problem(n, outputs=outputs)
    kept = K.copy()
    result = kernel_regression(K, y, K_test, ridge=ridge, jitter=1e-4, overwrite=overwrite)
    expected = K_test @ np.linalg.solve(kept + (ridge + 1e-4 * np.trace(kept) / n) * np.eye(n), y)
    assert result.jitter == 1e-4
    np.testing.assert_allclose(result.predictions, expected, rtol=1e-10, atol=1e-10)
    if not overwrite:
        assert np.array_equal(K, kept)


def test_equals_scikit_learn():
    K, y, K_test = problem(40)
    expected = KernelRidge(alpha=0.3, kernel="precomputed").fit(K, y).predict(K_test)
    np.testing.assert_allclose(kernel_regression(K, y, K_test, ridge=0.3, jitter=0).predictions, expected, rtol=1e-10)


def test_one_dimensional_targets_and_float32_kernels():
    K, y, K_test = problem(20)
    result = kernel_regression(K.astype(np.float32), y[:, 0], K_test, ridge=0.1, overwrite=True)
    assert result.predictions.shape == (5,)
    assert result.predictions.dtype == np.float64


@pytest.mark.parametrize("n", [3, 700])
def test_jitter_grows_until_the_factorisation_passes(n):
    """An eigenvalue of -3e-5 of the mean diagonal needs jitter 1e-4; what a failed attempt spoilt is restored."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    values = rng.uniform(0.5, 1.5, n)
    values[-1] = -3e-5
    K = (Q * values) @ Q.T
    K = (K + K.T) / 2 / np.trace(K) * n
    y = rng.standard_normal(n)
    result = kernel_regression(K, y, K[:2], jitter=1e-6)
    assert result.jitter == pytest.approx(1e-4)
    expected = K[:2] @ np.linalg.solve(K + result.jitter * np.eye(n), y)
    np.testing.assert_allclose(result.predictions, expected, rtol=1e-7, atol=1e-7)


def test_jitter_from_zero():
    K = np.ones((4, 4)) - 1e-9 * np.eye(4)
    assert 0 < kernel_regression(K, np.ones(4), K, jitter=0.0).jitter <= 1e-7


def test_an_indefinite_matrix_is_an_error():
    K = np.array([[1.0, 2.0], [2.0, 1.0]])
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite even with jitter 0.01"):
        kernel_regression(K, np.ones(2), K)


def test_errors_say_what_is_wrong():
    K, y, K_test = problem(6)
    with pytest.raises(ValueError, match=r"K_test \(6, 5\)"):
        kernel_regression(K, y, K_test.T)
    with pytest.raises(ValueError, match="ridge=-1"):
        kernel_regression(K, y, K_test, ridge=-1)
    K[2, 3] = np.nan
    with pytest.raises(ValueError, match="K_train has 1 entries"):
        kernel_regression(K, y, K_test)
    with pytest.raises(ValueError, match="mean diagonal"):
        kernel_regression(np.zeros((6, 6)), y, K_test)
