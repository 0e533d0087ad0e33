"""What an empirical NTK costs before it is computed."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lazyrich.kernels.empirical_ntk_reference import Outputs, split_state
from lazyrich.kernels.layerwise.arrangement import ARRANGEMENTS
from lazyrich.kernels.layerwise.memory import in_pass
from lazyrich.kernels.layerwise.passes import Network
from lazyrich.kernels.layerwise.routes import choose
from lazyrich.kernels.layerwise.structure import analyse
from lazyrich.models.evaluation_mode import evaluation_mode


@dataclass(frozen=True)
class KernelCost:
    """Floating-point operations, a multiplication with an addition counting as two.

    Attributes:
        contraction_flops: products of what the layers keep, half of them for a symmetric kernel, and forming per-sample gradients.
        pass_flops: matrix products and convolutions of the forward pass, and of one backward pass for each output.
        bytes_per_sample: float32 numbers that are kept of a sample, or held while its pass runs, whichever is more.
    """

    contraction_flops: float
    pass_flops: float
    bytes_per_sample: float


def ntk_cost(
    model: nn.Module,
    input_shape: tuple[int, ...],
    n1: int,
    n2: int,
    outputs: int | None = None,
    symmetric: bool = False,
    kind: Outputs = "trace",
) -> KernelCost:
    """The cost of `empirical_ntk(model, x1, x2, outputs=kind)` on n1 and n2 samples of `input_shape`, all in one block.

    Args:
        model: on any device, also `meta`: its values do not matter, and it is copied.
        outputs: how many the model is known to have; ValueError if it has another number.
        symmetric: x2 = x1, so that n2 = n1 and half of the pairs are computed.
    """
    own = _filled(model)
    trained, fixed = split_state(own, None)
    samples = torch.randn(3, *input_shape, generator=torch.Generator().manual_seed(0))
    with evaluation_mode(own), torch.no_grad():
        structure = analyse(own, trained, fixed, samples)
        if outputs is not None and outputs != structure.outputs:
            raise ValueError(
                f"outputs={outputs}, but {type(model).__name__} has {structure.outputs} for an input {input_shape}"
            )
        with FlopCounterMode(display=False) as counted:
            Network(own, trained, fixed, structure).uses(samples[:2])
    arrangement = ARRANGEMENTS[kind](structure.outputs)
    distinct = n1 if symmetric else n1 + n2
    pairs = n1 * n1 / 2 if symmetric else float(n1 * n2)
    routes = choose(structure, arrangement.per_pair, pairs / distinct)
    return KernelCost(
        contraction_flops=sum(route.per_pair * pairs + route.per_sample * distinct for route in routes),
        pass_flops=counted.get_total_flops() / 2 * distinct,
        bytes_per_sample=4.0 * max(sum(route.kept for route in routes), in_pass(structure)),
    )


@torch.no_grad()
def _filled(model: nn.Module) -> nn.Module:
    """A copy on the CPU, in float32, with small random parameters."""
    own = copy.deepcopy(model).to_empty(device="cpu").float()
    generator = torch.Generator().manual_seed(0)
    for parameter in own.parameters():
        parameter.normal_(0, 0.1, generator=generator)
    for buffer in own.buffers():
        buffer.fill_(1)
    return own
