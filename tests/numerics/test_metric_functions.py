"""Effective dimension, cumulative quality, utility and power, and the critical dataset size, solved by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.metrics.crossing import critical_dataset_size
from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.power import cumulative_power
from lazyrich.metrics.utility import cumulative_quality, cumulative_utility, mode_shares


def orthonormal(n, k, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, k)))[0]


@given(k=st.integers(1, 50), scale=st.floats(1e-6, 1e6))
def test_equal_weights_count_their_number(k, scale):
    assert effective_dimension(np.full(k, scale)) == pytest.approx(k, rel=1e-10)


def test_effective_dimension_by_hand():
    assert effective_dimension([0.5, 0.25, 0.25]) == pytest.approx(2**1.5)
    assert effective_dimension([3.0, 0.0, -1e-9]) == pytest.approx(1)
    assert np.isnan(effective_dimension([0.0, 0.0]))
    with pytest.raises(ValueError, match="least value -1"):
        effective_dimension([2.0, -1.0])
    with pytest.raises(ValueError, match="not finite"):
        effective_dimension([1.0, np.nan])


def test_utility_of_functions_inside_the_leading_eigenvectors():
    E = orthonormal(20, 20)
    outputs = E[:, :3] @ np.random.default_rng(1).standard_normal((3, 3))
    np.testing.assert_allclose(cumulative_utility(E, outputs)[:4], [1 / 3, 2 / 3, 1, 1], atol=1e-12)
    outputs = E[:, [0, 5]] @ np.array([[1.0, 2.0], [3.0, -1.0]])
    np.testing.assert_allclose(cumulative_utility(E, outputs)[[0, 4, 5]], [0.5, 0.5, 1], atol=1e-12)
    # A sum of two eigenvectors shares itself out by the squares of its coefficients.
    np.testing.assert_allclose(mode_shares(E, 3 * E[:, 1] + 4 * E[:, 2])[1:3], [9 / 25, 16 / 25], atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(3, 15), outputs=st.integers(1, 3), seed=st.integers(0, 100))
def test_shares_sum_to_the_dimension_and_do_not_see_how_outputs_are_mixed(n, outputs, seed):
    rng = np.random.default_rng(seed)
    E, f = orthonormal(n, n, seed), rng.standard_normal((n, outputs))
    shares = mode_shares(E, f)
    assert shares.sum() == pytest.approx(outputs, abs=1e-9)
    assert shares.min() >= 0
    assert shares.max() <= 1 + 1e-9
    mixed = f @ (np.triu(rng.uniform(0.5, 1, (outputs, outputs))))
    np.testing.assert_allclose(mode_shares(E, mixed), shares, atol=1e-8)
    curve = cumulative_quality(E, f)
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[-1] == pytest.approx(1)


def test_centred_one_hot_targets_span_one_dimension_less():
    labels = np.repeat(np.arange(4), 5)
    targets = np.eye(4)[labels] - 0.25
    assert mode_shares(orthonormal(20, 20), targets).sum() == pytest.approx(3)


def test_utility_errors():
    E = orthonormal(6, 3)
    with pytest.raises(ValueError, match=r"divide them to unit length"):
        cumulative_quality(np.sqrt(6) * E, np.ones(6))
    with pytest.raises(ValueError, match=r"\(6, 3\)"):
        cumulative_quality(E, np.ones(5))
    with pytest.raises(ValueError, match="vanish"):
        cumulative_quality(E, np.zeros(6))


def test_cumulative_power_by_hand():
    E = orthonormal(10, 10)
    y = 3 * E[:, 0] + 4 * E[:, 7]
    np.testing.assert_allclose(cumulative_power(E, y)[[0, 6, 7, 9]], [9 / 25, 9 / 25, 1, 1], atol=1e-12)
    two = np.stack([y, 5 * E[:, 2]], axis=1)
    np.testing.assert_allclose(cumulative_power(E, two)[[0, 2, 7]], [9 / 50, 34 / 50, 1], atol=1e-12)
    with pytest.raises(ValueError, match="vanish"):
        cumulative_power(E, np.zeros(10))
    with pytest.raises(ValueError, match=r"\(9,\)"):
        cumulative_power(E, np.ones(9))


SIZES = [128, 256, 512, 1024, 2048]


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ([1, 1, 1, 0.1, 0.01], 1024),  # on the threshold is not yet below it
        ([1, 1, 1, 0.01, 0.001], 512 * 2**0.5),  # halfway between two sizes, in logarithms
        ([1, 0.01, 1, 0.01, 0.001], 512 * 2**0.5),  # a dip that comes back does not count
        ([1, 1, 1, 1, 0.5], np.inf),
        ([1, 1, 0.01, 0.01, 1], np.inf),
        ([0.05, 0.04, 0.03, 0.02, 0.01], 128),
        ([1, 1, 1, 0, 0], 512),
        ([1, 1, np.inf, 0.01, 0.01], 1024),
    ],
)
def test_critical_size_by_hand(ratio, expected):
    assert critical_dataset_size(SIZES, ratio, 0.1) == pytest.approx(expected)
    assert critical_dataset_size(SIZES[::-1], ratio[::-1], 0.1) == pytest.approx(expected)


@given(exponent=st.floats(0.1, 4), size=st.floats(130, 2000))
def test_critical_size_of_a_power_law(exponent, size):
    ratio = 0.1 * (np.array(SIZES) / size) ** -exponent
    assert critical_dataset_size(SIZES, ratio, 0.1) == pytest.approx(size, rel=1e-8)


@pytest.mark.parametrize(
    ("sizes", "ratio", "epsilon", "message"),
    [
        ([], [], 0.1, "0 sizes"),
        ([1, 2], [1], 0.1, "2 sizes and 1 ratios"),
        ([1, 1], [1, 2], 0.1, "distinct"),
        ([1, 2], [1, np.nan], 0.1, "diverged"),
        ([1, 2], [1, -1], 0.1, "not negative"),
        ([1, 2], [1, 1], 0, "epsilon=0"),
    ],
)
def test_critical_size_errors(sizes, ratio, epsilon, message):
    with pytest.raises(ValueError, match=message):
        critical_dataset_size(sizes, ratio, epsilon)
