"""Ours: nested training sets, ridge paths and leading eigenpairs of a given kernel, with nothing to tune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.cases import Case
from harness.data import Data, ridges, sizes
from harness.implementations.torch_common import eigenvalues_and_lengths
from lazyrich.kernels import nested_kernel_regression, ridge_path
from lazyrich.spectra import eigendecompose


def settings(case: Case) -> list[dict[str, Any]]:
    return [{}]


def prepare(case: Case, data: Data, setting: dict[str, Any]) -> Callable[[], Any]:
    K = data["K"]
    if case.problem == "leading-eigenpairs":
        return lambda: (K, eigendecompose(K, case.count, method="lanczos"))
    y, K_test = data["y"], data["K_test"]
    if case.problem == "nested-sizes":
        ridge = float(data["ridge"])
        return lambda: nested_kernel_regression(K, y, K_test, ridge=ridge, jitter=0.0)
    return lambda: ridge_path(K, y, K_test, ridges(case), jitter=0.0)


def to_array(case: Case, result: Any) -> NDArray[np.float64]:
    if case.problem == "leading-eigenpairs":
        K, pairs = result
        return eigenvalues_and_lengths(K, pairs.values, pairs.vectors)
    if case.problem == "nested-sizes":
        return result.predictions[np.array(sizes(case)) - 1]
    return result.predictions
