"""Draws the inputs of a case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.cases import Case
from harness.data import WEIGHTS, Data
from harness.models import draw_weights
from lazyrich.kernels import relu_ntk

TEST_POINTS = 1000
INPUTS = 50
RIDGE = 1e-3


def write_inputs(case: Case, path: Path, seed: int = 0) -> Data:
    """The inputs, also written to `path`.

    "ntk": standard normal `x1` (n, ...) and, for a cross kernel, `x2`, with He-normal weights, in float32. The other
    problems: `K` (n, n) in float64, and for regression `y` (n,), `K_test` (1000, n) and `ridge`.
    """
    rng = np.random.default_rng(seed)
    data = _kernel(case, rng) if case.network is None else _network(case, rng)
    np.savez(path, **data)
    return data


def _network(case: Case, rng: np.random.Generator) -> dict[str, NDArray]:
    assert case.network is not None
    shape = case.network.input_shape
    data: dict[str, NDArray] = {"x1": rng.standard_normal((case.n, *shape), dtype=np.float32)}
    if case.columns is not None:
        data["x2"] = rng.standard_normal((case.columns, *shape), dtype=np.float32)
    return data | {WEIGHTS + name: value for name, value in draw_weights(case.network, rng).items()}


def _kernel(case: Case, rng: np.random.Generator) -> dict[str, NDArray]:
    """The infinite-width NTK of a ReLU network on 50-dimensional data whose k-th standard deviation is 1/k, divided by
    its mean diagonal; targets are a quadratic function of the data.
    """
    x = rng.standard_normal((case.n + TEST_POINTS, INPUTS)) / np.arange(1, INPUTS + 1)
    K = relu_ntk(x, hidden_layers=2)
    K /= np.trace(K) / len(K)
    y = x[:, 0] * x[:, 1] + x[:, 2]
    n = case.n
    return {
        "K": np.ascontiguousarray(K[:n, :n]),
        "y": y[:n],
        "K_test": np.ascontiguousarray(K[n:, :n]),
        "ridge": np.array(RIDGE),
    }
