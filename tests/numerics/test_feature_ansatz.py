"""The neural feature ansatz against plain expressions, its decomposition, and the rotation null."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.func import jacrev

from cases import CASES
from lazyrich.metrics.ansatz import (
    centered_correlation,
    centered_ratio,
    double_centered_correlations,
    gradient_product_contributions,
    random_rotation,
    rotated_covariance_null,
    uncentered_correlation,
)
from lazyrich.metrics.feature_matrices import effective_weight, ptk_feature_covariance
from lazyrich.metrics.matrix_correlation import cosine, matrix_correlation, matrix_power, pearson


def layer(fan_out=6, fan_in=4, seed=0):
    """W, W_0, K, K_0."""
    rng = np.random.default_rng(seed)
    W, W0 = rng.standard_normal((2, fan_out, fan_in))
    A, B = rng.standard_normal((2, fan_out, fan_out))
    return W, W0, A @ A.T, B @ B.T


def rho(A, B):
    return np.trace(A.T @ B) / np.sqrt(np.trace(A.T @ A) * np.trace(B.T @ B))


@pytest.mark.parametrize("name", ["relu", "tanh", "multipliers"])
def test_correlations_of_a_network_equal_plain_jacobians(name):
    """From weights and per-sample Jacobians alone, without the library's covariance."""
    case = next(case for case in CASES if case.name == name)
    trained, initial, x = case.model(seed=3).eval(), case.model(seed=4).eval(), case.inputs(8)
    multiplier = getattr(trained[0], "multiplier", 1.0)
    W, W0 = (multiplier * model[0].weight.detach() for model in (trained, initial))
    K = torch.zeros(len(W), len(W), dtype=torch.float64)
    for sample in x:
        jacobian = jacrev(lambda h: trained[1:](h[None])[0])(trained[0](sample)).detach()
        K += jacobian.T @ jacobian / len(x)
    change = W - W0
    uncentered = rho((W.T @ W).numpy(), (W.T @ K @ W).numpy())
    centered = rho((change.T @ change).numpy(), (change.T @ K @ change).numpy())
    covariance = ptk_feature_covariance(trained, x, trained[0])
    weight, initial_weight = effective_weight(trained[0]), effective_weight(initial[0])
    assert uncentered_correlation(weight, covariance) == pytest.approx(uncentered, abs=1e-10)
    assert centered_correlation(weight, initial_weight, covariance) == pytest.approx(centered, abs=1e-10)


@settings(max_examples=25, deadline=None)
@given(fan_out=st.integers(1, 8), fan_in=st.integers(1, 8), seed=st.integers(0, 1000))
def test_shares_sum_to_one_and_match_their_definition(fan_out, fan_in, seed):
    W, W0, K, K0 = layer(fan_out, fan_in, seed)
    shares = gradient_product_contributions(W, W0, K, K0)
    assert len(shares) == 8
    assert sum(shares.values()) == pytest.approx(1, abs=1e-9 * (1 + np.abs(list(shares.values())).max()))
    F = W.T @ W
    total = np.trace(F @ W.T @ K @ W)
    term = np.trace(F @ W0.T @ (K - K0) @ (W - W0)) / total
    assert shares["initial", "change", "change"] == pytest.approx(term, rel=1e-8, abs=1e-10)
    assert shares["change", "change", "initial"] == pytest.approx(term, rel=1e-8, abs=1e-10)
    change = W - W0
    ratio = np.trace(change.T @ change @ change.T @ K @ change) / total
    assert centered_ratio(W, W0, K) == pytest.approx(ratio, rel=1e-9)


def test_double_centering_by_hand():
    W, W0, K, K0 = layer()
    change = W - W0
    F = change.T @ change
    result = double_centered_correlations(W, W0, K, K0)
    assert result.changed == pytest.approx(rho(F, change.T @ (K - K0) @ change), abs=1e-12)
    assert result.initial == pytest.approx(rho(F, change.T @ K0 @ change), abs=1e-12)


def test_perfect_ansatz_and_zero_initialisation():
    W, _, K, _ = layer()
    assert uncentered_correlation(W, np.eye(6)) == pytest.approx(1)
    assert centered_correlation(W, np.zeros_like(W), K) == uncentered_correlation(W, K)
    assert centered_ratio(W, np.zeros_like(W), K) == pytest.approx(1)
    # At initialisation C-NFA is 0/0.
    assert np.isnan(centered_correlation(W, W, K))
    assert centered_ratio(W, W, K) == 0
    assert np.isnan(centered_ratio(0 * W, W, K))
    # W = K^(1/2) of full rank: the outer product is the square of the feature matrix, and its root matches.
    root = matrix_power(K, 0.5)
    assert uncentered_correlation(root, K, power=0.5) == pytest.approx(1)
    assert uncentered_correlation(root, K) < 0.999


