"""The Nystrom method against closed forms, the exact spectrum where it is exact, and formulas written another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.spectra.nystrom import feature_eigenfunctions, nystrom_eigendecompose, nystrom_eigenfunctions


def features(n, p=6, seed=0):
    return np.random.default_rng(seed).standard_normal((n, p)) * np.arange(1, p + 1) ** -0.7


def test_with_all_points_as_landmarks_it_is_the_exact_spectrum():
    K = np.exp(-np.square(features(40)[:, None] - features(40)[None]).sum(axis=2))
    values, vectors = np.linalg.eigh(K)
    found = nystrom_eigenfunctions(K, 8)
    np.testing.assert_allclose(40 * found.values, values[::-1][:8], rtol=1e-11)
    functions = found.functions(K)
    exact = vectors[:, ::-1][:, :8] * np.sqrt(40)
    np.testing.assert_allclose(np.abs((functions * exact).mean(axis=0)), 1, rtol=1e-9)
    result = nystrom_eigendecompose(K, np.random.default_rng(0).permutation(40), 8)
    np.testing.assert_allclose(result.values, values[::-1][:8], rtol=1e-8)
    assert result.residual == pytest.approx(
        np.linalg.norm(K @ result.vectors - result.vectors * result.values) / np.linalg.norm(K)
    )


def test_on_the_circle_the_functions_are_sines_and_cosines_at_any_point():
    """K(s, t) = sum_j a_j cos(j (s - t)) has eigenvalues a_0, a_j / 2 (twice) under the uniform law, which 16 equispaced
    landmarks give exactly for j < 8."""
    amplitudes = np.array([0.5, 2.0, 0.7, 0.2])

    def kernel(s, t):
        return np.cos((s[:, None] - t[None])[..., None] * np.arange(4)) @ amplitudes

    landmarks = 2 * np.pi * np.arange(16) / 16
    found = nystrom_eigenfunctions(kernel(landmarks, landmarks))
    np.testing.assert_allclose(found.values, [1, 1, 0.5, 0.35, 0.35, 0.1, 0.1], rtol=1e-12)
    points = np.linspace(0, 7, 23)
    functions = found.functions(kernel(points, landmarks))
    # The pair of frequency 1 spans sqrt(2) cos and sqrt(2) sin: the sum of their squares is 2 everywhere.
    np.testing.assert_allclose(np.square(functions[:, :2]).sum(axis=1), 2, rtol=1e-11)
    np.testing.assert_allclose(np.square(functions[:, 2]), 1, rtol=1e-11)
    fit, *_ = np.linalg.lstsq(np.stack([np.cos(points), np.sin(points)], axis=1), functions[:, :2])
    np.testing.assert_allclose(fit.T @ fit, 2 * np.eye(2), atol=1e-11)


@settings(max_examples=25, deadline=None)
@given(m=st.integers(2, 30), p=st.integers(1, 12), data=st.data())
def test_features_and_their_kernel_give_the_same_functions(m, p, data):
    k = data.draw(st.one_of(st.none(), st.integers(1, 12)))
    Phi, other = features(m, p), features(9, p, seed=1)
    by_kernel, by_features = nystrom_eigenfunctions(Phi @ Phi.T, k), feature_eigenfunctions(Phi, k)
    np.testing.assert_allclose(by_kernel.values, by_features.values, rtol=1e-7)
    first, second = by_kernel.functions(other @ Phi.T), by_features.functions(other)
    np.testing.assert_allclose(np.abs(first * second).sum(), np.square(second).sum(), rtol=1e-5)
    own = by_features.functions(Phi)
    np.testing.assert_allclose(own.T @ own / m, np.eye(own.shape[1]), atol=1e-6)


def test_directions_of_round_off_are_left_out():
    Phi = features(30, 4)
    assert len(nystrom_eigenfunctions(Phi @ Phi.T).values) == 4
    assert len(feature_eigenfunctions(np.hstack([Phi, Phi])).values) == 4


def test_the_low_rank_spectrum_by_its_formula_and_below_the_exact_one():
    points = features(80)
    K = np.exp(-0.3 * np.square(points[:, None] - points[None]).sum(axis=2))
    chosen = np.random.default_rng(3).permutation(80)[:25]
    result = nystrom_eigendecompose(K, chosen, 6)
    approximation = K[:, chosen] @ np.linalg.inv(K[np.ix_(chosen, chosen)]) @ K[chosen]
    np.testing.assert_allclose(result.values, np.linalg.eigvalsh(approximation)[::-1][:6], rtol=1e-7)
    exact = np.linalg.eigvalsh(K)[::-1]
    assert (result.values <= exact[:6] * (1 + 1e-9)).all()
    assert result.method == "nystrom" and result.orthogonality < 1e-7
    assert result.captured == pytest.approx(result.values.sum() / 80)
    nearest = np.abs(exact[None] - result.values[:, None]).min(axis=1)
    assert (nearest <= result.errors + 1e-12).all() and result.errors.max() > 1e-6


def test_the_low_rank_spectrum_of_few_features_is_exact():
    Phi = features(60, 5)
    result = nystrom_eigendecompose(Phi @ Phi.T, [1, 4, 9, 16, 25, 36, 49])
    np.testing.assert_allclose(result.values, np.linalg.svd(Phi, compute_uv=False) ** 2, rtol=1e-7)
    assert result.residual < 1e-7


def test_a_kernel_that_is_not_positive_semidefinite_on_its_landmarks_is_reported():
    K = np.diag(np.concatenate([[-0.5], np.arange(1.0, 20)]))
    result = nystrom_eigendecompose(K, np.arange(10))
    assert result.most_negative == pytest.approx(-0.5) and not result.positive_semidefinite
    assert nystrom_eigenfunctions(K).most_negative == pytest.approx(-0.5 / 20)


def test_errors_say_what_is_wrong():
    K = np.eye(5)
    found = nystrom_eigenfunctions(K)
    with pytest.raises(ValueError, match=r"shape \(4, 3\); expected \(points, 5\)"):
        found.functions(np.ones((4, 3)))
    with pytest.raises(ValueError, match="k=0 eigenfunctions"):
        nystrom_eigenfunctions(K, 0)
    with pytest.raises(ValueError, match="no positive eigenvalue"):
        nystrom_eigenfunctions(-K)
    with pytest.raises(ValueError, match="distinct row numbers"):
        nystrom_eigendecompose(K, [1, 1])
    with pytest.raises(ValueError, match="landmarks from 2 to 5; the matrix has 5 rows"):
        nystrom_eigendecompose(K, [2, 5])
    with pytest.raises(ValueError, match="one row a landmark"):
        feature_eigenfunctions(np.ones(3))
