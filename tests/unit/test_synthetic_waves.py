"""Circle, functions of one number and modular addition, against scipy, numpy's FFT, quadrature and enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, special

from lazyrich.datasets import circle, modular_addition, one_dimensional
from lazyrich.datasets.targets.power_law import power_law
from lazyrich.datasets.targets.waves import cosine, cosine_sum, sine
from synthetic import SPECS, generate

# --- the arithmetic that is the same everywhere ---------------------------------------------------------------------


@given(st.floats(-1e6, 1e6))
def test_sine_against_scipy(half_turns):
    value = sine(np.array(half_turns))
    assert value == pytest.approx(special.sindg(180 * math.remainder(half_turns, 2)), abs=2e-15)


def test_sine_and_cosine_on_the_grid_are_as_good_as_numpys():
    turns = np.arange(-(2**12), 2**12) / 2**10
    np.testing.assert_allclose(sine(turns), np.sin(np.pi * turns), atol=3e-15)
    np.testing.assert_allclose(cosine(turns), np.cos(np.pi * turns), atol=3e-15)
    np.testing.assert_array_equal(sine(np.arange(-3, 4) / 2), [1, 0, -1, 0, 1, 0, -1])


@pytest.mark.parametrize(("count", "points"), [(1, 1), (1, 8), (8, 8), (16, 256), (4, 4)])
def test_cosine_sums_against_the_matrix_of_cosines(count, points):
    coefficients = np.random.default_rng(0).standard_normal(count)
    waves = np.cos(2 * np.pi * np.outer(np.arange(points), np.arange(count)) / points)
    np.testing.assert_allclose(cosine_sum(coefficients, points), waves @ coefficients, atol=1e-13)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 0.7, -1.3, 2.5])
def test_power_law_against_numpy(exponent):
    np.testing.assert_allclose(power_law(500, exponent), np.arange(1.0, 501) ** -exponent, rtol=1e-15)


# --- circle ---------------------------------------------------------------------------------------------------------


def amplitudes(exponent, modes):
    k = np.arange(1.0, modes + 1)
    return k, k**-exponent / (0.5 * (k ** (-2 * exponent)).sum()) ** 0.5


@pytest.mark.parametrize(("exponent", "modes"), [(0.6, 2000), (1.4, 1), (0.3, 1024), (2.0, 5)])
def test_the_table_against_numpys_transform_and_the_sum_itself(exponent, modes):
    k, c = amplitudes(exponent, modes)
    table = circle.table({"exponent": exponent, "modes": modes})
    spectrum = np.zeros(circle.ANGLES // 2 + 1)
    spectrum[1 : modes + 1] = c * circle.ANGLES / 2
    np.testing.assert_allclose(table, np.fft.irfft(spectrum, circle.ANGLES), atol=1e-11)
    places = np.random.default_rng(0).integers(0, circle.ANGLES, 20)
    waves = np.cos(2 * np.pi * (np.outer(places, k) % circle.ANGLES) / circle.ANGLES)
    np.testing.assert_allclose(table[places], waves @ c, atol=1e-11)
    assert table.mean() == pytest.approx(0, abs=1e-12) and table.var() == pytest.approx(1, rel=1e-12)


def test_circle_coefficients_are_those_of_the_table():
    spec = {"exponent": 0.8}
    table, angles = circle.table(spec), 2 * np.pi * np.arange(circle.ANGLES) / circle.ANGLES
    mercer = circle.mercer_coefficients(spec)
    assert mercer.shape == (2000,) and (mercer**2).sum() == pytest.approx(1, rel=1e-12)
    for k in (1, 2, 17, 2000):
        assert mercer[k - 1] == pytest.approx((table * 2**0.5 * np.cos(k * angles)).mean(), abs=1e-11)
    assert circle.population_variance(spec) == pytest.approx(table.var(), rel=1e-12)


def test_circle_samples_lie_on_it_and_have_the_target_of_their_angle():
    for split in generate("circle five", train=2000).values():
        x = split["inputs"].astype(float)
        np.testing.assert_allclose((x**2).sum(1), 1, atol=2e-7)
        k, c = amplitudes(1.1, 5)
        expected = np.cos(np.outer(np.arctan2(x[:, 1], x[:, 0]), k)) @ c
        np.testing.assert_allclose(split["targets"][:, 0], expected, atol=5e-6)


def test_circle_angles_are_uniform():
    count = 50_000
    x = generate("circle five", train=count)["train"]["inputs"].astype(float)
    turn = x[:, 0] + 1j * x[:, 1]
    for k in (1, 2, 3, 64):
        assert abs((turn**k).mean()) < 5 / count**0.5


@pytest.mark.parametrize(("exponent", "modes"), [(1.7, 40), (0.6, 7), (1.0, 3), (1.0, 2), (0.5, 1)])
def test_circle_egop_against_quadrature(exponent, modes):
    k, c = amplitudes(exponent, modes)
    t = 2 * np.pi * np.arange(256) / 256  # exact: the integrand has waves up to 2 modes + 2
    slope = -np.sin(np.outer(t, k)) @ (k * c)
    tangent = np.stack([-np.sin(t), np.cos(t)])
    expected = np.einsum("n,in,jn->ij", slope**2, tangent, tangent) / 256
    np.testing.assert_allclose(circle.egop({"exponent": exponent, "modes": modes}), expected, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("q", "q_phi"), [(0.7, 1.0), (1.5, 0.75), (0.9, 2.0)])
def test_source_exponents_against_the_decay_of_tails(q, q_phi):
    capacity, source = circle.source_exponents(q, q_phi)
    low, high = 1e4, 1e5
    ratio = math.log(high / low)
    assert -math.log((high ** (-2 * q_phi)) / (low ** (-2 * q_phi))) / ratio == pytest.approx(capacity)
    decay = -math.log(special.zeta(2 * q, high + 1) / special.zeta(2 * q, low + 1)) / ratio  # tail sums of k^{-2q}
    assert capacity * source == pytest.approx(decay, rel=1e-3)


def test_the_picture_of_the_circle():
    curve = circle.picture({"exponent": 1.2, "modes": 30})
    k, c = amplitudes(1.2, 30)
    np.testing.assert_allclose(curve.y, np.cos(np.outer(curve.x, k)) @ c, atol=1e-11)
    assert curve.x[0] == -math.pi and curve.x[-1] == math.pi and 512 < len(curve.x) < 2048


# --- one dimension --------------------------------------------------------------------------------------------------

CELLS = 55_440  # a multiple of 4 f for every frequency below, so that jumps and corners lie between the midpoints
MIDPOINTS = -1 + (2 * np.arange(CELLS) + 1) / CELLS


def by_scipy(function, frequency, x):
    angle = np.pi * frequency * x
    return {
        "sine": lambda: 2**0.5 * np.sin(angle),
        "step": lambda: signal.square(angle),
        "triangle": lambda: 3**0.5 * signal.sawtooth(angle + np.pi / 2, width=0.5),
        "sawtooth": lambda: 3**0.5 * signal.sawtooth(angle),
        "legendre": lambda: (2 * frequency + 1) ** 0.5 * special.eval_legendre(frequency, x),
    }[function]()


FUNCTIONS = pytest.mark.parametrize(
    ("function", "frequency"), list(itertools.product(one_dimensional.FUNCTIONS, [1, 2, 3, 7]))
)


@FUNCTIONS
def test_functions_of_one_number_against_scipy(function, frequency):
    spec = {"function": function, "frequency": frequency}
    expected = by_scipy(function, frequency, MIDPOINTS)
    np.testing.assert_allclose(one_dimensional.target(spec, MIDPOINTS), expected, atol=1e-10)
    assert expected.mean() == pytest.approx(0, abs=1e-7)
    assert one_dimensional.population_variance(spec) == pytest.approx(expected.var(), rel=1e-6)
    sizes = {"train": 500, "test": 1, "probe": 1}
    train = one_dimensional.generate({**spec, **sizes}, np.random.default_rng(0))["train"]
    expected = by_scipy(function, frequency, train["inputs"][:, 0].astype(float))
    np.testing.assert_allclose(train["targets"][:, 0], expected, atol=1e-6)
    curve = one_dimensional.picture(spec)
    inside = np.abs(curve.x * frequency % 1 - 0.5) < 0.499  # away from the jumps
    np.testing.assert_allclose(curve.y[inside], by_scipy(function, frequency, curve.x)[inside], atol=1e-9)


@FUNCTIONS
def test_fourier_coefficients_of_one_number_against_quadrature(function, frequency):
    spec = {"function": function, "frequency": frequency}
    if function == "legendre":
        with pytest.raises(ValueError, match="function is 'legendre', which is no sum of few waves"):
            one_dimensional.fourier_coefficients(spec, 5)
        return
    y = by_scipy(function, frequency, MIDPOINTS)
    k = np.arange(1, 23)
    expected = 2**0.5 * np.sin(np.pi * np.outer(k, MIDPOINTS)) @ y / CELLS
    np.testing.assert_allclose(one_dimensional.fourier_coefficients(spec, 22), expected, atol=1e-6)
    np.testing.assert_allclose(np.cos(np.pi * np.outer(k, MIDPOINTS)) @ y / CELLS, 0, atol=1e-6)
    many = one_dimensional.fourier_coefficients(spec, 200_000)
    assert (many**2).sum() == pytest.approx(1, abs=1e-4)  # Parseval; what is left of a jump falls as 1 / modes


@FUNCTIONS
def test_egop_of_one_number_against_differences(function, frequency):
    spec = {"function": function, "frequency": frequency}
    if function in ("step", "sawtooth"):
        with pytest.raises(ValueError, match=f"function is '{function}', which jumps, so there is no EGOP"):
            one_dimensional.egop(spec)
        return
    edges = -1 + 2 * np.arange(CELLS + 1) / CELLS
    slopes = np.diff(by_scipy(function, frequency, edges)) * CELLS / 2
    np.testing.assert_allclose(one_dimensional.egop(spec), [[(slopes**2).mean()]], rtol=1e-5)


def test_inputs_of_one_number_are_uniform():
    count = 50_000
    x = np.sort(generate("one_dimensional sine", train=count)["train"]["inputs"][:, 0])
    distance = np.abs((x + 1) / 2 - np.arange(1, count + 1) / count).max()
    assert distance < 2 / count**0.5  # Kolmogorov-Smirnov: exceeded with probability 7e-4


# --- modular addition -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["modular_addition one_hot", "modular_addition tokens"])
def test_the_splits_of_modular_addition_are_all_pairs_once_with_their_sums(name):
    p = SPECS[name]["modulus"]
    data = generate(name, train=p * p - 30, test=20, probe=10)
    seen = []
    for split in data.values():
        if name.endswith("one_hot"):
            halves = split["inputs"].reshape(-1, 2, p)
            assert ((halves == 1).sum(2) == 1).all() and ((halves == 0).sum(2) == p - 1).all()
            pairs = halves.argmax(2)
        else:
            pairs = split["inputs"].astype(int)
        seen += list(map(tuple, pairs))
        labels = np.array([(a + b) % p for a, b in pairs.tolist()])
        np.testing.assert_array_equal(split["labels"], labels)
        np.testing.assert_allclose(split["targets"], np.eye(p)[labels] - 1 / p, atol=1e-7)
        assert split["labels"].dtype == np.int64
    assert sorted(seen) == sorted(itertools.product(range(p), repeat=2))
    assert seen[: p * p - 30] != sorted(seen[: p * p - 30])


def test_both_encodings_hold_the_same_pairs():
    hot, tokens = (generate("modular_addition one_hot", encoding=encoding) for encoding in ("one_hot", "tokens"))
    for split in hot:
        np.testing.assert_array_equal(hot[split]["inputs"].reshape(-1, 2, 11).argmax(2), tokens[split]["inputs"])


@pytest.mark.parametrize("p", [2, 5, 12])
def test_modular_closed_forms_against_all_pairs(p):
    labels = np.add.outer(np.arange(p), np.arange(p)) % p
    targets = np.eye(p)[labels] - 1 / p
    assert modular_addition.population_variance({"modulus": p}) == pytest.approx(targets.reshape(-1, p).var(0).sum())
    transform = np.fft.fft2(targets, axes=(0, 1)) / p**2
    expected = np.zeros((p, p, p), dtype=complex)
    expected[np.arange(p), np.arange(p)] = modular_addition.fourier_coefficients({"modulus": p})
    np.testing.assert_allclose(transform, expected, atol=1e-14)
    picture = modular_addition.picture({"modulus": p})
    np.testing.assert_array_equal(picture.z, labels)
    assert picture.z_label == f"(a + b) mod {p}"
