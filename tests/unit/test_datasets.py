"""Datasets: closed forms against Monte Carlo, enumeration and autograd; determinism; splits; errors."""

import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from lazyrich.datasets import chain_monomial, digits, multi_index, staircase
from lazyrich.datasets.drawing import Drawer
from lazyrich.datasets.targets.link import parse_link
from lazyrich.datasets.targets.polynomial import Polynomial, gaussian_moment, rademacher_moment, variance

SIZES = {"train": 64, "test": 32, "probe": 16}
SPECS = {
    "staircase": (staircase, {"dimension": 7, "order": 4, **SIZES}),
    "multi_index": (multi_index, {"dimension": 6, "link": "z1 + z1*z2 + z1*z2*z3", **SIZES}),
    "multi_index_hermite": (multi_index, {"dimension": 5, "link": "(z1**3 - 3*z1)/6 + 0.5*z2**2*z4 - 1", **SIZES}),
    "chain_monomial": (chain_monomial, {"dimension": 8, "rank": 5, **SIZES}),
    "chain_monomial_short": (chain_monomial, {"dimension": 4, "rank": 2, **SIZES}),
    "digits": (digits, SIZES),
}
CLOSED = [name for name in SPECS if name != "digits"]


def direct_target(name, x):
    """Each target written out by hand on a float64 tensor x, shape (n, d)."""
    if name == "staircase":
        return sum(x[:, :length].prod(1) for length in range(1, 5)) / 2
    if name == "multi_index":
        return (x[:, 0] + x[:, 0] * x[:, 1] + x[:, 0] * x[:, 1] * x[:, 2]) / 3**0.5
    if name == "multi_index_hermite":
        link = (x[:, 0] ** 3 - 3 * x[:, 0]) / 6 + 0.5 * x[:, 1] ** 2 * x[:, 3] - 1
        return link / (1 / 6 + 0.25 * 3) ** 0.5  # E[He3^2] = 3!, E[z2^4 z4^2] = 3
    rank = {"chain_monomial": 5, "chain_monomial_short": 2}[name]
    return sum(x[:, k - 1] * x[:, k % rank] for k in range(1, rank + 1))


def population(name, count=400_000):
    """A large independent sample of the inputs; for the hypercube, all of it."""
    _, spec = SPECS[name]
    if name == "staircase":
        return torch.tensor(list(itertools.product([-1.0, 1.0], repeat=spec["dimension"])), dtype=torch.float64)
    return torch.randn(count, spec["dimension"], generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def generate(name, seed=0, **change):
    """The splits of a draw, as the library draws it."""
    module, spec = SPECS[name]
    drawn = Drawer({**spec, **change, "generator": module.__name__.rpartition(".")[2]}).draw(
        np.random.default_rng(seed)
    )
    return {split: arrays for split, arrays in drawn.items() if split != "normalization"}


# --- closed forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLOSED)
def test_targets_are_the_stated_function_of_the_inputs(name):
    for split in generate(name).values():
        expected = direct_target(name, torch.from_numpy(split["inputs"]).double())
        np.testing.assert_allclose(split["targets"][:, 0], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CLOSED)
def test_variance_and_egop_against_the_population_and_autograd(name):
    module, spec = SPECS[name]
    x = population(name).requires_grad_()
    y = direct_target(name, x)
    (gradient,) = torch.autograd.grad(y.sum(), x)
    # Enumeration is exact; the tolerance of the samples is about five standard errors of the heaviest tail here.
    tolerance = {"rtol": 1e-12, "atol": 1e-12} if name == "staircase" else {"rtol": 0.05, "atol": 0.02}
    np.testing.assert_allclose(module.population_variance(spec), y.var(correction=0).item(), **tolerance)
    np.testing.assert_allclose(module.egop(spec), (gradient.T @ gradient / len(x)).numpy(), **tolerance)


def test_chain_egop_is_two_on_the_diagonal_and_one_two_apart():
    expected = np.zeros((8, 8))
    for k in range(5):
        expected[k, k], expected[k, (k + 2) % 5], expected[k, (k - 2) % 5] = 2, 1, 1
    np.testing.assert_array_equal(chain_monomial.egop(SPECS["chain_monomial"][1]), expected)


@pytest.mark.parametrize(("rank", "expected"), [(1, 2), (2, 4), (3, 3), (5, 5), (8, 8)])
def test_chain_variance_is_the_rank_from_three_on(rank, expected):
    assert chain_monomial.population_variance({"dimension": 8, "rank": rank}) == expected


def test_staircase_and_multi_index_have_unit_variance():
    assert staircase.population_variance({"dimension": 20, "order": 5}) == pytest.approx(1)
    assert multi_index.population_variance({"dimension": 9, "link": "3 + 7*z1**4 - z2*z9"}) == pytest.approx(1)


def test_moments_against_quadrature():
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    for power in range(13):
        expected = (weights * nodes**power).sum() / weights.sum()
        assert gaussian_moment(power) == pytest.approx(expected, abs=1e-9, rel=1e-9)
        assert rademacher_moment(power) == np.mean([(-1.0) ** power, 1.0])


def test_hermite_polynomials_are_orthogonal():
    hermite = ["z1", "z1**2 - 1", "z1**3 - 3*z1", "z1**4 - 6*z1**2 + 3"]
    for (row, left), (column, right) in itertools.product(enumerate(hermite, 1), repeat=2):
        product = (parse_link(left) * parse_link(right)).expectation(gaussian_moment)
        assert product == ([1, 2, 6, 24][row - 1] if row == column else 0)


# --- the grammar of links -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "z1 + z1*z2 + z1*z2*z3",
        "z1**3 - 3*z1",
        "-(z1 - 2.5)*(z2 + z1)/4",
        "+z3**0 - -z2",
        "(z1 + z2)**4",
        "2**3*z1 - 1e-1",
        " z1 ",
    ],
)
def test_links_mean_what_python_means(text):
    points = np.random.default_rng(0).standard_normal((50, 3))
    names = {f"z{index + 1}": points[:, index] for index in range(3)}
    expected = eval(text.strip(), {"__builtins__": {}}, names)  # the test's own texts
    np.testing.assert_allclose(parse_link(text).evaluate(points), expected, rtol=1e-10, atol=1e-10)


