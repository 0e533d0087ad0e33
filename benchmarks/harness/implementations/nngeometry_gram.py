"""nngeometry's `GramMatrix`; its batches are the batches of the loader, and their size is tuned."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from nngeometry import GramMatrix
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from harness.cases import Case
from harness.data import Data
from harness.implementations import Unsupported
from harness.implementations.torch_common import as_array, matrix_product, network_and_inputs

__all__ = ["matrix_product", "prepare", "settings", "to_array", "versions"]


BATCHES = (1000, 500, 200, 100, 50)


def versions() -> dict[str, str]:
    return {"nngeometry": version("nngeometry"), "torch": torch.__version__}


def settings(case: Case) -> list[dict[str, Any]]:
    smaller = [size for size in BATCHES if size < case.n]
    return [{"batch": size} for size in [case.n, *smaller[:2]]]


def prepare(case: Case, data: Data, setting: dict[str, Any]) -> Callable[[], Tensor]:
    if case.columns is not None:
        raise Unsupported("computes no kernel between two sets of samples")
    model, rows, _ = network_and_inputs(case, data)
    loader = DataLoader(TensorDataset(rows), batch_size=setting["batch"])

    def run() -> Tensor:
        """(C, n, C, n), or (n, n) for the trace, which it has no cheaper way to."""
        kernel = GramMatrix(model, loader, function=lambda *batch: model(batch[0])).to_torch()
        if case.outputs == "trace":
            return torch.einsum("cacb->ab", kernel) / len(kernel)
        return kernel

    return run


def to_array(case: Case, result: Tensor) -> NDArray[np.floating]:
    return as_array(result if case.outputs == "trace" else result.permute(1, 3, 0, 2))
