"""Random labels and power-law features: samples against the stated laws, tails against sums."""

import numpy as np
import pytest

from lazyrich.datasets import gaussian, power_law_features
from synthetic import SPECS, generate, spec_of

COUNT = 100_000
K = np.arange(1.0, 13)


def test_random_labels_are_standard_gaussian_and_know_nothing_of_the_inputs():
    train = generate("gaussian", train=COUNT)["train"]
    x, y = train["inputs"].astype(float), train["targets"][:, 0].astype(float)
    error = 5 / COUNT**0.5
    assert abs(y.mean()) < error and abs((y**2).mean() - 1) < error * 2**0.5
    assert abs((y**4).mean() - 3) < error * 96**0.5
    z = x / x.std(0)
    np.testing.assert_allclose(z.T @ y / COUNT, 0, atol=error)
    np.testing.assert_allclose((z**2 - 1).T @ (y**2 - 1) / COUNT, 0, atol=2 * error)
    assert gaussian.population_variance(SPECS["gaussian"]) == 1


def test_the_covariance_of_gaussian_inputs_and_its_picture():
    np.testing.assert_allclose(gaussian.covariance(SPECS["gaussian"]), np.arange(1.0, 6) ** -1.3, rtol=1e-14)
    curve = gaussian.picture(SPECS["gaussian"])
    np.testing.assert_allclose(np.log(curve.y), -1.3 * np.log(curve.x), atol=1e-14)


def features(**change):
    return {**SPECS["power_law_features"], **change}


def test_features_have_the_stated_spectrum_coefficients_and_power():
    spec = features()
    eigenvalues, coefficients = power_law_features.eigenvalues(spec), power_law_features.coefficients(spec)
    np.testing.assert_allclose(eigenvalues, K**-1.5, rtol=1e-14)
    np.testing.assert_allclose(eigenvalues * coefficients**2, K ** (-1.5 * 0.4 - 1), rtol=1e-14)
    np.testing.assert_allclose(power_law_features.egop(spec), coefficients[:, None] * coefficients[None], rtol=1e-14)
    curve = power_law_features.picture(spec)
    np.testing.assert_allclose(curve.y, np.stack([eigenvalues, eigenvalues * coefficients**2], 1), rtol=1e-14)
    assert len(curve.series) == 2


def test_the_tail_is_the_sum_of_what_is_left_and_falls_with_the_source():
    spec = features(dimension=4000, source=1.2)
    power = power_law_features.eigenvalues(spec) * power_law_features.coefficients(spec) ** 2
    tail = power_law_features.tail_power(spec)
    for k in (1, 2, 100, 3999, 4000):
        assert tail[k - 1] == pytest.approx(power[k:].sum(), rel=1e-11, abs=1e-300)
    slope = np.log(tail[79] / tail[39]) / np.log(2)
    assert slope == pytest.approx(-1.5 * 1.2, rel=0.02)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_targets_are_linear_up_to_independent_noise(noise):
    spec = features(noise=noise)
    data = generate("power_law_features", train=COUNT, noise=noise)
    residuals = {}
    for split, arrays in data.items():
        signal = arrays["inputs"].astype(float) @ K ** ((1.5 - 1.5 * 0.4 - 1) / 2)
        residuals[split] = arrays["targets"][:, 0] - signal
    if noise == 0:
        assert max(np.abs(residual).max() for residual in residuals.values()) < 2e-6
    else:
        residual, error = residuals["train"] / noise, 5 / COUNT**0.5
        assert abs(residual.mean()) < error and abs((residual**2).mean() - 1) < error * 2**0.5
        z = data["train"]["inputs"].astype(float) * K**0.75
        np.testing.assert_allclose(z.T @ residual / COUNT, 0, atol=error)
        assert residuals["test"].std() == pytest.approx(noise, rel=5 / 64**0.5)
        assert not np.allclose(residuals["test"][:16], residuals["probe"], atol=1e-3)
    variance = power_law_features.population_variance(spec)
    assert variance == pytest.approx(data["train"]["targets"].var(), rel=5 * (2 / COUNT) ** 0.5)


def test_noise_leaves_the_inputs_and_absent_noise_is_none():
    noisy, still = generate("power_law_features"), generate("power_law_features", noise=0)
    bare = {key: value for key, value in spec_of("power_law_features").items() if key != "noise"}
    absent = power_law_features.generate(bare, np.random.default_rng(0))
    for split in noisy:
        np.testing.assert_array_equal(noisy[split]["inputs"], still[split]["inputs"])
        np.testing.assert_array_equal(absent[split]["targets"], still[split]["targets"])
