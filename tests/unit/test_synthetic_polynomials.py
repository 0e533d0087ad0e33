"""Hermite links, staircases and Gaussian polynomials: closed forms against enumeration and quadrature."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import hermite_e

from lazyrich.datasets import chain_monomial, multi_index, staircase
from lazyrich.datasets.targets.link import parse_link
from lazyrich.datasets.targets.polynomial import Polynomial
from synthetic import SPECS, generate

# --- Hermite polynomials in links -----------------------------------------------------------------------------------

POINTS = np.random.default_rng(0).standard_normal((40, 3))


def hermite(degree, values):
    return hermite_e.hermeval(values, [0] * degree + [1])


@pytest.mark.parametrize("degree", range(17))
def test_he_is_the_probabilists_hermite_polynomial(degree):
    value = parse_link(f"He{degree}(z2)").evaluate(POINTS)
    np.testing.assert_allclose(
        value, hermite(degree, POINTS[:, 1]), rtol=1e-7, atol=1e-7 * math.factorial(degree) ** 0.5
    )


def test_he_takes_an_expression_and_stands_in_one():
    value = parse_link("-He2(z1 - z3/2)*z2 + 3*He3(He2(z1))**2 - He0(z1) + He4(2)").evaluate(POINTS)
    x, y, z = POINTS.T
    expected = -hermite(2, x - z / 2) * y + 3 * hermite(3, hermite(2, x)) ** 2 - 1 + (16 - 6 * 4 + 3)
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    assert parse_link("He2(z1) + z1*z2") == Polynomial({((0, 2),): 1.0, (): -1.0, ((0, 1), (1, 1)): 1.0})


@pytest.mark.parametrize(
    "text",
    ["He17(z1)", "He(z1)", "He01(z1)", "He2", "He2()", "He2(z1, z2)", "He2(x=z1)", "He2(*z1)", "he2(z1)", "He2[z1]"]
    + ["He-1(z1)", "He9(z1**2)", "z1.He2(z1)", "He2(He2)", "He2(open)", "H2(z1)", "He200(z1)"],
)
def test_other_spellings_of_hermite_are_refused(text):
    with pytest.raises(ValueError, match=re.escape(f"link {text!r}")):
        parse_link(text)


def test_the_messages_name_what_is_wrong_and_what_is_allowed():
    with pytest.raises(ValueError, match=r"'He17\(z1\)' is not understood; .* He0\(...\) to He16\(...\)"):
        parse_link("z2 + He17(z1)")
    with pytest.raises(ValueError, match="has a degree above 16"):
        parse_link("He3(z1**4*z2**2)")


COEFFICIENTS = st.floats(-1e3, 1e3, allow_subnormal=False).filter(bool)
MONOMIALS = st.dictionaries(st.integers(0, 20), st.integers(1, 5), max_size=3).map(lambda d: tuple(sorted(d.items())))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(MONOMIALS, COEFFICIENTS, max_size=6))
def test_a_polynomial_written_out_is_read_back(coefficients):
    terms = (
        "*".join([f"({value!r})", *(f"z{index + 1}**{power}" for index, power in monomial)])
        for monomial, value in coefficients.items()
    )
    assert parse_link(" + ".join(["0", *terms])) == Polynomial(coefficients)


LEAVES = st.sampled_from(["z1", "z2", "z3"]).map(lambda name: (name, POINTS[:, int(name[1]) - 1]))
LEAVES |= st.integers(0, 9).map(lambda value: (str(value), np.full(len(POINTS), float(value))))


def compound(inner):
    """Pairs of a text and its values, from pairs of the same kind."""
    pairs = st.tuples(inner, inner)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]} + {p[1][0]})", p[0][1] + p[1][1])),
        pairs.map(lambda p: (f"({p[0][0]} - {p[1][0]})", p[0][1] - p[1][1])),
        pairs.map(lambda p: (f"{p[0][0]}*{p[1][0]}", p[0][1] * p[1][1])),
        inner.map(lambda e: (f"(-{e[0]})", -e[1])),
        inner.map(lambda e: (f"{e[0]}/4", e[1] / 4)),
        st.tuples(inner, st.integers(0, 2)).map(lambda p: (f"({p[0][0]})**{p[1]}", p[0][1] ** p[1])),
        st.tuples(inner, st.integers(0, 3)).map(lambda p: (f"He{p[1]}({p[0][0]})", hermite(p[1], p[0][1]))),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(LEAVES, compound, max_leaves=6))
def test_any_expression_has_the_values_of_its_parts(expression):
    text, expected = expression
    try:
        value = parse_link(text).evaluate(POINTS)
    except ValueError as error:
        assert "has a degree above 16" in str(error)
    else:
        size = np.abs(expected).max() + sum(abs(c) for c in parse_link(text).coefficients.values()) * 4.0**8
        np.testing.assert_allclose(value, expected, atol=1e-9 * size)


def test_powers_are_products_to_the_bit():
    x = POINTS[:, :1]
    np.testing.assert_array_equal(parse_link("3*z1**4").evaluate(x), 3 * (x * x * x * x)[:, 0])


# --- staircases -----------------------------------------------------------------------------------------------------

CUBE = np.array(list(itertools.product([-1.0, 1.0], repeat=6)))


def climb(x):
    """The target of "staircase monomials", written out."""
    total = x[:, 1] - 0.5 * x[:, 0] * x[:, 1] * x[:, 2] * x[:, 5] + 2 * x[:, 0] * x[:, 2] + 0.25 * x[:, 4] * x[:, 1]
    return total / (1 + 0.25 + 4 + 0.0625) ** 0.5


def test_a_staircase_of_monomials_on_the_whole_hypercube():
    spec = SPECS["staircase monomials"]
    y = climb(CUBE)
    assert staircase.population_variance(spec) == pytest.approx(y.var(), rel=1e-12)
    assert y.var() == pytest.approx(1, rel=1e-12)
    walsh = staircase.walsh_coefficients(spec)
    for size in range(7):
        for monomial in itertools.combinations(range(1, 7), size):
            expected = np.mean(y * CUBE[:, [index - 1 for index in monomial]].prod(1))
            assert walsh.get(monomial, 0) == pytest.approx(expected, abs=1e-14)
    points = torch.from_numpy(CUBE).requires_grad_()
    (gradient,) = torch.autograd.grad(climb(points).sum(), points)
    np.testing.assert_allclose(staircase.egop(spec), (gradient.T @ gradient / 64).numpy(), atol=1e-14)
    for split in generate("staircase monomials").values():
        np.testing.assert_allclose(split["targets"][:, 0], climb(split["inputs"].astype(float)), atol=1e-6)
        assert set(np.unique(split["inputs"])) == {-1.0, 1.0}


def test_the_picture_of_a_staircase_names_its_monomials():
    bars = staircase.picture(SPECS["staircase monomials"])
    assert bars.names == ("x2", "x1 x2 x3 x6", "x1 x3", "x2 x5")
    np.testing.assert_allclose(bars.values, np.array([1, -0.5, 2, 0.25]) / 5.3125**0.5, rtol=1e-12)


# --- Gaussian polynomials -------------------------------------------------------------------------------------------


def multi_index_target(x):
    """He2(z1) + z1 z2 + z1 z2 z4, the z being the inputs; not yet of unit variance."""
    return x[:, 0] ** 2 - 1 + x[:, 0] * x[:, 1] + x[:, 0] * x[:, 1] * x[:, 3]


def isotropic_target(x):
    return (x[:, 1] ** 3 - 3 * x[:, 1]) / 6 + 0.5 * x[:, 0] ** 4


def chain_target(x):
    return sum(x[:, k] * x[:, (k + 1) % 5] for k in range(5))


GAUSSIAN = {
    "multi_index": (multi_index, multi_index_target, 4, 0.7, True),
    "multi_index isotropic": (multi_index, isotropic_target, 2, 0.0, True),
    "chain_monomial": (chain_monomial, chain_target, 5, 1.0, False),
}


def quadrature(name):
    """Standardised nodes z, inputs x, weights, and the target at x: exact for the polynomials here."""
    _, target, relevant, exponent, normalised = GAUSSIAN[name]
    nodes, weights = hermite_e.hermegauss(9 if relevant < 3 else 5)  # exact up to degree 17, or 9 in each coordinate
    z = np.zeros((len(nodes) ** relevant, SPECS[name]["dimension"]))
    z[:, :relevant] = list(itertools.product(nodes, repeat=relevant))
    weight = np.prod(list(itertools.product(weights / weights.sum(), repeat=relevant)), axis=1)
    x = z * np.arange(1, z.shape[1] + 1) ** (-exponent / 2)
    y = target(x)
    scale = 1 / (weight @ y**2 - (weight @ y) ** 2) ** 0.5 if normalised else 1.0
    return z, x, weight, scale


@pytest.mark.parametrize("name", GAUSSIAN)
def test_moments_of_gaussian_polynomials_against_quadrature_and_autograd(name):
    module, target, *_ = GAUSSIAN[name]
    _, x, weight, scale = quadrature(name)
    y = scale * target(x)
    assert module.population_variance(SPECS[name]) == pytest.approx(weight @ y**2 - (weight @ y) ** 2, rel=1e-10)
    points = torch.from_numpy(x).requires_grad_()
    (gradient,) = torch.autograd.grad(scale * target(points).sum(), points)
    expected = np.einsum("n,ni,nj->ij", weight, gradient.numpy(), gradient.numpy())
    np.testing.assert_allclose(module.egop(SPECS[name]), expected, rtol=1e-10, atol=1e-12)
    for split in generate(name).values():
        expected = scale * target(split["inputs"].astype(float))
        np.testing.assert_allclose(split["targets"][:, 0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", GAUSSIAN)
def test_hermite_coefficients_against_quadrature_and_parseval(name):
    module, target, relevant, *_ = GAUSSIAN[name]
    z, x, weight, scale = quadrature(name)
    y = scale * target(x)
    coefficients = module.hermite_coefficients(SPECS[name])
    for degrees in itertools.product(range(5 if relevant < 3 else 3), repeat=relevant):
        basis = np.ones(len(z))
        for index, degree in enumerate(degrees):
            basis *= hermite(degree, z[:, index]) / math.factorial(degree) ** 0.5
        alpha = tuple((index, degree) for index, degree in enumerate(degrees) if degree)
        assert coefficients.get(alpha, 0) == pytest.approx(weight @ (y * basis), abs=1e-10)
    assert sum(value**2 for value in coefficients.values()) == pytest.approx(weight @ y**2, rel=1e-10)


def test_without_an_exponent_the_inputs_are_standard_gaussian_to_the_bit():
    plain = generate("multi_index isotropic")
    zero = generate("multi_index isotropic", covariance_exponent=0)
    for split in plain:
        np.testing.assert_array_equal(plain[split]["inputs"], zero[split]["inputs"])
        np.testing.assert_array_equal(plain[split]["targets"], zero[split]["targets"])


def test_pictures_of_gaussian_polynomials():
    plane = multi_index.picture(SPECS["multi_index"])
    assert (plane.x_label, plane.y_label, plane.z_label) == ("x1", "x2", "y at x4 = 1")
    assert plane.z.shape == (61, 61) and plane.x[0] == -2.5 and plane.y[-1] == 2.5
    a, b = plane.x[7], plane.y[50]
    ratio = (a**2 - 1 + 2 * a * b) / (2.5**2 - 1)  # at x2 = 0 the products vanish
    assert plane.z[50, 7] / plane.z[30, 0] == pytest.approx(ratio, rel=1e-12)
    chain = chain_monomial.picture(SPECS["chain_monomial"])
    assert chain.z_label == "y at x3 = x4 = x5 = 1"
    assert chain.z[50, 7] == pytest.approx(a * b + b + 1 + 1 + a, rel=1e-12)
    long = chain_monomial.picture({"dimension": 20, "rank": 20})
    assert long.z_label == "y at x3 = ... = x20 = 1"
    assert chain_monomial.picture({"dimension": 3, "rank": 2}).z_label == "y"
    single = multi_index.picture({"dimension": 3, "link": "He3(z2)"})
    assert (single.x_label, single.y_label) == ("x2", "y")
    np.testing.assert_allclose(single.y, hermite(3, single.x) / 6**0.5, atol=1e-12)
