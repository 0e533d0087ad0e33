"""What a case's result must be, in float64, by other means than any implementation that is measured."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.cases import Case
from harness.data import Data, ridges, sizes, weights_of
from harness.models import load
from lazyrich.kernels.empirical_ntk_reference import empirical_ntk

SAMPLES = 32
MARGIN_BATCH = 50


class Errors(NamedTuple):
    """Relative errors of a result: on what round-off alone decides, and on a random sample of everything."""

    error: float
    error_at_random: float


class Reference:
    """The expected result, or part of it.

    "ntk": the kernel by automatic differentiation in float64, on two sets of 32 samples (of a cross kernel, 32 rows and 32
    columns): those with the widest `kink_margins`, and random ones. Where a pre-activation is within round-off of zero,
    float32 may put a ReLU on either side of its kink, which moves all entries of that sample by far more than round-off;
    on the first set that does not happen, on the second it may.

    The other problems: the whole result, by LU factorisation and by LAPACK's `syevr`.
    """

    def __init__(self, case: Case, data: Data) -> None:
        self._case = case
        self._parts = self._kernels(case, data) if case.problem == "ntk" else []
        self._solution = None if self._parts else _solve(case, data)

    def errors(self, result: NDArray[np.floating]) -> Errors:
        """Relative Frobenius norms of the difference; for eigenvalues, the largest relative difference of one."""
        if self._solution is None:
            return Errors(*(_relative(result[rows][:, columns], part) for rows, columns, part in self._parts))
        if self._case.problem == "leading-eigenpairs":
            error = float(np.abs(result / self._solution - 1).max())
        else:
            error = _relative(result, self._solution)
        return Errors(error, error)

    def _kernels(self, case: Case, data: Data) -> list[tuple[NDArray, NDArray, NDArray]]:
        """Rows, columns and the kernel on them."""
        assert case.network is not None
        model = load(case.network, weights_of(data))
        samples = [torch.from_numpy(data[name]) for name in ("x1", "x2") if name in data]
        rng = np.random.default_rng(1)
        widest = [np.argsort(-kink_margins(model, x))[:SAMPLES] for x in samples]
        anywhere = [rng.choice(len(x), min(SAMPLES, len(x)), replace=False) for x in samples]
        parts = []
        for chosen in (widest, anywhere):
            inputs = [x[torch.from_numpy(places)] for x, places in zip(samples, chosen, strict=True)]
            kernel = empirical_ntk(model, *inputs, outputs=case.outputs, dtype=torch.float64)
            parts.append((chosen[0], chosen[-1], kernel.numpy()))
        return parts


def kink_margins(model: nn.Module, x: Tensor) -> NDArray[np.float64]:
    """(n,): how close any ReLU comes to its kink at each sample: least |pre-activation|, relative to its layer's RMS."""
    model = copy.deepcopy(model).double()
    margins: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        z = inputs[0].flatten(1)
        margins.append(z.abs().amin(1) / z.square().mean().sqrt())

    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_pre_hook(keep)
    least = []
    with torch.no_grad():
        for batch in x.split(MARGIN_BATCH):
            margins.clear()
            model(batch.double())
            least.append(torch.stack(margins).amin(0))
    return torch.cat(least).numpy()


def _relative(result: NDArray[np.floating], expected: NDArray[np.float64]) -> float:
    if result.shape != expected.shape:
        raise ValueError(f"result has shape {result.shape}, which does not fit {expected.shape}")
    return float(np.linalg.norm(result.astype(np.float64) - expected) / np.linalg.norm(expected))


def _solve(case: Case, data: Data) -> NDArray[np.float64]:
    K, y, K_test = data["K"], data.get("y"), data.get("K_test")
    if case.problem == "leading-eigenpairs":
        n = len(K)
        values = scipy.linalg.eigh(K, eigvals_only=True, subset_by_index=(n - case.count, n - 1))[::-1]
        return np.stack([values, values])
    assert y is not None and K_test is not None
    ridge = data["ridge"]
    if case.problem == "nested-sizes":
        return np.stack([K_test[:, :m] @ np.linalg.solve(K[:m, :m] + ridge * np.eye(m), y[:m]) for m in sizes(case)])
    return np.stack([K_test @ np.linalg.solve(K + value * np.eye(len(K)), y) for value in ridges(case)])
