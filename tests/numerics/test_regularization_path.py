"""Many ridges from one decomposition, against scikit-learn and leaving samples out one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.regression import kernel_regression
from lazyrich.kernels.regularization_path import CROSSOVER, METHODS, ridge_path


def problem(n, outputs=None, n_test=5, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((n, 8)), rng.standard_normal((n_test, 8))
    y = rng.standard_normal((n,) if outputs is None else (n, outputs))
    return relu_ntk(x, hidden_layers=1), y, relu_ntk(z, x, hidden_layers=1)


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(1, 30),
    outputs=st.sampled_from([None, 1, 3]),
    ridges=st.lists(st.sampled_from([1e-3, 0.1, 1.0, 30.0]), min_size=1, max_size=5),
    method=st.sampled_from(METHODS),
    overwrite=st.booleans(),
)
def test_equals_scikit_learn_at_every_ridge(n, outputs, ridges, method, overwrite):
    K, y, K_test = problem(n, outputs)
    kept = K.copy()
    found = ridge_path(K, y, K_test, ridges, jitter=0, method=method, overwrite=overwrite)
    expected = [KernelRidge(alpha=ridge, kernel="precomputed").fit(kept, y).predict(K_test) for ridge in ridges]
    assert found.predictions.shape == (len(ridges), 5, *y.shape[1:]) and found.leave_one_out is None
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-10, atol=1e-10)
    assert found.ridges.tolist() == ridges and found.jitter == 0
    assert overwrite or np.array_equal(K, kept)


@pytest.mark.parametrize("outputs", [None, 2])
def test_leave_one_out_equals_leaving_out_one_by_one(outputs):
    K, y, K_test = problem(15, outputs)
    ridges = [1e-2, 1.0]
    found = ridge_path(K, y, K_test, ridges, leave_one_out=True)
    assert found.method == "eigh" and found.leave_one_out.shape == (2, *y.shape)
    shift = found.jitter * np.diag(K).mean()
    for ridge, residuals in zip(ridges, found.leave_one_out, strict=True):
        for i in range(15):
            others = np.delete(np.arange(15), i)
            fit = kernel_regression(
                K[np.ix_(others, others)], y[others], K[[i]][:, others], ridge=ridge + shift, jitter=0
            )
            np.testing.assert_allclose(y[i] - fit.predictions[0], residuals[i], rtol=1e-9)


def test_the_method_follows_the_number_of_ridges():
    K, y, K_test = problem(20)
    assert ridge_path(K, y, K_test, np.ones(CROSSOVER - 1)).method == "cholesky"
    assert ridge_path(K, y, K_test, np.ones(CROSSOVER)).method == "tridiagonal"


@pytest.mark.parametrize("method", METHODS)
def test_one_jitter_for_all_is_what_the_smallest_ridge_needs(method):
    """An eigenvalue of -3e-5 of the mean diagonal needs jitter 1e-4 if the ridge is 0, and none if it is larger."""
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    values = rng.uniform(0.5, 1.5, 40)
    values[-1] = -3e-5
    K = (Q * (values / values.mean())) @ Q.T
    K, y = (K + K.T) / 2, rng.standard_normal(40)
    found = ridge_path(K, y, K[:3], [1.0, 0.0], method=method)
    assert found.jitter == pytest.approx(1e-4)
    for ridge, predictions in zip(found.ridges, found.predictions, strict=True):
        alone = K[:3] @ np.linalg.solve(K + (ridge + 1e-4) * np.eye(40), y)
        np.testing.assert_allclose(predictions, alone, rtol=1e-8, atol=1e-8)
    assert ridge_path(K, y, K[:3], [1.0], method=method).jitter == 1e-6
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite even with jitter 0.01"):
        ridge_path(K - 0.9 * np.eye(40), y, K[:3], [0.0], method=method)


def test_errors_say_what_is_wrong():
    K, y, K_test = problem(6)
    for ridges in ([], [-1.0], [np.nan], [[1.0]]):
        with pytest.raises(ValueError, match="give one or more finite numbers"):
            ridge_path(K, y, K_test, ridges)
    with pytest.raises(ValueError, match="method='svd'"):
        ridge_path(K, y, K_test, [1.0], method="svd")
    with pytest.raises(ValueError, match="needs method='eigh', not 'cholesky'"):
        ridge_path(K, y, K_test, [1.0], method="cholesky", leave_one_out=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lazyrich.kernels.regularization_path.MAXIMAL_EIGH", 5)
        with pytest.raises(ValueError, match="takes up to 5 samples"):
            ridge_path(K, y, K_test, [1.0], leave_one_out=True)
