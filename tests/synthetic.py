"""A specification of every synthetic dataset, and a digest of what it generates."""

import hashlib
from importlib import import_module

import numpy as np

from lazyrich.datasets import circle, one_dimensional, power_law_features
from lazyrich.datasets.targets.link import parse_link

SIZES = {"train": 64, "test": 32, "probe": 16}
SPECS = {
    "staircase": {"dimension": 7, "order": 4},
    "staircase monomials": {
        "generator": "staircase",
        "dimension": 6,
        "monomials": [[2], [3, 2, 1, 6], [1, 3], [5, 2]],
        "coefficients": [1, -0.5, 2.0, 0.25],
        "leap": 2,
    },
    "multi_index": {"dimension": 6, "link": "He2(z1) + z1*z2 + z1*z2*z4", "covariance_exponent": 0.7},
    "multi_index isotropic": {"generator": "multi_index", "dimension": 5, "link": "He3(z2)/6 + 0.5*z1**4"},
    "chain_monomial": {"dimension": 8, "rank": 5, "covariance_exponent": 1},
    "gaussian": {"dimension": 5, "covariance_exponent": 1.3},
    "circle": {"exponent": 0.9},
    "circle five": {"generator": "circle", "exponent": 1.1, "modes": 5},
    "one_dimensional sine": {"function": "sine", "frequency": 3},
    "one_dimensional step": {"function": "step", "frequency": 3},
    "one_dimensional triangle": {"function": "triangle", "frequency": 2},
    "one_dimensional sawtooth": {"function": "sawtooth", "frequency": 1},
    "one_dimensional legendre": {"function": "legendre", "frequency": 7},
    "power_law_features": {"dimension": 12, "capacity": 1.5, "source": 0.4, "noise": 0.3},
    "modular_addition one_hot": {"modulus": 11, "encoding": "one_hot"},
    "modular_addition tokens": {"modulus": 12, "encoding": "tokens"},
}


def module_of(name):
    return import_module(f"lazyrich.datasets.{SPECS[name].get('generator', name.split()[0])}")


def spec_of(name, **change):
    return {**SIZES, **SPECS[name], **change}


def generate(name, seed=0, **change):
    return module_of(name).generate(spec_of(name, **change), np.random.default_rng(seed))


def digests(train):
    """SHA-256 of every array of every dataset, and of the float64 values behind them, which no rounding smooths."""
    arrays = {
        "circle table": circle.table(SPECS["circle"]),
        "features": power_law_features.coefficients({"dimension": 2000, "capacity": 1.3, "source": 0.7}),
        "sine": one_dimensional.target({"function": "sine", "frequency": 7}, np.linspace(-1, 1, 100_000)),
        "legendre": one_dimensional.target({"function": "legendre", "frequency": 9}, np.linspace(-1, 1, 10_000)),
        "link": parse_link("He7(z1) - z1**3*z2/3").evaluate(np.linspace(-3, 3, 20_000).reshape(-1, 2)),
    }
    for name in SPECS:
        size = 64 if "modular_addition" in name else train  # there are only so many pairs
        for split, parts in generate(name, train=size).items():
            arrays |= {f"{name}/{split}/{part}": values for part, values in parts.items()}
    return {name: hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest() for name, values in arrays.items()}
