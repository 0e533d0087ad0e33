"""Non-crossing partitions against brute force, mixed moments by hand and against large random matrices."""

import math
from itertools import combinations

import numpy as np
import pytest

from lazyrich.theory.free_probability import (
    kreweras_complement,
    mixed_moment,
    noncrossing_partitions,
    quadratic_network_cumulants,
    random_matrix_correlation,
)


def catalan(n):
    return math.comb(2 * n, n) // (n + 1)


def partitions(elements):
    """All partitions, crossing or not."""
    if not elements:
        yield []
        return
    first, *rest = elements
    for smaller in partitions(rest):
        yield [[first], *smaller]
        for i, block in enumerate(smaller):
            yield [*smaller[:i], [first, *block], *smaller[i + 1 :]]


def crosses(one, other):
    return any(
        i < j < k < m or j < i < m < k
        for i, k in combinations(sorted(one), 2)
        for j, m in combinations(sorted(other), 2)
    )


def noncrossing(partition):
    return not any(crosses(*pair) for pair in combinations(partition, 2))


def as_set(partition):
    return frozenset(frozenset(block) for block in partition)


@pytest.mark.parametrize("n", range(7))
def test_noncrossing_partitions_are_those_of_all_that_do_not_cross(n):
    found = noncrossing_partitions(n)
    assert len(found) == catalan(n)
    assert {as_set(partition) for partition in found} == {
        as_set(p) for p in partitions(list(range(n))) if noncrossing(p)
    }
    assert len({as_set(partition) for partition in found}) == len(found)
    for partition in found:
        assert list(partition) == sorted(tuple(sorted(block)) for block in partition)
    # Narayana numbers: how many have b blocks.
    for b in range(1, n + 1):
        expected = math.comb(n, b) * math.comb(n, b - 1) // n
        assert sum(len(partition) == b for partition in found) == expected


@pytest.mark.parametrize("n", range(1, 6))
def test_kreweras_complement_is_the_coarsest_that_fits_between(n):
    """Elements at 2 i, their companions at 2 i + 1."""
    for partition in noncrossing_partitions(n):
        own = [[2 * i for i in block] for block in partition]
        fitting = [p for p in partitions(list(range(n))) if noncrossing([*own, *([2 * i + 1 for i in b] for b in p)])]
        coarsest = min(fitting, key=len)
        assert sum(len(p) == len(coarsest) for p in fitting) == 1
        found = kreweras_complement(partition)
        assert as_set(found) == as_set(coarsest)
        assert all(list(block) == sorted(block) for block in found)
        assert len(partition) + len(found) == n + 1


def test_what_is_no_noncrossing_partition_is_refused():
    for wrong in (((0, 2), (1, 3)), ((0,), (2,)), ((0, 0),), ((1, 2),)):
        with pytest.raises(ValueError, match="no non-crossing partition"):
            kreweras_complement(wrong)
    with pytest.raises(ValueError, match="n=-1"):
        noncrossing_partitions(-1)
    assert kreweras_complement(((3, 0), (2, 1))) == ((0, 2), (1,), (3,))


