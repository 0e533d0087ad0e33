"""Empirical neural tangent kernel of any module, by automatic differentiation: the simple reference implementation.

It holds the Jacobians of one tile of rows and one tile of columns and nothing else, so its memory does not grow with
the number of samples, at the price of differentiating the column tiles again for each row tile. Use it for small
kernels, for modules that the fast implementation does not know, and to check that one.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from lazyrich.models.evaluation_mode import evaluation_mode

Outputs = Literal["trace", "full", "class-diagonal"]
OUTPUTS: tuple[Outputs, ...] = ("trace", "full", "class-diagonal")
MEMORY_BUDGET = 256 * 2**20


def empirical_ntk(
    model: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: Outputs = "trace",
    parameters: Collection[str] | None = None,
    state: Mapping[str, Tensor] | None = None,
    batch_size: int | None = None,
    dtype: torch.dtype | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Empirical NTK of `model` between the samples of `x1` and of `x2`.

    With J_c(x) = grad_theta f_c(x) over all parameters that require a gradient (frozen ones do not train, so they do
    not count):

    - ``"trace"``:          K[a, b]       = (1/C) sum_c J_c(x1_a) . J_c(x2_b)      shape (n1, n2)
    - ``"full"``:           K[a, b, c, d] = J_c(x1_a) . J_d(x2_b)                  shape (n1, n2, C, C)
    - ``"class-diagonal"``: K[a, b, c]    = J_c(x1_a) . J_c(x2_b)                  shape (n1, n2, C)

    Args:
        model: any module that maps a batch (n, ...) to outputs (n, ...), which are flattened to C numbers per sample.
            It is evaluated in eval mode, sample by sample under `vmap`; the mode of every submodule is put back
            afterwards.
        x1, x2: inputs, samples along the first axis. `x2=None` means `x1`: only half of the tiles are computed, and the
            result equals its transpose bit by bit.
        parameters: names of the parameters to differentiate with respect to; by default all that require a gradient.
        state: values by name that take the place of the model's own parameters and buffers, a checkpoint's for instance.
        batch_size: samples in a tile; by default what lets the Jacobians of two tiles fit in `memory_budget` (bytes; at
            least one sample).
        dtype: floating type to compute and answer in, e.g. `torch.float64`; by default that of the parameters.

    Returns:
        The kernel, on the device of the parameters, without a graph.

    Raises:
        ValueError: for an unknown `outputs`, no or unknown parameters, or a non-positive `batch_size`.

    Source: Jacot, Gabriel and Hongler, arXiv 1806.07572; the 1/C of the trace follows Novak et al., arXiv 1912.02803.
    """
    check_outputs(outputs)
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    trained, fixed = split_state(model, dtype, parameters, state)
    first = next(iter(trained.values()))

    def place(x: Tensor) -> Tensor:
        return x.detach().to(first.device, first.dtype if x.is_floating_point() else x.dtype)

    def forward(parameters: dict[str, Tensor], sample: Tensor) -> Tensor:
        return functional_call(model, {**parameters, **fixed}, (sample.unsqueeze(0),)).reshape(-1)

    per_sample_jacobian = vmap(jacrev(forward), (None, 0))

    def jacobians(tile: Tensor) -> list[Tensor]:
        """One (samples, C, size) Jacobian per parameter."""
        return [j.reshape(*j.shape[:2], -1) for j in per_sample_jacobian(trained, tile).values()]

    symmetric = x2 is None
    rows = place(x1)
    columns = rows if x2 is None else place(x2)
    with evaluation_mode(model), torch.no_grad():
        classes = forward(trained, rows[0]).numel()
        if batch_size is None:
            bytes_per_sample = classes * sum(p.numel() for p in trained.values()) * first.element_size()
            batch_size = max(1, memory_budget // (2 * bytes_per_sample))
        tail = {"trace": (), "full": (classes, classes), "class-diagonal": (classes,)}[outputs]
        kernel = first.new_empty((len(rows), len(columns), *tail))
        for i in range(0, len(rows), batch_size):
            row_jacobians = jacobians(rows[i : i + batch_size])
            for j in range(i if symmetric else 0, len(columns), batch_size):
                on_diagonal = symmetric and j == i
                column_jacobians = row_jacobians if on_diagonal else jacobians(columns[j : j + batch_size])
                block = _contract(row_jacobians, column_jacobians, outputs)
                if on_diagonal:
                    _mirror_upper_triangle(block)
                kernel[i : i + batch_size, j : j + batch_size] = block
                if symmetric and not on_diagonal:
                    kernel[j : j + batch_size, i : i + batch_size] = _swap_samples(block)
    return kernel


def check_outputs(outputs: str) -> None:
    """ValueError for an unknown kind of kernel."""
    if outputs not in OUTPUTS:
        raise ValueError(f"outputs={outputs!r} is not a kind of kernel; choose one of {', '.join(OUTPUTS)}")


def split_state(
    model: nn.Module,
    dtype: torch.dtype | None,
    parameters: Collection[str] | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The parameters to differentiate with respect to, and everything else (frozen ones, buffers), detached, in the asked type.

    Parameters shared under several names appear once, under their first name: `functional_call` ties the others to it.
    """
    named: dict[str, Tensor] = dict(model.named_parameters())
    tensors = {**named, **dict(model.named_buffers())}
    for names, among in ((parameters, named), (state, tensors)):
        unknown = sorted(set(names or ()) - set(among))
        if unknown:
            near = difflib.get_close_matches(unknown[0], among, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ValueError(f"{type(model).__name__} has no {unknown[0]!r}{hint} It has: {', '.join(among)}")
    wanted = {name for name, p in named.items() if p.requires_grad} if parameters is None else set(parameters)
    if not wanted:
        raise ValueError(
            f"{type(model).__name__} has no parameter that requires a gradient, so its NTK is empty; "
            "call requires_grad_(True) on those that train"
        )

    def value(name: str) -> Tensor:
        tensor = (tensors if state is None or name not in state else state)[name].detach()
        return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor

    return {name: value(name) for name in named if name in wanted}, {
        name: value(name) for name in tensors if name not in wanted
    }


def _contract(left: list[Tensor], right: list[Tensor], outputs: Outputs) -> Tensor:
    """Sum over parameters of the products of two tiles of Jacobians, each (samples, C, size)."""
    n1, classes = left[0].shape[:2]
    n2 = right[0].shape[0]
    if outputs == "trace":
        total = left[0].new_zeros(n1, n2)
        for a, b in zip(left, right, strict=True):
            total.addmm_(a.flatten(1), b.flatten(1).T)
        return total / classes
    if outputs == "full":
        total = left[0].new_zeros(n1 * classes, n2 * classes)
        for a, b in zip(left, right, strict=True):
            total.addmm_(a.flatten(0, 1), b.flatten(0, 1).T)
        return total.reshape(n1, classes, n2, classes).permute(0, 2, 1, 3).contiguous()
    total = left[0].new_zeros(classes, n1, n2)
    for a, b in zip(left, right, strict=True):
        total.baddbmm_(a.transpose(0, 1), b.permute(1, 2, 0))
    return total.permute(1, 2, 0).contiguous()


def _swap_samples(block: Tensor) -> Tensor:
    """The block of (b, a) from that of (a, b): samples change places, and with them the two output axes, if there are
    two.
    """
    swapped = block.transpose(0, 1)
    return swapped.transpose(2, 3) if swapped.dim() == 4 else swapped


def _mirror_upper_triangle(block: Tensor) -> None:
    """Makes a diagonal tile equal to its transpose exactly: matrix products round (a, b) and (b, a) differently."""
    n = block.shape[0]
    row, column = torch.triu_indices(n, n, offset=1, device=block.device)
    mirrored = _swap_samples(block)
    block[column, row] = mirrored[column, row].clone()
    if block.dim() == 4:
        own = torch.arange(n, device=block.device)
        same = block[own, own]
        half = torch.triu(same)
        block[own, own] = half + torch.triu(same, 1).transpose(1, 2)