def test_links_collect_equal_monomials_and_drop_zeros():
    assert parse_link("z2*z1 + z1*z2 + z3 - z3") == Polynomial({((0, 1), (1, 1)): 2.0})
    assert parse_link("0*z1").coefficients == {}
    assert variance(parse_link("5"), gaussian_moment) == 0


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "z1.real",
        "z1[0]",
        "lambda: z1",
        "z1 if z2 else z3",
        "x1",
        "z0",
        "z01",
        "z",
        "z1**-1",
        "z1**0.5",
        "z1**z2",
        "z1**True",
        "z1**17",
        "(z1**9)**9",
        "z1/z2",
        "z1/0",
        "1/z1",
        "True*z1",
        "1j*z1",
        "1e999*z1",
        "'a'*z1",
        "z1 @ z2",
        "~z1",
        "z1 < z2",
        "z1 +",
        "",
        "z1; z2",
        "z1\x00",
    ],
)
def test_anything_else_is_refused_with_the_text_in_the_message(text):
    with pytest.raises(ValueError, match="link"):
        parse_link(text)


def test_the_message_names_the_part_that_is_wrong():
    with pytest.raises(ValueError, match=r"link 'z1 \+ sin\(z2\)': 'sin\(z2\)' is not understood"):
        parse_link("z1 + sin(z2)")
    with pytest.raises(ValueError, match="link is 3"):
        parse_link(3)


# --- splits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_the_seed_fixes_every_bit_and_another_seed_differs(name):
    first, again, other = generate(name), generate(name), generate(name, seed=1)
    for split, arrays in first.items():
        assert arrays.keys() == again[split].keys()
        for key, values in arrays.items():
            assert values.tobytes() == again[split][key].tobytes()
        assert not np.array_equal(arrays["inputs"], other[split]["inputs"])


@pytest.mark.parametrize("name", SPECS)
def test_shapes_and_types(name):
    module, spec = SPECS[name]
    data = generate(name)
    assert list(data) == ["train", "test", "probe"]
    shape, outputs = ((1, 8, 8), 10) if module is digits else ((spec.get("dimension"),), 1)
    for split, arrays in data.items():
        assert arrays["inputs"].shape == (SIZES[split], *shape)
        assert arrays["targets"].shape == (SIZES[split], outputs)
        assert arrays["inputs"].dtype == arrays["targets"].dtype == np.float32
        assert ("labels" in arrays) == (module is digits)


