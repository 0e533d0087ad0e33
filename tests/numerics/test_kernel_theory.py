"""The theory of kernel learning curves against closed forms, simulation, and exact spectra; exponents; m* over seeds."""

import numpy as np
import pytest
import torch

from lazyrich.datasets import power_law_features
from lazyrich.metrics.critical_size import critical_size_interval
from lazyrich.metrics.kernel_theory import effective_ridge, power_spectrum, predicted_learning_curve
from lazyrich.metrics.power import cumulative_power
from lazyrich.metrics.power_law import power_law_exponent

SPEC = {"dimension": 300, "capacity": 1.5, "source": 0.6, "train": 400, "test": 600, "probe": 1}


def drawn(seed, **changes):
    return power_law_features.generate({**SPEC, **changes}, np.random.default_rng(seed))


def test_isotropic_features_have_the_textbook_double_descent():
    """d modes of eigenvalue 1/d, without ridge: |w|^2 (1 - m/d) + sigma^2 d/(d - m), or sigma^2 m/(m - d)."""
    d, signal, noise = 100, 2.0, 0.3
    found = predicted_learning_curve(
        np.full(d, 1 / d), np.full(d, signal / d), [20, 50, 90, 100, 110, 400], noise=noise
    )
    below = [signal * (1 - m / d) + noise / (1 - m / d) for m in (20, 50, 90)]
    np.testing.assert_allclose(found.errors, [*below, np.inf, noise * 11, noise * 4 / 3], rtol=1e-10)
    np.testing.assert_allclose(found.kappa, [0.8, 0.5, 0.1, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(found.gamma, [0.2, 0.5, 0.9, 1, 10 / 11, 0.25], rtol=1e-10)


@pytest.mark.parametrize("ridge", [1e-6, 0.01, 3.0])
def test_isotropic_features_with_a_ridge_solve_a_quadratic(ridge):
    """kappa^2 + kappa (m/d - 1 - ridge) - ridge m/d = 0, for eigenvalue 1/d; kappa in units where sum eta = 1."""
    d = 60
    for m in (10, 60, 200):
        b = m / d - 1 - ridge
        root = (-b + np.sqrt(b * b + 4 * ridge * m / d)) / 2
        assert effective_ridge(np.full(d, 1 / d), m, ridge) == pytest.approx(root, rel=1e-9)


DRAWS = 120


@pytest.fixture(scope="module")
def training_sets():
    """Inputs and targets without noise of the generator, (draws, 200, 300) and (draws, 200)."""
    split = drawn(0, train=200 * DRAWS, test=1)["train"]
    return split["inputs"].astype(np.float64).reshape(DRAWS, 200, -1), split["targets"].astype(np.float64).reshape(
        DRAWS, 200
    )


@pytest.mark.parametrize(("ridge", "noise"), [(0.0, 0.0), (0.02, 0.0), (0.3, 0.2)])
def test_power_law_features_against_ridge_regression(training_sets, ridge, noise):
    """With the exact eigenvalues and powers, the theory is what ridge regression on Gaussian features does, on average."""
    sizes, eigenvalues = (80, 200), power_law_features.eigenvalues(SPEC)
    predicted = predicted_learning_curve(
        eigenvalues, power_law_features.power(SPEC), sizes, ridge=ridge, noise=noise**2
    )
    weights, generator = power_law_features.coefficients(SPEC), np.random.default_rng(1)
    inputs, targets = map(torch.from_numpy, training_sets)  # torch keeps to one thread here
    noisy = targets + noise * torch.from_numpy(generator.standard_normal(targets.shape))
    errors = np.empty((DRAWS, len(sizes)))
    for index, m in enumerate(sizes):
        x = inputs[:, :m]
        shifted = x @ x.mT + ridge * torch.eye(m, dtype=x.dtype)
        fitted = (x.mT @ torch.linalg.solve(shifted, noisy[:, :m, None]))[:, :, 0].numpy()
        errors[:, index] = ((fitted - weights) ** 2) @ eigenvalues + noise**2  # exact over test points
    measured, spread = errors.mean(axis=0), errors.std(axis=0) / np.sqrt(DRAWS)
    assert (spread < 0.02 * measured).all()
    np.testing.assert_allclose(predicted.errors, measured, rtol=0.05)


def test_the_error_on_the_rest_of_a_pool_is_predicted_from_the_pool_alone():
    """Without the correction for the training points among the pool it would be off by n / (n - m), here 2."""
    n, m, predicted, plain, measured = 240, 120, [], [], []
    for draw in range(8):
        split = drawn(draw, train=n, test=1, dimension=800)["train"]
        x, y = split["inputs"].astype(np.float64), split["targets"][:, 0].astype(np.float64)
        K, generator = x @ x.T, np.random.default_rng(draw)
        values, vectors = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(K / n)))
        power = power_spectrum(vectors, y)
        assert power.sum() == pytest.approx(np.mean(y**2), rel=1e-10)
        predicted += list(predicted_learning_curve(values, power, [m], ridge=1e-5, pool=n).errors)
        plain += list(predicted_learning_curve(values, power, [m], ridge=1e-5).errors)
        for _ in range(3):
            order = generator.permutation(n)
            seen, rest = order[:m], order[m:]
            own = torch.from_numpy(K[np.ix_(seen, seen)] + 1e-5 * np.eye(m))
            weights = torch.linalg.solve(own, torch.from_numpy(y[seen])).numpy()
            measured.append(np.mean((K[np.ix_(rest, seen)] @ weights - y[rest]) ** 2))
    assert np.mean(predicted) == pytest.approx(np.mean(measured), rel=0.05)
    assert np.mean(measured) / np.mean(plain) == pytest.approx(2, rel=0.06)


