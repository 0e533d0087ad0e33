"""The parameters of a module as one vector, in a fixed order, and back.

The order is that of `named_parameters()`: the order of definition, a shared parameter once, under its first name. The
layout is plain data to store beside the vectors: a list of {"name", "shape", "offset"}. Buffers are not covered.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn


class Entry(TypedDict):
    """One parameter: its name, its shape, and where it starts in the vector."""

    name: str
    shape: list[int]
    offset: int


def parameter_layout(module: nn.Module) -> list[Entry]:
    """Where each parameter of `module` stands in the vector."""
    layout: list[Entry] = []
    offset = 0
    for name, parameter in module.named_parameters():
        layout.append({"name": name, "shape": list(parameter.shape), "offset": offset})
        offset += parameter.numel()
    return layout


def flatten_parameters(module: nn.Module) -> Tensor:
    """A copy of all parameters as one vector, shape (parameters,), detached.

    Raises ValueError when the parameters differ in dtype, which would silently round, or when there are none.
    """
    parameters = dict(module.named_parameters())
    dtypes = {str(parameter.dtype) for parameter in parameters.values()}
    if len(dtypes) != 1:
        found = f"have the dtypes {', '.join(sorted(dtypes))}" if dtypes else "are none"
        raise ValueError(f"the parameters of {type(module).__name__} {found}; convert the module to one dtype first")
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters.values()])


def unflatten_parameters(vector: Tensor, layout: Sequence[Entry] | Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """Views of `vector`, shape (..., parameters), by name: shape (..., *shape), as `torch.func.functional_call` wants.

    Leading axes (stacked seeds, checkpoints) are kept. Raises ValueError when the vector is not as long as the layout.
    """
    total = sum(math.prod(entry["shape"]) for entry in layout)
    if vector.shape[-1] != total:
        raise ValueError(
            f"the vector has {vector.shape[-1]} entries and the layout {total}; give the layout of the same model"
        )
    return {
        entry["name"]: vector.narrow(-1, entry["offset"], math.prod(entry["shape"])).reshape(
            *vector.shape[:-1], *entry["shape"]
        )
        for entry in layout
    }


@torch.no_grad()
def load_parameters(module: nn.Module, vector: Tensor) -> None:
    """Write `vector`, shape (parameters,), into the parameters of `module`; the inverse of `flatten_parameters`."""
    if vector.ndim != 1:
        raise ValueError(f"the vector has shape {tuple(vector.shape)}; give one vector of shape (parameters,)")
    parameters = dict(module.named_parameters())
    for name, value in unflatten_parameters(vector, parameter_layout(module)).items():
        parameters[name].copy_(value)