@pytest.mark.parametrize("n", range(1, 7))
def test_moments_of_known_laws(n):
    one = [np.eye(1)] * n
    assert mixed_moment([1.0] * n, one) == pytest.approx(catalan(n), rel=1e-14)  # Marchenko-Pastur of ratio 1
    semicircle = [0.0, 1.0, *[0.0] * 4]
    assert mixed_moment(semicircle, one) == pytest.approx(0 if n % 2 else catalan(n // 2), rel=1e-14)
    assert mixed_moment([2.0, *[0.0] * 5], one) == pytest.approx(2.0**n, rel=1e-14)  # a constant


def symmetric(d, rng):
    root = rng.standard_normal((d, d))
    return root + root.T


def test_moments_worked_out_by_hand():
    rng = np.random.default_rng(0)
    B, S, C = (symmetric(4, rng) for _ in range(3))
    k1, k2, k3, k4 = rng.standard_normal(4)
    kappa = [k1, k2, k3, k4]

    def tau(*factors):
        return np.trace(np.linalg.multi_dot([np.eye(4), *factors])) / 4

    assert mixed_moment(kappa, [B]) == pytest.approx(k1 * tau(B), rel=1e-12)
    assert mixed_moment(kappa, [B, B]) == pytest.approx(k2 * tau(B) ** 2 + k1**2 * tau(B, B), rel=1e-12)
    expected = (
        k3 * tau(B) ** 2 * tau(S) + k2 * k1 * (2 * tau(B) * tau(B, S) + tau(S) * tau(B, B)) + k1**3 * tau(B, B, S)
    )
    assert mixed_moment(kappa, [B, B, S]) == pytest.approx(expected, rel=1e-12)
    # three that do not commute: the order of the product counts
    expected = (
        k3 * tau(B) * tau(S) * tau(C)
        + k2 * k1 * (tau(B) * tau(S, C) + tau(S) * tau(B, C) + tau(C) * tau(B, S))
        + k1**3 * tau(B, S, C)
    )
    assert mixed_moment(kappa, [B, S, C]) == pytest.approx(expected, rel=1e-12)
    expected = (
        k4 * tau(S) ** 2 * tau(B) ** 2
        + 4 * k3 * k1 * tau(S) * tau(B) * tau(S, B)
        + k2**2 * (tau(S) ** 2 * tau(B, B) + tau(B) ** 2 * tau(S, S))
        + 2 * k2 * k1**2 * (tau(S) * tau(B, B, S) + tau(B) * tau(S, S, B) + tau(S, B) ** 2)
        + k1**4 * tau(S, B, S, B)
    )
    assert mixed_moment(kappa, [S, B, S, B]) == pytest.approx(expected, rel=1e-12)


def test_mixed_moments_of_large_random_matrices():
    """Compound Poisson (a network's M) and semicircle against matrices that do not commute.

    Complex, because real ones differ from the limit by 1/d already, these by 1/d^2.
    """
    rng = np.random.default_rng(1)
    d, k, draws = 240, 160, 10
    B, S, C = (root @ root.T / d for root in rng.standard_normal((3, d, d)))
    C = C + np.diag(np.linspace(-1, 1, d))
    a = rng.uniform(0.5, 1.5, k)
    words = ([B, S], [B, B, S], [B, S, C], [S, B, S, B], [B, S, C, B], [C, C, S, B, C], [B, S, C, B, S, C])
    measured = {name: np.empty((draws, len(words))) for name in ("poisson", "semicircle")}
    for draw in range(draws):
        W, G = (rng.standard_normal((2, size, d)) / np.sqrt(2 * d) for size in (k, d))
        W, G = W[0] + 1j * W[1], G[0] + 1j * G[1]
        matrices = {"poisson": 4 * W.conj().T @ (a[:, None] ** 2 * W), "semicircle": (G + G.conj().T) / np.sqrt(2)}
        for name, M in matrices.items():
            products = {id(b): M @ b for b in (B, S, C)}
            for i, word in enumerate(words):
                total = np.eye(d)
                for b in word:
                    total = total @ products[id(b)]
                measured[name][draw, i] = np.trace(total).real / d
    cumulants = {"poisson": quadratic_network_cumulants(a, d, 6), "semicircle": [0, 1, 0, 0, 0, 0]}
    for name, found in measured.items():
        predicted = np.array([mixed_moment(cumulants[name], word) for word in words])
        error = found.std(axis=0, ddof=1) / np.sqrt(draws)
        assert (error < np.maximum(0.06, 0.06 * np.abs(predicted))).all()
        assert (np.abs(found.mean(axis=0) - predicted) < 4 * error + 0.002 * np.abs(predicted)).all()


def test_cumulants_of_a_network_by_hand():
    np.testing.assert_allclose(quadratic_network_cumulants([1.0, -2.0], 4, 3), [0.5 * 10, 0.5 * 136, 0.5 * 2080])
    rng = np.random.default_rng(0)
    large = quadratic_network_cumulants(rng.standard_normal(10**6), 10**6, 3)
    np.testing.assert_allclose(large, [4, 16 * 3, 64 * 15], rtol=0.02)


def test_prediction_is_blind_to_units_and_to_the_order_of_samples():
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((30, 6)), rng.standard_normal(30)
    kappa = quadratic_network_cumulants(rng.standard_normal(8), 6)
    value = random_matrix_correlation(X, y, kappa)
    assert 0 < value <= 1
    rescaled = kappa * 0.3 ** np.arange(1, 5)  # of 0.3 M
    order = rng.permutation(30)
    assert random_matrix_correlation(3 * X[order], 0.2 * y[order, None], rescaled) == pytest.approx(value, rel=1e-10)
    # M a multiple of the identity: rho(A^2, A S A) itself
    A, S = X.T @ (y[:, None] * X), X.T @ X
    expected = np.vdot(A @ A, A @ S @ A) / np.linalg.norm(A @ A) / np.linalg.norm(A @ S @ A)
    assert random_matrix_correlation(X, y, [5, 0, 0, 0]) == pytest.approx(expected, rel=1e-12)
    assert math.isnan(random_matrix_correlation(X, 0 * y, kappa))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="square and of one shape"):
        mixed_moment([1, 1], [np.eye(2), np.eye(3)])
    with pytest.raises(ValueError, match="square and of one shape"):
        mixed_moment([1, 1], [])
    with pytest.raises(ValueError, match="1 cumulants for a moment of order 2"):
        mixed_moment([1], [np.eye(2), np.eye(2)])
    with pytest.raises(ValueError, match="do not fit"):
        random_matrix_correlation(np.eye(3), np.ones((3, 2)), [1, 1, 1, 1])
    with pytest.raises(ValueError, match=r"expected \(k,\)"):
        quadratic_network_cumulants([[1.0]], 3)
