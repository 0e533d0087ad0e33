"""Ours: `lazyrich.kernels.empirical_ntk`, with nothing to tune."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.cases import Case
from harness.data import Data
from harness.implementations.torch_common import as_array, matrix_product, network_and_inputs
from harness.models import build
from lazyrich.kernels import empirical_ntk, ntk_cost

__all__ = ["flops", "matrix_product", "prepare", "settings", "to_array", "versions"]


def versions() -> dict[str, str]:
    return {"torch": torch.__version__}


def settings(case: Case) -> list[dict[str, Any]]:
    return [{}]


def prepare(case: Case, data: Data, setting: dict[str, Any]) -> Callable[[], Any]:
    model, rows, columns = network_and_inputs(case, data)
    return lambda: empirical_ntk(model, rows, columns, outputs=case.outputs)


def to_array(case: Case, result: Any) -> NDArray[np.floating]:
    return as_array(result)


def flops(case: Case) -> float:
    """Contraction (half of it for a symmetric kernel) plus forward and backward passes, as `ntk_cost` counts them."""
    assert case.network is not None
    symmetric = case.columns is None
    columns = case.columns or case.n
    network = case.network
    cost = ntk_cost(build(network), network.input_shape, case.n, columns, network.outputs, symmetric, case.outputs)
    return cost.contraction_flops + cost.pass_flops