@pytest.mark.parametrize("name", CLOSED)
def test_a_larger_training_set_extends_the_smaller_and_leaves_the_rest(name):
    small, large = generate(name), generate(name, train=1000)
    np.testing.assert_array_equal(large["train"]["inputs"][:64], small["train"]["inputs"])
    for split in ("test", "probe"):
        np.testing.assert_array_equal(large[split]["inputs"], small[split]["inputs"])


def test_inputs_have_the_stated_law():
    cube = generate("staircase", train=20_000)["train"]["inputs"]
    assert set(np.unique(cube)) == {-1.0, 1.0}
    normal = generate("chain_monomial", train=20_000)["train"]["inputs"]
    for inputs in (cube, normal):
        np.testing.assert_allclose(inputs.mean(0), 0, atol=0.03)
        np.testing.assert_allclose(np.cov(inputs.T), np.eye(inputs.shape[1]), atol=0.04)
    assert np.mean(normal**4) == pytest.approx(3, rel=0.05)


def test_splits_are_independent_samples():
    data = generate("multi_index")
    assert not np.intersect1d(data["train"]["inputs"], data["test"]["inputs"]).size
    assert not np.intersect1d(data["train"]["inputs"], data["probe"]["inputs"]).size


# --- digits ---------------------------------------------------------------------------------------------------------


def original_rows(inputs):
    """For each image the row of the source it is, found by its pixels after undoing shift and scale."""
    source = {image.tobytes(): row for row, image in enumerate(load_digits().images.astype(int))}
    low, high = inputs.min(), inputs.max()
    pixels = np.rint((inputs[:, 0] - low) / (high - low) * 16).astype(int)
    return [source[image.tobytes()] for image in pixels]


def test_digits_splits_are_disjoint_real_images_with_their_labels():
    data = generate("digits", train=1000, test=500, probe=297)
    rows = {split: original_rows(arrays["inputs"]) for split, arrays in data.items()}
    assert sorted(itertools.chain(*rows.values())) == list(range(1797))
    for split, arrays in data.items():
        np.testing.assert_array_equal(arrays["labels"], load_digits().target[rows[split]])
        assert arrays["labels"].dtype == np.int64
        np.testing.assert_array_equal(arrays["targets"].argmax(1), arrays["labels"])
        np.testing.assert_allclose(arrays["targets"].max(1), 0.9)
        np.testing.assert_allclose(arrays["targets"].sum(1), 0, atol=1e-6)


def test_digits_are_standardised_by_the_training_split_alone():
    data = generate("digits", train=1000, test=500)
    assert data["train"]["inputs"].mean() == pytest.approx(0, abs=1e-5)
    assert data["train"]["inputs"].std() == pytest.approx(1, rel=1e-5)
    assert abs(data["test"]["inputs"].mean()) > 1e-4


def test_a_larger_training_set_of_digits_keeps_the_images():
    small, large = (generate("digits", train=train) for train in (200, 400))
    assert original_rows(large["train"]["inputs"])[:200] == original_rows(small["train"]["inputs"])
    np.testing.assert_array_equal(large["test"]["labels"], small["test"]["labels"])


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("digits", {"train": 1750}, "= 1,798 are asked for; make a split smaller"),
        ("digits", {"probe": 0}, "probe is 0; give a whole number of at least 1"),
        ("staircase", {"order": 8}, "order is 8 and dimension 7"),
        ("staircase", {"dimension": "7"}, "dimension is '7'"),
        ("staircase", {"train": -3}, "train is -3"),
        ("chain_monomial", {"rank": 9}, "rank is 9 and dimension 8"),
        ("multi_index", {"dimension": 2}, "uses z3 and dimension is 2"),
        ("multi_index", {"link": "4"}, "link '4' is constant"),
        ("multi_index", {"link": "z1*sin(z2)"}, "not understood"),
    ],
)
def test_a_wrong_specification_is_explained(name, change, message):
    with pytest.raises(ValueError, match=message):
        generate(name, **change)


@pytest.mark.parametrize(("name", "key"), [("digits", "probe"), ("staircase", "order"), ("multi_index", "dimension")])
def test_a_missing_key_is_named(name, key):
    module, spec = SPECS[name]
    with pytest.raises(ValueError, match=f"'{key}' is missing"):
        without = {k: v for k, v in spec.items() if k != key}
        Drawer({**without, "generator": module.__name__.rpartition(".")[2]}).draw(np.random.default_rng(0))
