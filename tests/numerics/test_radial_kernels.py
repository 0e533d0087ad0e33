"""Gaussian and Laplace kernels against scikit-learn and scipy, and leave-one-out against leaving one out."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import pairwise

from lazyrich.kernels import radial
from lazyrich.kernels.leave_one_out import leave_one_out_regression
from lazyrich.kernels.radial import laplace_kernel, median_bandwidth, rbf_kernel
from lazyrich.kernels.regularization_path import ridge_path


@pytest.fixture(params=[radial.CHUNK_ENTRIES, 40], ids=["whole", "tiles"])
def tiles(request, monkeypatch):
    monkeypatch.setattr(radial, "CHUNK_ENTRIES", request.param)


def inputs(n, shape=(3, 4, 2), seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)) + 5


def test_rbf_is_that_of_scikit_learn(tiles):
    x, z = inputs(17), inputs(11, seed=1)
    flat_x, flat_z = x.reshape(17, -1), z.reshape(11, -1)
    expected = pairwise.rbf_kernel(flat_x, flat_z, gamma=1 / (2 * 3.0**2))
    np.testing.assert_allclose(rbf_kernel(x, z, bandwidth=3.0), expected, rtol=1e-12)
    np.testing.assert_allclose(
        rbf_kernel(torch.from_numpy(x), bandwidth=3.0), pairwise.rbf_kernel(flat_x, gamma=1 / 18)
    )


def test_laplace_is_the_exponential_of_the_euclidean_distance(tiles):
    x, z = inputs(17), inputs(11, seed=1)
    z[4] = x[3]
    expected = np.exp(-cdist(x.reshape(17, -1), z.reshape(11, -1)) / 2.0)
    found = laplace_kernel(x, z, bandwidth=2.0)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert found[3, 4] == 1  # a point that comes twice has no distance at all


@pytest.mark.parametrize("kernel", [rbf_kernel, laplace_kernel])
def test_a_kernel_with_itself_is_exactly_symmetric_and_one_on_the_diagonal(kernel, tiles):
    x = inputs(23)
    K = kernel(x, bandwidth=4.0)
    assert (K.T == K).all() and (np.diag(K) == 1).all()
    np.testing.assert_allclose(K, kernel(x, x.copy(), bandwidth=4.0), rtol=1e-12)
    assert kernel(x.astype(np.float32), bandwidth=4.0).dtype == np.float64


def test_far_from_the_origin_distances_keep_their_digits():
    x = inputs(20, (6,))
    np.testing.assert_allclose(laplace_kernel(x + 1e5, bandwidth=1.0), laplace_kernel(x, bandwidth=1.0), atol=1e-9)


def test_the_median_of_the_distances():
    x = inputs(31)
    assert median_bandwidth(x) == pytest.approx(np.median(pdist(x.reshape(31, -1))), rel=1e-12)
    assert median_bandwidth(x, max_points=10) == pytest.approx(np.median(pdist(x[:10].reshape(10, -1))), rel=1e-12)


def test_mistakes_are_named():
    x = inputs(5)
    with pytest.raises(ValueError, match=r"bandwidth=0 must be positive.*median_bandwidth"):
        rbf_kernel(x, bandwidth=0)
    with pytest.raises(ValueError, match="24 features per sample and x2 has 3"):
        laplace_kernel(x, np.ones((2, 3)), bandwidth=1)
    with pytest.raises(ValueError, match="1 input values are not finite"):
        rbf_kernel(np.array([[1.0, np.nan]]), bandwidth=1)
    with pytest.raises(ValueError, match=r"\(5,\); samples must stand along the first"):
        rbf_kernel(np.ones(5), bandwidth=1)
    with pytest.raises(ValueError, match="half of the pairs of 4 points coincide"):
        median_bandwidth(np.ones((4, 2)))
    with pytest.raises(ValueError, match="give at least 2"):
        median_bandwidth(x[:1])


@pytest.mark.parametrize("outputs", [(), (3,)])
def test_leave_one_out_is_leaving_each_out(outputs):
    x, y = inputs(15, (4,)), np.random.default_rng(1).standard_normal((15, *outputs))
    K = rbf_kernel(x, bandwidth=2.0)
    found = leave_one_out_regression(K, y, ridge=0.1, jitter=0.0)
    for i in range(15):
        rest = np.delete(np.arange(15), i)
        fit = KernelRidge(alpha=0.1, kernel="precomputed").fit(K[np.ix_(rest, rest)], y[rest])
        np.testing.assert_allclose(found.residuals[i], y[i] - fit.predict(K[i : i + 1, rest])[0], rtol=1e-9)
    path = ridge_path(K, y, K, [0.1], jitter=0.0, leave_one_out=True)
    np.testing.assert_allclose(found.residuals, path.leave_one_out[0], rtol=1e-9)
    np.testing.assert_allclose(K @ found.weights, path.predictions[0], rtol=1e-9)
    assert found.jitter == 0 and leave_one_out_regression(np.ones((6, 6)), np.ones(6), jitter=0.0).jitter > 0
