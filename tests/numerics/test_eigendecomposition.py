"""The eigendecomposition against numpy, and its account of its own quality."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.spectra.eigen import eigendecompose


def kernel(n, p, seed=0):
    A = np.random.default_rng(seed).standard_normal((n, p))
    return A @ A.T / p


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 25), p=st.integers(1, 40), data=st.data())
def test_equals_numpy(n, p, data):
    k = data.draw(st.one_of(st.none(), st.integers(1, n)))
    K = kernel(n, p)
    kept = K.copy()
    result = eigendecompose(K, k)
    values, vectors = np.linalg.eigh(K)
    np.testing.assert_allclose(result.values, values[::-1][:k], rtol=1e-10, atol=1e-12 * values[-1])
    assert result.vectors.shape == (n, k or n)
    top = result.vectors[:, 0]
    assert abs(top @ vectors[:, -1]) == pytest.approx(1, abs=1e-8)
    assert top[np.abs(top).argmax()] > 0
    assert max(result.residual, result.orthogonality) < 1e-12
    assert result.captured == pytest.approx(values[::-1][:k].sum() / values.sum(), rel=1e-10)
    assert result.most_negative == pytest.approx(values[0], abs=1e-12 * values[-1])
    assert np.array_equal(K, kept)


def test_all_pairs_rebuild_the_matrix():
    K = kernel(30, 10)
    result = eigendecompose(K)
    np.testing.assert_allclose((result.vectors * result.values) @ result.vectors.T, K, atol=1e-12)
    assert result.captured == pytest.approx(1)


def test_negative_eigenvalues_are_reported_also_for_the_leading_pairs():
    K = kernel(12, 40) - 5 * np.outer(np.eye(12)[0], np.eye(12)[0])
    result = eigendecompose(K, k=2)
    assert result.most_negative == pytest.approx(np.linalg.eigvalsh(K)[0])
    assert result.most_negative < -1


def test_float32_asymmetry_is_averaged_and_more_is_an_error():
    K = kernel(10, 20)
    noisy = K + 1e-7 * np.random.default_rng(1).standard_normal(K.shape)
    np.testing.assert_allclose(eigendecompose(noisy).values, eigendecompose((noisy + noisy.T) / 2).values, rtol=1e-12)
    with pytest.raises(ValueError, match="differs from its transpose"):
        eigendecompose(np.triu(K))


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        eigendecompose(np.ones((2, 3)))
    with pytest.raises(ValueError, match="k=4"):
        eigendecompose(np.eye(3), k=4)
    with pytest.raises(ValueError, match="not finite"):
        eigendecompose(np.full((2, 2), np.nan))
