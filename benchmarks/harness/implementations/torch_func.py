"""Jacobian contraction with `torch.func`, as in PyTorch's tutorial "Neural Tangent Kernels", written for speed.

Jacobians of one tile of samples at a time (`vmap` of `grad`, or of `jacrev` for several outputs), contracted parameter by
parameter with `addmm_` into the kernel; of a symmetric kernel only the tiles on and above the diagonal. The tile size is
tuned; one tile of all samples is the tutorial's way, if memory allows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call, grad, jacrev, vmap

from harness.cases import Case
from harness.data import Data
from harness.implementations.torch_common import as_array, matrix_product, network_and_inputs
from harness.models import build

__all__ = ["matrix_product", "prepare", "settings", "to_array", "versions"]

LARGEST_JACOBIANS = 4 * 2**30


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def settings(case: Case) -> list[dict[str, Any]]:
    """Tiles of samples whose Jacobians are held, and chunks of samples that `vmap` differentiates at once.

    All samples are one tile if their Jacobians fit in 4 GiB (joining chunks takes as much again), or smaller ones, which
    leave out half of a symmetric kernel and compute Jacobians again; else the largest tile of which two fit.
    """
    assert case.network is not None
    parameters = sum(p.numel() for p in build(case.network).parameters())
    per_sample = 4 * parameters * case.network.outputs
    if (case.n + (case.columns or 0)) * per_sample <= LARGEST_JACOBIANS:
        whole = max(case.n, case.columns or 0)
        choices = [(whole, None), (256, None), (whole, 64), (whole, 16)]
        return [{"tile": tile, "chunk": chunk} for tile, chunk in choices if tile <= whole and (chunk or 0) < whole]
    largest = LARGEST_JACOBIANS // (2 * per_sample)
    return [{"tile": largest, "chunk": 64}, {"tile": largest, "chunk": None}, {"tile": 128, "chunk": None}]


def prepare(case: Case, data: Data, setting: dict[str, Any]) -> Callable[[], Tensor]:
    model, rows, columns = network_and_inputs(case, data)
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    buffers = {name: b.detach() for name, b in model.named_buffers()}
    assert case.network is not None
    outputs, trace = case.network.outputs, case.outputs == "trace"

    def forward(p: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(model, {**p, **buffers}, (sample.unsqueeze(0),)).squeeze(0)

    differentiate = grad(lambda p, sample: forward(p, sample)[0]) if outputs == 1 else jacrev(forward)
    per_sample = vmap(differentiate, (None, 0), chunk_size=setting["chunk"])

    def jacobians(tile: Tensor) -> list[Tensor]:
        """One matrix per parameter: rows are samples (trace) or samples times outputs (full)."""
        leaves = per_sample(parameters, tile).values()
        return [leaf.reshape(len(tile) if trace else len(tile) * outputs, -1) for leaf in leaves]

    def contract(kernel: Tensor, left: list[Tensor], right: list[Tensor]) -> None:
        for a, b in zip(left, right, strict=True):
            kernel.addmm_(a, b.T)

    size = setting["tile"]
    step = 1 if trace else outputs

    def run() -> Tensor:
        others = rows if columns is None else columns
        kernel = rows.new_zeros(len(rows) * step, len(others) * step)
        for i in range(0, len(rows), size):
            left = jacobians(rows[i : i + size])
            for j in range(i if columns is None else 0, len(others), size):
                right = left if columns is None and i == j else jacobians(others[j : j + size])
                tile = kernel[i * step : (i + size) * step, j * step : (j + size) * step]
                contract(tile, left, right)
                if columns is None and i != j:
                    kernel[j * step : (j + size) * step, i * step : (i + size) * step] = tile.T
        if trace:
            return kernel.div_(outputs)
        return kernel.view(len(rows), outputs, len(others), outputs).permute(0, 2, 1, 3)

    return run


def to_array(case: Case, result: Tensor) -> NDArray[np.floating]:
    return as_array(result)
