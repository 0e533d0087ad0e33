"""All synthetic datasets: determinism on any processor, splits, inputs' laws, errors, pictures' shapes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

import lazyrich
import synthetic
from lazyrich import plugins
from lazyrich.datasets.targets.pictures import Bars, Curve, Plane
from synthetic import SIZES, SPECS, generate, module_of, spec_of

# --- bits -----------------------------------------------------------------------------------------------------------


def digests_without(features):
    """Digests from a process that does without these extensions of the processor, and what numpy had enabled there."""
    paths = os.pathsep.join([str(Path(lazyrich.__file__).parents[1]), str(Path(synthetic.__file__).parent)])
    tunables = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F"} if features else {}
    program = (
        "import json, synthetic; from numpy._core._multiarray_umath import __cpu_features__ as f; "
        "print(json.dumps([[name for name in f if f[name]], synthetic.digests(3000)]))"
    )
    environment = {**os.environ, "PYTHONPATH": paths, "NPY_DISABLE_CPU_FEATURES": " ".join(features), **tunables}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    enabled, digests = json.loads(done.stdout)
    assert not set(features) & set(enabled)
    return digests


def test_every_bit_is_the_same_without_the_processors_extensions():
    present = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    if not present:
        pytest.skip("numpy uses no extension on this processor that could be disabled")
    expected = synthetic.digests(3000)
    assert len(expected) > 90
    for count in sorted({1, len(present)}):  # the widest alone, then all
        assert digests_without(present[-count:]) == expected


def test_every_generator_with_closed_forms_is_among_the_specifications():
    folder = plugins.PACKAGE / "datasets"
    closed = {n for n in plugins.names("datasets") if "def population_variance" in (folder / f"{n}.py").read_text()}
    assert {module_of(name).__name__.rpartition(".")[2] for name in SPECS} == closed


@pytest.mark.parametrize("name", SPECS)
def test_the_seed_fixes_every_bit_and_another_seed_differs(name):
    first, again, other = generate(name), generate(name), generate(name, seed=1)
    for split, arrays in first.items():
        for key, values in arrays.items():
            assert values.tobytes() == again[split][key].tobytes()
            assert values.tobytes() != other[split][key].tobytes()


# --- splits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_shapes_types_and_numbers_that_are_finite(name):
    data = generate(name)
    assert list(data) == ["train", "test", "probe"]
    spec, modular = spec_of(name), "modular" in name
    width = {"modular_addition one_hot": 22, "modular_addition tokens": 2}.get(name, spec.get("dimension"))
    width = width or (2 if "circle" in name else 1)
    for split, arrays in data.items():
        assert arrays["inputs"].shape == (SIZES[split], width)
        assert arrays["targets"].shape == (SIZES[split], spec["modulus"] if modular else 1)
        assert arrays["inputs"].dtype == arrays["targets"].dtype == np.float32
        assert np.isfinite(arrays["inputs"]).all() and np.isfinite(arrays["targets"]).all()
        assert ("labels" in arrays) == modular


@pytest.mark.parametrize("name", SPECS)
def test_a_larger_training_set_extends_the_smaller_and_leaves_the_rest(name):
    small, large = generate(name, train=7), generate(name, train=70)
    for key in small["train"]:
        np.testing.assert_array_equal(large["train"][key][:7], small["train"][key])
        for split in ("test", "probe"):
            np.testing.assert_array_equal(large[split][key], small[split][key])


@pytest.mark.parametrize("name", [name for name in SPECS if "staircase" not in name and "modular" not in name])
def test_splits_are_independent_samples(name):
    data = generate(name)
    for other in ("test", "probe"):
        assert not set(map(bytes, data["train"]["inputs"])) & set(map(bytes, data[other]["inputs"]))
    if name == "gaussian":
        assert not np.intersect1d(data["train"]["targets"], data["test"]["targets"]).size


@pytest.mark.parametrize(
    ("name", "exponent"),
    [
        ("gaussian", 1.3),
        ("multi_index", 0.7),
        ("multi_index isotropic", 0),
        ("chain_monomial", 1),
        ("power_law_features", 1.5),
    ],
)
def test_gaussian_inputs_have_a_power_law_covariance(name, exponent):
    count = 100_000
    x = generate(name, train=count)["train"]["inputs"].astype(float)
    z = x * np.arange(1, x.shape[1] + 1) ** (exponent / 2)
    np.testing.assert_allclose(z.mean(0), 0, atol=5 / count**0.5)
    np.testing.assert_allclose(z.T @ z / count, np.eye(z.shape[1]), atol=5 * (2 / count) ** 0.5)
    np.testing.assert_allclose((z**4).mean(0), 3, atol=5 * (96 / count) ** 0.5)  # Var[z^4] = 105 - 9


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("multi_index", {"covariance_exponent": -1}, "covariance_exponent is -1; give a finite number of at least 0"),
        ("chain_monomial", {"covariance_exponent": "1"}, "covariance_exponent is '1'"),
        ("chain_monomial", {"covariance_exponent": float("inf")}, "covariance_exponent is inf"),
        ("gaussian", {"covariance_exponent": True}, "covariance_exponent is True"),
        ("gaussian", {"dimension": 0}, "dimension is 0; give a whole number of at least 1"),
        ("circle", {"exponent": 0}, "exponent is 0; give a positive finite number"),
        ("circle", {"modes": 2001}, "modes is 2001; give a whole number of at most 2000"),
        ("circle", {"modes": 0}, "modes is 0; give a whole number of at least 1"),
        ("one_dimensional sine", {"function": "cosine"}, "function is 'cosine'; give one of sine, step, triangle"),
        ("one_dimensional sine", {"frequency": 1.5}, "frequency is 1.5; give a whole number"),
        ("one_dimensional step", {"frequency": 1001}, "frequency is 1001; give a whole number of at most 1000"),
        ("power_law_features", {"capacity": 1}, "capacity is 1; give a number above 1"),
        ("power_law_features", {"source": 0}, "source is 0; give a positive finite number"),
        ("power_law_features", {"noise": -0.1}, "noise is -0.1; give a finite number of at least 0"),
        ("modular_addition tokens", {"modulus": 1}, "modulus is 1; give a whole number of at least 2"),
        ("modular_addition tokens", {"encoding": "bits"}, "encoding is 'bits'; give one of one_hot, tokens"),
        (
            "modular_addition one_hot",
            {"train": 74},
            "modulus 11 has 121 pairs and train 74 + test 32 + probe 16 = 122 are asked for; make a split smaller",
        ),
        ("circle", {"probe": 0}, "probe is 0"),
    ],
)
def test_a_wrong_specification_is_explained(name, change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        generate(name, **change)


@pytest.mark.parametrize("name", SPECS)
def test_every_key_that_is_not_optional_is_named_when_it_is_missing(name):
    optional = {"generator", "noise", "coefficients", "monomials", "leap", "modes"}
    optional |= {"covariance_exponent"} if name != "gaussian" else set()
    spec = spec_of(name)
    for key in spec.keys() - optional:
        with pytest.raises(ValueError, match=f"'{key}' is missing"):
            module_of(name).generate({k: v for k, v in spec.items() if k != key}, np.random.default_rng(0))


# --- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECS)
def test_a_picture_needs_no_split_and_holds_arrays_that_fit(name):
    picture, again = (module_of(name).picture(SPECS[name]) for _ in range(2))
    match picture:
        case Curve(x, y):
            assert y.shape == (len(x), len(picture.series)) if picture.series else y.shape == x.shape
            assert (np.diff(x) > 0).all()
            assert not picture.log or (x.min() > 0 and y.min() > 0)
            np.testing.assert_array_equal(y, again.y)
            drawn = y
        case Plane(x, y, z):
            assert z.shape == (len(y), len(x))
            np.testing.assert_array_equal(z, again.z)
            drawn = z
        case Bars(names, values):
            assert len(names) == len(values)
            np.testing.assert_array_equal(values, again.values)
            drawn = values
    assert np.isfinite(drawn).all() and np.any(drawn != 0)
