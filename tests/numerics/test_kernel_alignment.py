"""CKA and HSIC against their formulas written out, and their invariances."""

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.kernels.alignment import (
    centered_kernel_alignment,
    centered_kernel_distance,
    hilbert_schmidt_independence_criterion,
)
from lazyrich.kernels.feature_alignment import centered_kernel_alignment_from_features
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


@settings(max_examples=25, deadline=None)
@given(n=st.integers(4, 12), p=st.integers(1, 20), q=st.integers(1, 20), budget=st.sampled_from([1, 2000, 2**28]))
def test_features_give_what_their_gram_matrices_give(n, p, q, budget):
    A, B = features(n, p, q)
    K, L = A @ A.T, B @ B.T
    norms = unbiased_hsic(K, K) * unbiased_hsic(L, L)
    unbiased = centered_kernel_alignment_from_features(A, B, unbiased=True, memory_budget=budget)
    assert unbiased == pytest.approx(unbiased_hsic(K, L) / np.sqrt(norms), abs=1e-9)
    biased = centered_kernel_alignment_from_features(A.astype(np.float32), B, memory_budget=budget)
    assert biased == pytest.approx(centered_kernel_alignment(K, L), abs=1e-5)


@pytest.mark.parametrize(("centered", "unbiased"), [(True, False), (True, True), (False, False)])
@pytest.mark.parametrize("budget", [20_000, 2**28])
def test_stores_larger_than_the_budget_give_what_arrays_give(tmp_path, centered, unbiased, budget):
    A, B = features(60, 20, 5)
    matrices = [A @ A.T + 3, (A @ A.T + 1e-3 * B @ B.T).astype(np.float32)]
    stores = [
        zarr.create_array(tmp_path / f"{i}.zarr", data=matrix, chunks=(8, 16), shards=(32, 32))
        for i, matrix in enumerate(matrices)
    ]
    expected = [
        function(*matrices, centered, unbiased) for function in (centered_kernel_alignment, centered_kernel_distance)
    ]
    read = []
    watched = [Watched(store, read) for store in stores]
    found = [
        function(*watched, centered, unbiased, memory_budget=budget)
        for function in (centered_kernel_alignment, centered_kernel_distance)
    ]
    assert found[0] == pytest.approx(expected[0], abs=1e-12)
    assert found[1] == pytest.approx(expected[1], rel=1e-9)
    strength = ntk_strength(*watched, centered=centered, memory_budget=budget)
    assert strength == pytest.approx(ntk_strength(*matrices, centered=centered), rel=1e-9)
    assert max(band.stop - band.start for band in read) == {20_000: 8, 2**28: 60}[budget]
    H = np.eye(60) - centered / 60
    first, second = (H @ matrix @ H for matrix in matrices)
    if unbiased:
        expected_product = unbiased_hsic(*matrices)
        assert hilbert_schmidt_independence_criterion(*stores, unbiased=True) == pytest.approx(
            expected_product, rel=1e-9
        )
    else:
        cosine = np.vdot(first, second) / np.linalg.norm(first) / np.linalg.norm(second)
        assert found[0] == pytest.approx(cosine, abs=1e-12)


class Watched:
    """A store of which only bands of rows are read; which ones is noted."""

    def __init__(self, store, read):
        self.store, self.read, self.shape, self.chunks = store, read, store.shape, store.chunks

    def __getitem__(self, band):
        assert isinstance(band, slice)
        self.read.append(band)
        return self.store[band]


def test_bands_are_whole_chunks_where_they_fit():
    class Rows:
        shape, chunks = (100, 100), (16, 100)

        def __getitem__(self, band):
            seen.add(band.stop - band.start)
            return np.eye(100)[band]

    seen: set[int] = set()
    centered_kernel_alignment(Rows(), np.eye(100), memory_budget=40 * 100 * 32)
    assert seen == {32, 4}


def test_a_hole_in_a_store_is_an_error_that_says_where():
    K = np.eye(700)
    K[600, 3] = np.nan
    with pytest.raises(ValueError, match="rows 561 to 699 of a kernel hold entries that are not finite"):
        centered_kernel_alignment(np.eye(700), K, memory_budget=2**28)


def test_distance_keeps_its_digits_where_the_first_rows_are_not_typical():
    """The scale between the two kernels is taken from the first rows, here ten times off."""
    A, _ = features(600, 30)
    A[:200] *= 0.1
    K = A @ A.T
    L = K + 1e-5 * np.outer(A[:, 0], A[:, 0])
    L[:150, :150] += K[:150, :150] * 3
    first, second = (np.eye(600) - 1 / 600) @ K, (np.eye(600) - 1 / 600) @ L
    first, second = first - first.mean(axis=1, keepdims=True), second - second.mean(axis=1, keepdims=True)
    difference = first / np.linalg.norm(first) - second / np.linalg.norm(second)
    assert centered_kernel_distance(K, L) == pytest.approx(0.5 * np.vdot(difference, difference), rel=1e-8)


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
    for constant in (0.0, 0.1):
        assert np.isnan(centered_kernel_alignment_from_features(np.full((5, 2), constant), np.eye(5)))
    with pytest.raises(ValueError, match=r"\(5, 5\) and \(4, 4\)"):
        centered_kernel_alignment(K, np.eye(4))
    with pytest.raises(ValueError, match="centered=True"):
        centered_kernel_alignment(K, K, centered=False, unbiased=True)
    with pytest.raises(ValueError, match="at least 4"):
        centered_kernel_alignment(np.eye(3), np.eye(3), unbiased=True)
    with pytest.raises(ValueError, match=r"shapes \(5, 5\) and \(4, 4\)"):
        centered_kernel_alignment_from_features(K, np.eye(4))
    with pytest.raises(ValueError, match="at least 4 samples"):
        centered_kernel_alignment_from_features(np.eye(3), np.eye(3), unbiased=True)
    with pytest.raises(ValueError, match="not finite"):
        centered_kernel_alignment_from_features(K, np.diag([1, 1, 1, 1, np.nan]))
