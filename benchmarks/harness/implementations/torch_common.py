"""What the implementations on torch share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from harness import models
from harness.cases import Case
from harness.data import Data, weights_of


def network_and_inputs(case: Case, data: Data) -> tuple[nn.Module, Tensor, Tensor | None]:
    """The model with the case's weights, the samples of the rows and, for a cross kernel, those of the columns."""
    assert case.network is not None
    columns = torch.from_numpy(data["x2"]) if case.columns is not None else None
    return models.load(case.network, weights_of(data)), torch.from_numpy(data["x1"]), columns


def matrix_product(size: int) -> Callable[[], Tensor]:
    a, b = torch.randn(size, size), torch.randn(size, size)
    product = torch.empty(size, size)
    return lambda: torch.mm(a, b, out=product)


def as_array(tensor: Tensor) -> NDArray[np.floating]:
    return tensor.detach().numpy()


def eigenvalues_and_lengths(K: NDArray, values: NDArray, vectors: NDArray) -> NDArray[np.float64]:
    """(2, k): the eigenvalues, and the lengths |K v|, which are the same numbers if the vectors are eigenvectors."""
    return np.stack([values, np.linalg.norm(K @ vectors, axis=0)])