def test_correlations_do_not_see_multipliers_or_rotations_of_the_inputs():
    W, W0, K, _ = layer()
    Q = random_rotation(4, np.random.default_rng(0))
    assert uncentered_correlation(3 * W @ Q, 5 * K) == pytest.approx(uncentered_correlation(W, K), abs=1e-12)
    assert centered_correlation(3 * W @ Q, 3 * W0 @ Q, K) == pytest.approx(centered_correlation(W, W0, K), abs=1e-12)


def test_rotations_are_orthogonal_and_uniform():
    generator = np.random.default_rng(0)
    rotations = np.stack([random_rotation(3, generator) for _ in range(4000)])
    np.testing.assert_allclose(rotations[0] @ rotations[0].T, np.eye(3), atol=1e-14)
    # Haar: every entry has mean 0 and variance 1/3, and so has the trace, with variance 1.
    assert np.abs(rotations.mean(axis=0)).max() < 5 / np.sqrt(3 * 4000)
    assert np.abs(np.square(rotations).mean(axis=0) - 1 / 3).max() < 0.03
    trace = np.trace(rotations, axis1=1, axis2=2)
    assert abs(trace.mean()) < 5 / np.sqrt(4000)
    assert trace.var() == pytest.approx(1, abs=0.15)


def test_null_lies_between_chance_and_alignment():
    """An aligned K correlates more than its rotations, whose mean is known: K turns into tr(K)/d I on average."""
    rng = np.random.default_rng(0)
    W = rng.standard_normal((40, 20)) * np.exp(-np.arange(20) / 3)
    K = W @ W.T
    observed = uncentered_correlation(W, K)
    null = rotated_covariance_null(W, K, np.random.default_rng(1), rotations=200)
    assert null.shape == (200,)
    assert null.max() < observed
    assert np.array_equal(null[:3], rotated_covariance_null(W, K, np.random.default_rng(1), rotations=3))
    unrotated = rotated_covariance_null(W, np.eye(40), np.random.default_rng(2), rotations=2)
    np.testing.assert_allclose(unrotated, 1, atol=1e-12)
    with pytest.raises(ValueError, match="rotations=0"):
        rotated_covariance_null(W, K, rng, rotations=0)


def test_rotated_covariance_written_out():
    W, _, K, _ = layer()
    Q = random_rotation(6, np.random.default_rng(5))
    expected = rho(W.T @ W, W.T @ Q @ K @ Q.T @ W)
    assert rotated_covariance_null(W, K, np.random.default_rng(5), 1)[0] == pytest.approx(expected, abs=1e-12)


def test_matrix_correlations_and_powers():
    A, B = np.random.default_rng(0).standard_normal((2, 5, 5))
    assert cosine(A, B) == pytest.approx(rho(A, B), abs=1e-14)
    assert pearson(A, B) == pytest.approx(np.corrcoef(A.ravel(), B.ravel())[0, 1], abs=1e-14)
    assert np.isnan(cosine(A, 0 * B))
    assert np.isnan(pearson(A, np.full((5, 5), 0.1)))
    S = A @ A.T
    np.testing.assert_allclose(matrix_power(S, 0.5) @ matrix_power(S, 0.5), S, atol=1e-12)
    np.testing.assert_allclose(matrix_power(S, 3), S @ S @ S, rtol=1e-10, atol=1e-9)
    assert matrix_correlation(matrix_power(S, 1 / 3), S, power=1 / 3) == pytest.approx(1)
    assert matrix_correlation(A, B, kind="pearson") == pearson(A, B)
    low_rank = A[:, :2] @ A[:, :2].T
    np.testing.assert_allclose(matrix_power(low_rank, -1), np.linalg.pinv(low_rank), rtol=1e-8, atol=1e-8)


def test_errors_say_what_is_wrong():
    W, W0, K, _ = layer()
    with pytest.raises(ValueError, match=r"weight \(4, 6\)"):
        uncentered_correlation(W.T, K)
    with pytest.raises(ValueError, match="differ"):
        centered_correlation(W, W0[:5], K)
    with pytest.raises(ValueError, match="'spearman'"):
        uncentered_correlation(W, K, kind="spearman")
    with pytest.raises(ValueError, match="eigenvalue -1"):
        matrix_power(np.diag([1.0, -1.0]), 0.5)
    with pytest.raises(ValueError, match="not symmetric"):
        matrix_power(W0[:4], 0.5)
    with pytest.raises(ValueError, match=r"\(6, 4\)"):
        matrix_power(W, 0.5)
    with pytest.raises(ValueError, match="must agree"):
        cosine(W, K)
