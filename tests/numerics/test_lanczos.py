"""Leading eigenpairs by block Krylov iteration against dense solvers: degeneracy, stores, restarts, and honest failure."""

import itertools
from functools import cache

import numpy as np
import pytest
import torch
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.spectra import eigen
from lazyrich.spectra.eigen import eigendecompose
from lazyrich.spectra.lanczos import leading_eigenpairs
from lazyrich.spectra.symmetric import SymmetricProduct

ITERATIVE = pytest.mark.parametrize("method", ["lanczos", "randomized"])


def with_spectrum(values, seed=0):
    """A symmetric matrix with the given eigenvalues and random eigenvectors."""
    n = len(values)
    rotation = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]
    K = (rotation * values) @ rotation.T
    return (K + K.T) / 2


@cache
def ntk(n: int) -> np.ndarray:
    K = relu_ntk(np.random.default_rng(0).standard_normal((n, 10)), hidden_layers=3)
    K.setflags(write=False)
    return K


def subspace_gap(first, second):
    """Sine of the largest principal angle between two spans."""
    return np.linalg.norm(second - first @ (first.T @ second), ord=2)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(2, 90), decay=st.sampled_from([0.0, 0.5, 2.0]), seed=st.integers(0, 5), data=st.data())
def test_equal_a_dense_solver_for_any_size_and_decay(n, decay, seed, data):
    k = data.draw(st.integers(1, n))
    method = data.draw(st.sampled_from(["lanczos", "randomized"]))
    values = np.arange(1.0, n + 1) ** -decay * (1 + 0.1 * np.random.default_rng(seed).random(n))
    K = with_spectrum(values, seed)
    result = eigendecompose(K, k, method)
    np.testing.assert_allclose(result.values, np.sort(values)[::-1][:k], rtol=1e-12)
    assert result.converged and result.method == method
    assert max(result.residual, result.orthogonality) < 1e-9
    assert result.captured == pytest.approx(result.values.sum() / values.sum(), rel=1e-10)


@ITERATIVE
def test_the_leading_pairs_of_an_ntk_are_right_to_1e_10(method):
    K = ntk(700)
    values, vectors = np.linalg.eigh(K)
    result = eigendecompose(K, 50, method)
    np.testing.assert_allclose(result.values, values[::-1][:50], rtol=1e-10)
    assert subspace_gap(vectors[:, ::-1][:, :50], result.vectors) < 1e-8
    assert result.vectors[np.abs(result.vectors).argmax(axis=0), np.arange(50)].min() > 0
    assert result.passes < (35 if method == "lanczos" else 14)
    assert result.most_negative >= values[0] - 1e-12
    assert np.abs(values - result.most_negative).min() <= result.most_negative_error + 1e-12


@ITERATIVE
@pytest.mark.parametrize("k", [8, 30, 60])
def test_every_copy_of_an_eigenvalue_is_found(method, k):
    """A kernel on the whole hypercube has eigenvalues of multiplicity binomial(d, j), wider than the block of Lanczos."""
    cube = np.array(list(itertools.product((-1.0, 1.0), repeat=9)))
    cosine = cube @ cube.T / 9
    K = np.exp(cosine) + 0.3 * cosine**2
    result = eigendecompose(K, k, method)
    np.testing.assert_allclose(result.values, np.linalg.eigvalsh(K)[::-1][:k], rtol=1e-11)
    assert result.orthogonality < 1e-13 and result.converged


@ITERATIVE
@pytest.mark.parametrize("copies", [17, 40])
def test_copies_are_found_although_what_follows_them_converges_first(method, copies):
    """Below 17 or 40 equal eigenvalues stand well separated ones, which Lanczos could take for the next of the spectrum."""
    values = np.concatenate([np.full(copies, 10.0), 5 * 0.8 ** np.arange(25), np.linspace(0, 1e-3, 300)])
    result = eigendecompose(with_spectrum(values), 35, method)
    np.testing.assert_allclose(result.values, np.sort(values)[::-1][:35], rtol=1e-11)


@ITERATIVE
def test_a_multiple_of_the_identity_and_a_matrix_of_zeros(method):
    result = eigendecompose(3 * np.eye(120), 40, method)
    np.testing.assert_allclose(result.values, 3, rtol=1e-14)
    assert result.orthogonality < 1e-12 and result.most_negative == pytest.approx(3)
    zero = eigendecompose(np.zeros((40, 40)), 3, method)
    assert np.array_equal(zero.values, np.zeros(3)) and zero.converged and zero.residual == 0


@ITERATIVE
def test_more_pairs_than_the_rank(method):
    A = np.random.default_rng(1).standard_normal((200, 12))
    result = eigendecompose(A @ A.T, 30, method)
    np.testing.assert_allclose(result.values[:12], np.linalg.svd(A, compute_uv=False) ** 2, rtol=1e-12)
    np.testing.assert_allclose(result.values[12:], 0, atol=1e-11)
    assert result.orthogonality < 1e-11 and result.converged and result.positive_semidefinite


