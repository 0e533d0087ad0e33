"""CKA and HSIC against their formulas written out, and their invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.kernels.alignment import (
    centered_kernel_alignment,
    centered_kernel_alignment_from_features,
    centered_kernel_distance,
    hilbert_schmidt_independence_criterion,
)
from lazyrich.metrics.strength import ntk_strength


def features(n=8, p=4, q=3, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, p)), rng.standard_normal((n, q)) + 1


def unbiased_hsic(K, L):
    """The U-statistic as a sum over distinct quadruples would give it, in the closed form of Song et al. (2012)."""
    n = len(K)
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    ones = np.ones(n)
    return (
        np.trace(K @ L)
        + (ones @ K @ ones) * (ones @ L @ ones) / ((n - 1) * (n - 2))
        - 2 / (n - 2) * (ones @ K @ L @ ones)
    ) / (n * (n - 3))


@settings(max_examples=25, deadline=None)
@given(n=st.integers(4, 12), p=st.integers(1, 20), q=st.integers(1, 20))
def test_equals_the_formulas(n, p, q):
    A, B = features(n, p, q)
    K, L, H = A @ A.T, B @ B.T, np.eye(n) - 1 / n
    biased = np.trace(K @ H @ L @ H) / np.sqrt(np.trace(K @ H @ K @ H) * np.trace(L @ H @ L @ H))
    assert centered_kernel_alignment(K, L) == pytest.approx(biased, abs=1e-10)
    assert centered_kernel_distance(K, L) == pytest.approx(1 - biased, abs=1e-10)
    assert centered_kernel_alignment_from_features(A, B) == pytest.approx(biased, abs=1e-10)
    plain = np.sum(K * L) / np.linalg.norm(K) / np.linalg.norm(L)
    assert centered_kernel_alignment(K, L, centered=False) == pytest.approx(plain, abs=1e-12)
    assert centered_kernel_alignment_from_features(A, B, centered=False) == pytest.approx(plain, abs=1e-12)
    hsic = hilbert_schmidt_independence_criterion(K, L)
    assert hsic == pytest.approx(np.trace(K @ H @ L @ H) / (n - 1) ** 2, rel=1e-9, abs=1e-10)
    assert hilbert_schmidt_independence_criterion(K, L, unbiased=True) == pytest.approx(
        unbiased_hsic(K, L), rel=1e-8, abs=1e-9
    )


def test_unbiased_alignment_is_the_ratio_of_unbiased_hsics():
    K, L = (F @ F.T for F in features(9))
    expected = unbiased_hsic(K, L) / np.sqrt(unbiased_hsic(K, K) * unbiased_hsic(L, L))
    assert centered_kernel_alignment(K, L, unbiased=True) == pytest.approx(expected, abs=1e-12)


def test_unbiased_hsic_of_independent_features_is_zero_in_the_mean():
    values = []
    for seed in range(400):
        A, B = features(10, 3, 3, seed)
        values.append(hilbert_schmidt_independence_criterion(A @ A.T, B @ B.T, unbiased=True))
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize("unbiased", [False, True])
def test_invariances(unbiased):
    A, B = features(10)
    K, L = A @ A.T, B @ B.T
    value = centered_kernel_alignment(K, L, unbiased=unbiased)
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))[0]
    moved = 7 * A @ rotation + 2
    assert centered_kernel_alignment(moved @ moved.T, L, unbiased=unbiased) == pytest.approx(value, abs=1e-10)
    assert centered_kernel_alignment(L, K, unbiased=unbiased) == pytest.approx(value, abs=1e-14)
    order = np.random.default_rng(2).permutation(10)
    permuted = centered_kernel_alignment(K[np.ix_(order, order)], L[np.ix_(order, order)], unbiased=unbiased)
    assert permuted == pytest.approx(value, abs=1e-12)
    assert centered_kernel_alignment(K, 3 * K, unbiased=unbiased) == pytest.approx(1, abs=1e-12)


def test_strength_keeps_its_digits_in_the_lazy_limit():
    A, B = features(20)
    K, direction = A @ A.T, B @ B.T
    strengths = [ntk_strength(K, K + scale * direction) for scale in (1e-3, 1e-6)]
    # Quadratic in the displacement: 1e-12 would drown in the round-off of 1 - CKA, were it subtracted.
    assert strengths[1] == pytest.approx(1e-6 * strengths[0], rel=1e-2)
    assert ntk_strength(K, 5 * K) < 1e-28
    assert 0 < ntk_strength(K, direction) <= 1


def test_constant_kernels_and_errors():
    K = np.eye(5)
    assert np.isnan(centered_kernel_alignment(np.full((5, 5), 0.1), K))
    assert np.isnan(ntk_strength(K, np.zeros((5, 5))))
    assert np.isnan(centered_kernel_alignment_from_features(np.zeros((5, 2)), np.eye(5)))
    with pytest.raises(ValueError, match=r"\(5, 5\) and \(4, 4\)"):
        centered_kernel_alignment(K, np.eye(4))
    with pytest.raises(ValueError, match="centered=True"):
        centered_kernel_alignment(K, K, centered=False, unbiased=True)
    with pytest.raises(ValueError, match="at least 4"):
        centered_kernel_alignment(np.eye(3), np.eye(3), unbiased=True)
