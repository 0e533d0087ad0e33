"""The nonlinearities that a model may name, as plain functions of a tensor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def linear(inputs: Tensor) -> Tensor:
    """phi(h) = h."""
    return inputs


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "gelu": torch.nn.functional.gelu,  # the exact form, h * Phi(h)
    "quadratic": torch.square,
    "linear": linear,
}
