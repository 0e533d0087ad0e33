"""The plain way to regression and spectra: one factorisation per training set or ridge, and a dense eigendecomposition.

SciPy's LAPACK (OpenBLAS) or torch's (MKL), as tuned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
import scipy.linalg
import torch
from numpy.typing import NDArray

from harness.cases import Case
from harness.data import Data, ridges, sizes
from harness.implementations.torch_common import eigenvalues_and_lengths

Solver = Callable[[NDArray, NDArray, float], NDArray]


def versions() -> dict[str, str]:
    return {"scipy": scipy.__version__, "torch": torch.__version__}


def settings(case: Case) -> list[dict[str, Any]]:
    return [{"library": "torch"}, {"library": "scipy"}]


def prepare(case: Case, data: Data, setting: dict[str, Any]) -> Callable[[], Any]:
    K = data["K"]
    with_torch = setting["library"] == "torch"
    if case.problem == "leading-eigenpairs":
        return lambda: (_torch_eigh if with_torch else _scipy_eigh)(K, case.count)
    solve: Solver = _torch_solve if with_torch else _scipy_solve
    y, K_test = data["y"], data["K_test"]
    if case.problem == "nested-sizes":
        ridge = float(data["ridge"])
        return lambda: np.stack([K_test[:, :m] @ solve(K[:m, :m], y[:m], ridge) for m in sizes(case)])
    return lambda: np.stack([K_test @ solve(K, y, ridge) for ridge in ridges(case)])


def to_array(case: Case, result: Any) -> NDArray[np.float64]:
    return eigenvalues_and_lengths(*result) if case.problem == "leading-eigenpairs" else result


def _scipy_solve(K: NDArray, y: NDArray, ridge: float) -> NDArray:
    matrix = K.copy()
    np.fill_diagonal(matrix, matrix.diagonal() + ridge)
    factor = scipy.linalg.cho_factor(matrix.T, lower=True, overwrite_a=True, check_finite=False)
    return scipy.linalg.cho_solve(factor, y, check_finite=False)


def _torch_solve(K: NDArray, y: NDArray, ridge: float) -> NDArray:
    matrix = torch.from_numpy(K).clone()
    matrix.diagonal().add_(ridge)
    torch.linalg.cholesky(matrix, out=matrix)
    return torch.cholesky_solve(torch.from_numpy(y).unsqueeze(1), matrix)[:, 0].numpy()


def _scipy_eigh(K: NDArray, count: int) -> tuple[NDArray, NDArray, NDArray]:
    values, vectors = scipy.linalg.eigh(K, driver="evd", check_finite=False)
    return K, values[::-1][:count], vectors[:, ::-1][:, :count]


def _torch_eigh(K: NDArray, count: int) -> tuple[NDArray, NDArray, NDArray]:
    values, vectors = (part.numpy() for part in torch.linalg.eigh(torch.from_numpy(K)))
    return K, values[::-1][:count], vectors[:, ::-1][:, :count]
