"""The eigendecomposition against numpy, its choice of a method, and its account of its own quality."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.spectra import dense, symmetric
from lazyrich.spectra.eigen import eigendecompose
from lazyrich.spectra.features import eigendecompose_features


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
    assert result.trace == pytest.approx(np.trace(K))
    assert result.captured == pytest.approx(values[::-1][:k].sum() / values.sum(), rel=1e-10)
    assert result.most_negative == pytest.approx(values[0], abs=1e-12 * values[-1])
    assert (result.method, result.most_negative_error, result.converged) == ("dense", 0, True)
    assert result.positive_semidefinite and result.remarks == ()
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
    assert not result.positive_semidefinite
    assert any("not positive semi-definite" in remark for remark in result.remarks)


def test_the_roundoff_of_a_float32_kernel_is_no_negative_eigenvalue():
    A = np.random.default_rng(2).standard_normal((300, 10)).astype(np.float32)
    K = A @ A.T
    assert np.linalg.eigvalsh(K.astype(np.float64))[0] < -1e-12
    assert eigendecompose(K).positive_semidefinite
    assert not eigendecompose(K.astype(np.float64) - 1e-3 * np.eye(300)).positive_semidefinite


def test_float32_asymmetry_is_averaged_and_more_is_an_error():
    K = kernel(10, 20)
    noisy = K + 1e-7 * np.random.default_rng(1).standard_normal(K.shape)
    np.testing.assert_allclose(eigendecompose(noisy).values, eigendecompose((noisy + noisy.T) / 2).values, rtol=1e-12)
    with pytest.raises(ValueError, match="differs from its transpose"):
        eigendecompose(np.triu(K))


@pytest.mark.parametrize("row", [29, 12, 1])
def test_a_matrix_of_several_blocks_is_symmetrised_everywhere(monkeypatch, row):
    monkeypatch.setattr(symmetric, "EDGE", 8)
    K = 0.1 * kernel(30, 3) + np.diag(np.arange(100.0, 130.0))
    K[row, 0] += 1e-3
    kept = K.copy()
    np.testing.assert_allclose(eigendecompose(K).values, np.linalg.eigvalsh((K + K.T) / 2)[::-1], rtol=1e-13)
    K[row, 0] += 1e-2
    with pytest.raises(ValueError, match="differs from its transpose by 0.011"):
        eigendecompose(K)
    K[row, 0] -= 1e-2
    np.testing.assert_allclose(K, kept, rtol=1e-15)


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        eigendecompose(np.ones((2, 3)))
    with pytest.raises(ValueError, match="k=4"):
        eigendecompose(np.eye(3), k=4)
    with pytest.raises(ValueError, match="not finite"):
        eigendecompose(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match="'lanzcos' is unknown; allowed: auto, dense, lanczos, randomized"):
        eigendecompose(np.eye(3), method="lanzcos")
    with pytest.raises(ValueError, match="max_passes=1"):
        eigendecompose(np.eye(3), k=1, max_passes=1)
    with pytest.raises(ValueError, match="say how many with k"):
        eigendecompose(np.eye(3), method="randomized")


def test_a_matrix_too_large_for_lapack_is_refused_before_it_is_read():
    large = SimpleNamespace(shape=(32_767, 32_767), dtype=np.dtype("f4"))
    with pytest.raises(
        ValueError, match="n=32767 is more than the 32766 .* use 'lanczos' or 'randomized', or .*nystrom"
    ):
        eigendecompose(large)


@pytest.mark.parametrize(
    ("n", "k", "budget", "method"),
    [(501, None, 2**31, "dense"), (400, 3, 2**31, "dense"), (600, 70, 2**31, "dense"), (600, 5, 2**31, "lanczos"),
     (600, 5, 10**6, "randomized")],
)  # fmt: skip
def test_the_method_follows_from_size_pairs_and_memory(n, k, budget, method):
    assert eigendecompose(kernel(n, 20).astype(np.float32), k, memory_budget=budget).method == method


@pytest.mark.parametrize("failure", ["error", "nan"])
def test_where_the_gpu_solver_fails_the_cpu_decomposes_and_says_so(monkeypatch, failure):
    """There is no GPU here: the first call of the solver stands for that of cuSOLVER."""
    K = torch.from_numpy(kernel(8, 20))
    solve, calls = torch.linalg.eigh, []

    def eigh(matrix):
        calls.append(matrix)
        if len(calls) > 1:
            return solve(matrix)
        if failure == "error":
            raise torch.linalg.LinAlgError("linalg.eigh: the algorithm failed to converge\nmore")
        return torch.full((8,), torch.nan), torch.full((8, 8), torch.nan)

    monkeypatch.setattr(torch.linalg, "eigh", eigh)
    monkeypatch.setattr(dense, "_on_cpu", lambda matrix: bool(calls))
    values, _, remarks = dense.dense_eigenpairs(K)
    np.testing.assert_allclose(values, np.linalg.eigvalsh(K)[::-1], rtol=1e-10)
    reason = "failed to converge" if failure == "error" else "not finite"
    assert (
        len(calls) == 2 and reason in remarks[0] and "decomposed on the CPU" in remarks[0] and "more" not in remarks[0]
    )


# -- from the side of the features -----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 30), p=st.integers(1, 40), data=st.data())
def test_the_side_of_the_features_gives_the_eigenpairs_of_their_gram_matrix(n, p, data):
    k = data.draw(st.one_of(st.none(), st.integers(1, 40)))
    Phi = np.random.default_rng(0).standard_normal((n, p))
    result = eigendecompose_features(Phi, k)
    exact = np.linalg.svd(Phi, compute_uv=False) ** 2
    kept = exact[exact > 1e-8 * exact[0]][:k]
    np.testing.assert_allclose(result.values, kept, rtol=1e-9, atol=1e-13 * exact[0])
    assert result.method == "features" and result.vectors.shape == (n, len(kept))
    np.testing.assert_allclose(Phi @ (Phi.T @ result.vectors), result.vectors * kept, atol=1e-11 * exact[0])
    assert result.orthogonality < 1e-7
    assert result.trace == pytest.approx(exact.sum())
    assert result.positive_semidefinite


def test_features_of_low_rank_lose_their_null_space():
    generator = np.random.default_rng(0)
    Phi = generator.standard_normal((50, 3)) @ generator.standard_normal((3, 20))
    result = eigendecompose_features(torch.from_numpy(Phi))
    assert len(result.values) == 3 and result.captured == pytest.approx(1)
    with pytest.raises(ValueError, match="vanish on all samples"):
        eigendecompose_features(np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"shape \(4,\)"):
        eigendecompose_features(np.zeros(4))
    with pytest.raises(ValueError, match="k=0"):
        eigendecompose_features(Phi, 0)