@ITERATIVE
def test_a_kernel_with_a_negative_eigenvalue_is_reported(method):
    values = np.concatenate([np.arange(1.0, 300) ** -1, [-0.05]])
    result = eigendecompose(with_spectrum(values), 10, method)
    assert result.most_negative == pytest.approx(-0.05, rel=1e-3)
    assert not result.positive_semidefinite and "not positive semi-definite" in result.remarks[0]


@ITERATIVE
def test_too_few_passes_give_a_remark_and_bounds_that_hold(method):
    values = np.linspace(1, 2, 400)
    result = eigendecompose(with_spectrum(values), 20, method, max_passes=6)
    assert not result.converged and result.passes == 6
    assert any("before its tolerance was met" in remark for remark in result.remarks)
    nearest = np.abs(values[None, :] - result.values[:, None]).min(axis=1)
    assert (nearest <= result.errors).all() and result.errors.max() > 1e-3


@pytest.mark.parametrize("block", [1, 2, 5])
def test_a_basis_that_is_restarted_converges_to_the_same(block):
    values = np.linspace(1, 2, 600)
    product = SymmetricProduct(with_spectrum(values), 0, torch.device("cpu"))
    pairs = leading_eigenpairs(product, 3, block, 1e-9, 2000, torch.Generator().manual_seed(0))
    capacity = max(12, 2 * block) + 20 * block
    assert product.passes * block > 2 * capacity, "nothing was restarted"
    np.testing.assert_allclose(pairs.values, values[::-1][:3], rtol=1e-12)
    overlap = pairs.vectors @ pairs.vectors.T
    assert pairs.converged and float((overlap - torch.eye(3)).abs().max()) < 1e-12


def test_the_same_matrix_gives_the_same_bits():
    K = ntk(600)
    first, second = (eigendecompose(K, 5, "lanczos") for _ in range(2))
    assert np.array_equal(first.vectors, second.vectors)


# -- stores ----------------------------------------------------------------------------------------------------------


class Watched:
    """A store that records what is read of it."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.chunks = (
            array,
            array.shape,
            array.dtype,
            getattr(array, "chunks", None),
        )
        self.read: list[tuple[int, int]] = []

    def __getitem__(self, selection):
        found = self.array[selection]
        self.read.append(found.shape)
        return found


@ITERATIVE
def test_a_store_larger_than_memory_is_read_in_bands_of_its_lower_triangle(tmp_path, method):
    n, budget = 600, 2**20  # the matrix takes 2.7 MiB in float64
    K = ntk(n).astype(np.float32)
    store = zarr.create_array(
        tmp_path / "kernel.zarr", shape=K.shape, dtype="f4", chunks=(25, 25), shards=(200, 200), fill_value=np.nan
    )
    store[...] = K
    watched = Watched(store)
    result = eigendecompose(watched, 20, method, memory_budget=budget)
    exact = np.linalg.eigvalsh(K.astype(np.float64))[::-1]
    np.testing.assert_allclose(result.values, exact[:20], rtol=1e-10)
    assert result.trace == pytest.approx(np.trace(K.astype(np.float64)), rel=1e-12)
    assert result.captured == pytest.approx(exact[:20].sum() / exact.sum(), rel=1e-10)
    sizes = np.array([rows * columns for rows, columns in watched.read])
    assert 8 * sizes.max() <= budget / 4
    bands = len(watched.read) // result.passes
    assert len(watched.read) == bands * result.passes and bands > 1
    assert sizes[:bands].sum() < 0.6 * n * n
    assert all(rows % 25 == 0 for rows, _ in watched.read)
    in_memory = eigendecompose(K, 20, method)
    np.testing.assert_allclose(result.values, in_memory.values, rtol=1e-12)
    assert result.residual == pytest.approx(in_memory.residual, abs=1e-9)


def test_a_store_that_fits_is_read_once(tmp_path):
    watched = Watched(ntk(300).astype(np.float32))
    result = eigendecompose(watched, 10, "lanczos")
    assert sum(rows for rows, _ in watched.read) == 300 and result.passes > 5


def test_a_hole_and_an_asymmetric_square_of_a_store_are_refused():
    K = ntk(600).astype(np.float32)
    hole = K.copy()
    hole[400, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        eigendecompose(hole, 5, "randomized", memory_budget=2**20)
    skewed = K.copy()
    skewed[401, 400] += 1
    with pytest.raises(ValueError, match="differs from its transpose by 1"):
        eigendecompose(skewed, 5, "randomized", memory_budget=2**20)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", ["dense", "lanczos", "randomized"])
def test_the_gpu_gives_what_the_cpu_gives(method):
    K = ntk(700)
    there = eigendecompose(K, 20, method, device=torch.device("cuda"))
    np.testing.assert_allclose(there.values, np.linalg.eigvalsh(K)[::-1][:20], rtol=1e-10)
    assert "cuda" in there.device


def test_the_block_of_lanczos_is_narrower_than_that_of_the_randomized_method():
    K = ntk(600)
    lanczos, randomized = (eigendecompose(K, 40, method) for method in ("lanczos", "randomized"))
    assert eigen.LANCZOS_BLOCK < 40
    assert randomized.passes < lanczos.passes / 1.5