def test_modes_without_eigenvalue_are_never_learned_and_noise_free_interpolation_is_exact():
    found = predicted_learning_curve([1.0, 0.5, 0.0], [1.0, 1.0, 0.25], [10])
    assert found.errors[0] == pytest.approx(0.25 / (1 - 0.2)) and found.kappa[0] == 0
    assert predicted_learning_curve([1.0, 0.5], [1.0, 1.0], [2, 5]).errors.tolist() == [0, 0]
    many = predicted_learning_curve([1.0, 0.5], [1.0, 1.0], [1e9], ridge=1.0, noise=0.1)
    assert many.errors[0] == pytest.approx(0.1, rel=1e-6)
    few = predicted_learning_curve([1.0, 0.5], [1.0, 1.0], [1e-9], ridge=1.0, noise=0.1)
    assert few.errors[0] == pytest.approx(2.1, rel=1e-6)


def test_effective_ridge_solves_its_equation_over_wide_spectra():
    eta = np.arange(1, 2000) ** -4.0
    for m in (1, 30, 1500, 1998, 5000):
        for ridge in (0.0, 1e-14, 1e-6, 1.0):
            kappa = effective_ridge(eta, m, ridge)
            if kappa == 0:
                assert ridge == 0 and m > 1998
            else:
                assert ridge / kappa + (eta / (kappa + m * eta)).sum() == pytest.approx(1, rel=1e-9), (m, ridge)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="2 eigenvalues and 1 powers"):
        predicted_learning_curve([1, 1], [1], [1])
    with pytest.raises(ValueError, match="eigenvalues from -1 to 1 are not those of a kernel"):
        predicted_learning_curve([1, -1], [1, 1], [1])
    with pytest.raises(ValueError, match=r"ridge=-1 and noise=0.0 must not be negative"):
        predicted_learning_curve([1], [1], [1], ridge=-1)
    with pytest.raises(ValueError, match=r"sizes \[4.0\] must be positive and below the 4 points of the pool"):
        predicted_learning_curve([1], [1], [4], pool=4)
    with pytest.raises(ValueError, match="must be finite"):
        predicted_learning_curve([1], [np.nan], [4])
    with pytest.raises(ValueError, match=r"eigenvectors \(3, 2\) and targets \(4,\)"):
        power_spectrum(np.ones((3, 2)), np.ones(4))


def test_power_is_what_cumulative_power_sums():
    rng = np.random.default_rng(0)
    vectors, y = np.linalg.qr(rng.standard_normal((12, 12)))[0], rng.standard_normal((12, 3))
    power = power_spectrum(vectors, y)
    np.testing.assert_allclose(np.cumsum(power) / power.sum(), cumulative_power(vectors, y), rtol=1e-12)


# -- exponents -------------------------------------------------------------------------------------------------------


