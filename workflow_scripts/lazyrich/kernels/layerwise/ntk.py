"""Empirical neural tangent kernel of any module, layer by layer: the fast implementation."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from lazyrich.kernels import empirical_ntk_reference as reference
from lazyrich.kernels.backoff import out_of_memory
from lazyrich.kernels.empirical_ntk_reference import Outputs, check_outputs, split_state
from lazyrich.kernels.layerwise.arrangement import ARRANGEMENTS, Arrangement
from lazyrich.kernels.layerwise.factors import AnyFactor, add_block
from lazyrich.kernels.layerwise.memory import plan
from lazyrich.kernels.layerwise.passes import Network
from lazyrich.kernels.layerwise.routes import choose
from lazyrich.kernels.layerwise.structure import analyse
from lazyrich.kernels.layerwise.tiles import lower_triangle, mirror, rectangle
from lazyrich.models.evaluation_mode import evaluation_mode
from lazyrich.models.features import submodule

MEMORY_BUDGET = 512 * 2**20
#: What runs out of memory with so little is not helped by less.
LEAST_BUDGET = 2**24


def empirical_ntk(
    model: nn.Module,
    x1: Tensor,
    x2: Tensor | None = None,
    *,
    outputs: Outputs = "trace",
    parameters: Collection[str] | None = None,
    state: Mapping[str, Tensor] | None = None,
    dtype: torch.dtype | None = None,
    memory_budget: int = MEMORY_BUDGET,
) -> Tensor:
    """Empirical NTK of `model` between the samples of `x1` and of `x2`, at the speed of matrix multiplication.

    The same kernel, with the same arguments and shapes, as `lazyrich.kernels.empirical_ntk_reference.empirical_ntk`:

    - ``"trace"``:          K[a, b]       = (1/C) sum_c J_c(x1_a) . J_c(x2_b)      shape (n1, n2)
    - ``"full"``:           K[a, b, c, d] = J_c(x1_a) . J_d(x2_b)                  shape (n1, n2, C, C)
    - ``"class-diagonal"``: K[a, b, c]    = J_c(x1_a) . J_c(x2_b)                  shape (n1, n2, C)

    The gradient of a layer's weight is a sum over positions t of g_t x_t^T, with x_t what enters the layer and g_t the gradient of
    an output at what leaves it. One forward pass gives all x, one backward pass for each output all g, and each layer's share of
    the kernel is computed from them along the cheapest of four routes (`lazyrich.kernels.layerwise.routes`). The Jacobian of the
    network is never held.

    Args:
        model: any module that maps a batch (n, ...) to outputs (n, ...), sample by sample; evaluated in eval mode. Known are linear
            layers, convolutions in one and two dimensions (stride, padding, dilation, groups), normalisations (batch: eval),
            embeddings, multi-head attention, products and sums with parameters, and everything without parameters. A layer may be
            used more than once. Parameters that are used otherwise are left to the reference, with a warning that names them.
        x1, x2: samples along the first axis. `x2=None` means `x1`: half of the work, and a result that equals its transpose bit
            by bit.
        parameters: names of the parameters to differentiate with respect to; by default all that require a gradient.
        state: values by name that take the place of the model's own parameters and buffers, a checkpoint's for instance.
        dtype: floating type to compute and answer in; by default that of the parameters.
        memory_budget: bytes that may be used beyond the result. Larger sets of samples are worked on in blocks, whose passes are
            repeated.

    Returns:
        The kernel, on the device of the parameters, without a graph.

    Raises:
        ValueError: for an unknown `outputs`, no or unknown parameters, or inputs without samples.

    Source: Jacot, Gabriel and Hongler, arXiv 1806.07572; Novak, Sohl-Dickstein and Schoenholz, arXiv 2206.08720 (structured
        derivatives; the 1/C of the trace is that of arXiv 1912.02803).
    """
    check_outputs(outputs)
    trained, fixed = split_state(model, dtype, parameters, state)
    first = next(iter(trained.values()))
    rows, columns = (None if x is None else _placed(x, first) for x in (x1, x2))
    assert rows is not None
    with evaluation_mode(model), torch.no_grad():
        structure = analyse(
            model, trained, fixed, torch.cat([x[:3] for x in (rows, columns) if x is not None and len(x)])
        )
        network = Network(model, trained, fixed, structure)
        kernel = _in_memory(
            memory_budget,
            lambda budget: _computed(network, ARRANGEMENTS[outputs](structure.outputs), rows, columns, first, budget),
        )
        if structure.opaque:
            _warn(model, structure.opaque)
            kernel += reference.empirical_ntk(
                model,
                x1,
                x2,
                outputs=outputs,
                parameters=structure.opaque,
                state=state,
                dtype=dtype,
                memory_budget=memory_budget,
            )
    return kernel


def layer_ntk(model: nn.Module, layer: str, x1: Tensor, x2: Tensor | None = None, **options: Any) -> Tensor:
    """The share of one layer in the empirical NTK: the kernel of the parameters of the submodule named `layer` alone.

    The layers' shares add up to the NTK, where no parameter belongs to two. Arguments and result as for `empirical_ntk`.

    Raises:
        ValueError: if the model has no submodule of that name, or one without parameters that require a gradient.
    """
    own = set(map(id, submodule(model, layer).parameters()))
    parameters = [name for name, p in model.named_parameters() if id(p) in own and p.requires_grad]
    if not parameters:
        raise ValueError(f"layer {layer!r} of {type(model).__name__} has no parameter that requires a gradient")
    return empirical_ntk(model, x1, x2, parameters=parameters, **options)


def stacked_empirical_ntk(
    model: nn.Module, state: Mapping[str, Tensor], x1: Tensor, x2: Tensor | None = None, **options: Any
) -> Tensor:
    """The NTKs of many networks of one shape (seeds, checkpoints), with a leading axis over the networks.

    Args:
        model: gives the structure, and every tensor of its state that `state` does not name.
        state: values by name, (S, *shape), as `torch.func.stack_module_state` stacks them or
            `lazyrich.models.state.unflatten_parameters` cuts them out of stacked vectors.
        x1, x2: samples that all networks share, (n, ...). The other arguments as for `empirical_ntk`.

    Returns:
        (S, n1, n2, ...). The networks are computed one after the other: each kernel is made of products of matrices large enough that
        stacking them gains nothing.

    Raises:
        ValueError: if the leading axes differ.
    """
    counts = {name: len(values) for name, values in state.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(
            f"the stacked tensors have leading axes {counts}; they must have one size, the number of networks"
        )
    (networks,) = set(counts.values())
    kernels = (
        empirical_ntk(model, x1, x2, state={name: values[i] for name, values in state.items()}, **options)
        for i in range(networks)
    )
    return torch.stack(list(kernels))


def _in_memory(budget: int, compute: Callable[[int], Tensor]) -> Tensor:
    """`compute(budget)`; with a quarter of the budget where memory runs out all the same, down to :data:`LEAST_BUDGET`."""
    while True:
        try:
            return compute(budget)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error) or budget // 4 < LEAST_BUDGET:
                raise
        budget //= 4
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def _placed(x: Tensor, like: Tensor) -> Tensor:
    if len(x) == 0:
        raise ValueError("the inputs hold no samples; give at least one")
    return x.detach().to(like.device, like.dtype if x.is_floating_point() else x.dtype)


def _warn(model: nn.Module, opaque: dict[str, str]) -> None:
    named = ", ".join(f"{name} ({reason})" for name, reason in sorted(opaque.items()))
    warnings.warn(
        f"the layers of {type(model).__name__} with these parameters are not known to the fast tangent kernel, which leaves them to "
        f"the slow reference: {named}",
        stacklevel=3,
    )


def _computed(
    network: Network, arrangement: Arrangement, rows: Tensor, columns: Tensor | None, like: Tensor, memory_budget: int
) -> Tensor:
    """The kernel of all parameters that are understood, block by block."""
    symmetric = columns is None
    others = rows if columns is None else columns
    result = like.new_zeros(len(rows), len(others), *arrangement.tail)
    pairs = len(rows) / 2 if symmetric else len(rows) * len(others) / (len(rows) + len(others))
    routes = choose(network.structure, arrangement.per_pair, pairs)
    if not routes:
        return result
    sizes = plan(
        network.structure, routes, arrangement, len(rows), len(others), symmetric, memory_budget // like.element_size()
    )
    workspace = like.new_empty(sizes.tile**2 * (1 + arrangement.per_pair))
    rooms = like.new_empty(sizes.piece), like.new_empty(0 if symmetric and sizes.block >= len(rows) else sizes.piece)

    def factors(x: Tensor, samples: slice) -> list[AnyFactor]:
        return network.factors(x[samples], routes, arrangement, sizes.samples_per_pass)

    column_blocks = _blocks(len(others), sizes.block)
    last: tuple[slice, list[AnyFactor]] | None = None
    for number, i in enumerate(_blocks(len(rows), sizes.block)):
        left = factors(rows, i)
        # To and fro, so that each row of blocks begins with the columns that the last one ended with.
        for j in column_blocks[:: -1 if number % 2 else 1]:
            if symmetric and j.start > i.start:
                continue
            diagonal = symmetric and j == i
            if diagonal:
                right = left
            elif last is not None and last[0] == j:
                right = last[1]
            else:
                last = None
                right = factors(others, j)
                last = (j, right)
            height, width = i.stop - i.start, j.stop - j.start
            tiles = lower_triangle(height, sizes.tile) if diagonal else rectangle(height, width, sizes.tile)
            block = arrangement.new_block(result, i, j)
            add_block(left, right, block, tiles, arrangement, workspace, rooms)
            if diagonal:
                mirror(block, tiles, arrangement)
            arrangement.store(result, i, j, block)
            if symmetric and not diagonal:
                result[j, i] = arrangement.result(block.transpose(-1, -2))
    return result


def _blocks(samples: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, samples)) for start in range(0, samples, size)]
