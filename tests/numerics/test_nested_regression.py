"""Every training-set size from one factorisation, against a regression of its own for each size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.kernels.cholesky import cholesky_factor
from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.nested_regression import learning_curve, nested_kernel_regression
from lazyrich.kernels.regression import kernel_regression


def problem(n, n_test=7, outputs=None, seed=0):
    rng = np.random.default_rng(seed)
    x, z = rng.standard_normal((n, 12)), rng.standard_normal((n_test, 12))
    shape = () if outputs is None else (outputs,)
    targets = [rng.standard_normal((count, *shape)) for count in (n, n_test)]
    return relu_ntk(x, hidden_layers=2), targets[0], relu_ntk(z, x, hidden_layers=2), targets[1]


def separately(K, y, K_test, size, shift):
    return K_test[:, :size] @ np.linalg.solve(K[:size, :size] + shift * np.eye(size), y[:size])


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 40), outputs=st.sampled_from([None, 1, 3]), ridge=st.sampled_from([0.0, 0.1]), data=st.data())
def test_every_size_equals_a_solve_of_its_own(n, outputs, ridge, data):
    K, y, K_test, y_test = problem(n, outputs=outputs)
    chosen = data.draw(st.none() | st.sets(st.integers(1, n), min_size=1).map(sorted))
    sizes = chosen or range(1, n + 1)
    shift = ridge + 1e-3 * np.trace(K) / n
    expected = np.stack([separately(K, y, K_test, size, shift) for size in sizes])
    found = nested_kernel_regression(K, y, K_test, chosen, ridge=ridge, jitter=1e-3)
    assert found.jitter == 1e-3 and found.sizes.tolist() == list(sizes)
    assert found.predictions.shape == expected.shape
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-11, atol=1e-11)
    budget = data.draw(st.sampled_from([1, 2000, 2**28]))
    curve = learning_curve(K, y, K_test, y_test, chosen, ridge=ridge, jitter=1e-3, memory_budget=budget)
    np.testing.assert_allclose(curve.errors, np.square(expected - y_test).mean(axis=1), rtol=1e-10)
    assert curve.jitter == 1e-3 and curve.sizes.tolist() == list(sizes)


def test_agrees_to_1e_12_with_separate_factorisations_of_the_same_absolute_jitter():
    K, y, K_test, _ = problem(600, n_test=50)
    shift = 1e-6 * float(np.diag(K).mean())
    found = nested_kernel_regression(K, y, K_test, [1, 17, 300, 599, 600])
    for size, predictions in zip(found.sizes, found.predictions, strict=True):
        alone = kernel_regression(K[:size, :size], y[:size], K_test[:, :size], ridge=shift, jitter=0)
        np.testing.assert_allclose(predictions, alone.predictions, rtol=0, atol=1e-12 * np.abs(alone.predictions).max())


def test_targets_beyond_a_size_do_not_matter():
    """So targets that differ between sizes can stand side by side, padded."""
    K, y, K_test, _ = problem(30)
    padded = np.stack([y, np.where(np.arange(30) < 11, y, 1e6)], axis=1)
    first, second = nested_kernel_regression(K, padded, K_test, [11]).predictions[0].T
    assert np.array_equal(first, second)


def test_kernels_are_left_alone_unless_given_away():
    K, y, K_test, y_test = problem(40)
    kept, kept_test = K.copy(), K_test.copy()
    expected = learning_curve(K, y, K_test, y_test)
    assert np.array_equal(K, kept) and np.array_equal(K_test, kept_test)
    given_away = learning_curve(K, y, K_test, y_test, overwrite=True)
    assert np.array_equal(given_away.errors, expected.errors) and not np.array_equal(K, kept)


@pytest.mark.parametrize("shape", [(9,), (9, 1), (9, 4), (9, 0)])
def test_whitening_inverts_the_factor(shape):
    K = problem(9)[0]
    factor = cholesky_factor(K, ridge=0.1, jitter=0)
    B = np.random.default_rng(0).standard_normal(shape)
    kept = B.copy()
    whitened = factor.whiten(B)
    assert whitened.shape == shape and np.array_equal(B, kept)
    np.testing.assert_allclose(np.tril(factor.lower) @ whitened, B, rtol=1e-12, atol=1e-12)


def test_a_jitter_that_the_largest_size_needs_is_given_to_all():
    """A repeated point makes the largest matrix singular, the smaller ones not."""
    K, y, K_test, _ = problem(12)
    order = [*range(12), 11]
    K, y, K_test = K[np.ix_(order, order)], y[order], K_test[:, order]
    assert nested_kernel_regression(K[:12, :12], y[:12], K_test[:, :12], [5], jitter=0).jitter == 0
    found = nested_kernel_regression(K - 1e-9 * np.eye(13), y, K_test, [5], jitter=0)
    assert found.jitter > 1e-10
    shift = found.jitter * np.trace(K - 1e-9 * np.eye(13)) / 13 - 1e-9
    np.testing.assert_allclose(found.predictions[0], separately(K, y, K_test, 5, shift), rtol=1e-10)


def test_errors_say_what_is_wrong():
    K, y, K_test, y_test = problem(6)
    for sizes in ([], [0, 2], [3, 3], [4, 2], [7], [1.5], [[1, 2]]):
        with pytest.raises(ValueError, match="increasing whole numbers between 1 and 6"):
            nested_kernel_regression(K, y, K_test, sizes)
    with pytest.raises(ValueError, match=r"K_test \(6, 7\)"):
        nested_kernel_regression(K, y, K_test.T)
    with pytest.raises(ValueError, match=r"y_test has shape \(6,\); expected \(7,\)"):
        learning_curve(K, y, K_test, y_test[:6])
    with pytest.raises(ValueError, match="n_test >= 1"):
        learning_curve(K, y, K_test[:0], y_test[:0])