def test_exact_power_laws_have_their_exponent():
    spec = {**SPEC, "dimension": 4000}
    generator = np.random.default_rng(0)
    fit = power_law_exponent(power_law_features.eigenvalues(spec), (10, 300), generator=generator)
    assert fit.exponent == pytest.approx(1.5, rel=1e-9) and fit.low == pytest.approx(fit.high, rel=1e-9)
    tail = power_law_exponent(power_law_features.tail_power(spec), (10, 100), generator=generator)
    assert tail.exponent == pytest.approx(1.5 * 0.6, rel=0.04)  # the sum ends at 4000, so its end falls faster


def test_outliers_do_not_bend_the_fit_and_the_interval_holds_the_truth():
    generator, k = np.random.default_rng(0), np.arange(1, 401)
    values = 3 * k**-2.0
    spoilt = values.copy()
    spoilt[[10, 20, 30]] *= 1e3
    assert power_law_exponent(spoilt, (5, 400), generator=generator).exponent == pytest.approx(2, abs=1e-9)
    held, trials = 0, 60
    for _ in range(trials):
        noisy = values * np.exp(0.3 * generator.standard_normal(400))
        fit = power_law_exponent(noisy, (5, 400), generator=generator, resamples=200)
        assert fit.exponent == pytest.approx(2, abs=0.25)
        held += fit.low <= 2 <= fit.high
    assert held >= 48  # 95 % nominal: fewer than 48 of 60 has probability 1e-8, at an honest 85 % it is 0.1


def test_windows_that_are_not_there_are_refused():
    generator = np.random.default_rng(0)
    for window in ((0, 5), (5, 5), (2, 11)):
        with pytest.raises(ValueError, match=r"window .* is not there: give first < last between 1 and 10"):
            power_law_exponent(np.ones(10), window, generator=generator)
    with pytest.raises(ValueError, match="only 2 of the values in the window 1 to 10 are positive"):
        power_law_exponent([1, 0.5, *[0] * 8], (1, 10), generator=generator)


# -- the critical size over seeds ------------------------------------------------------------------------------------

SIZES = (100, 200, 400, 800)


def crossing_at(*sizes):
    """Ratios ~ 1/m that are 0.1 at the size given."""
    return [[0.1 * size / m for m in SIZES] for size in sizes]


def critical(ratios, **options):
    return critical_size_interval(SIZES, ratios, generator=np.random.default_rng(0), **options)


def test_the_critical_size_is_the_median_of_seeds_within_its_interval():
    found = critical(crossing_at(250, 300, 320, 350, 500))
    assert found.value == pytest.approx(320) and 250 <= found.low < 320 < found.high <= 500.001
    assert (found.crossed, found.seeds, found.left_out, found.bound) == (5, 5, 0, "")
    assert str(found).startswith("320 [") and str(found).endswith("(5 of 5 seeds)")


def test_without_a_crossing_there_is_a_bound():
    none = critical(crossing_at(900, 1000, 2000))
    assert none.value == none.low == none.high == np.inf
    assert (none.crossed, none.bound, str(none)) == (0, "> 800", "> 800 [> 800, > 800] (0 of 3 seeds)")
    some = critical(crossing_at(300, 400, 500, 600, 2000))
    assert some.value == pytest.approx(500) and some.high == np.inf and some.bound == ""
    assert "> 800] (4 of 5 seeds)" in str(some)
    early = critical(crossing_at(20, 30, 40))
    assert early.value == 100 and early.bound == "<= 100" and str(early).startswith("<= 100 [<= 100, <= 100]")


def test_seeds_with_a_diverged_size_are_left_out_and_a_single_seed_has_no_interval():
    ratios = [*crossing_at(250, 300), [0.5, np.nan, 0.1, 0.01]]
    found = critical(ratios)
    assert (found.seeds, found.left_out) == (2, 1)
    one = critical(crossing_at(300))
    assert one.value == pytest.approx(300) and np.isnan(one.low) and str(one) == "300 (1 of 1 seeds)"
    with pytest.raises(ValueError, match=r"shape \(4,\); expected \(seeds, 4\)"):
        critical(ratios[0])
    with pytest.raises(ValueError, match="none of the 1 seeds has a ratio at every size"):
        critical(ratios[2:])
