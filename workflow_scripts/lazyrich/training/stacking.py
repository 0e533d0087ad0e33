"""Which networks are trained as one stack, by architecture and size, and how."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lazyrich.models.evaluation_mode import evaluation_mode
from lazyrich.training.chain import Chained, chain_of
from lazyrich.training.ensemble import Alone, Ensemble
from lazyrich.training.stack import Vmapped

#: Networks in one stack at most.
NETWORKS = 64
#: Parameters and activations of all networks of a stack of chains at most, a bound on memory: 32 MB in float32, several times.
VALUES = 2**23
#: Floating-point operations of a network's forward pass on a batch up to which ``vmap`` is faster than a loop. Measured with
#: benchmarks/stacked_training.py on one core of an EPYC of 2022, 8 networks, time of a loop over that of ``vmap``: 1.3 to 2.9 for
#: perceptrons of 0.4e6 to 19e6; for convolutional networks 1.3 to 2.6 at 2e6 to 24e6 (1.06 where images are 32 x 32), 1.0 at 37e6
#: to 96e6 and 0.55 to 0.84 beyond 120e6.
VMAP_OPERATIONS = 20e6


def stack_limit(module: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> int:
    """How many networks like ``module`` are stacked at most; 1 if each is trained alone.

    A chain (:func:`lazyrich.training.chain.chain_of`) is stacked as far as memory allows, as explicit products were slower than a
    loop at no size; any other architecture is stacked while its forward pass is short.
    """
    chain = chain_of(module)
    if chain is None:
        return NETWORKS if operations(module, input_shape, batch_size) <= VMAP_OPERATIONS else 1
    activations = sum(2 * batch_size * step.out_features for step in chain if isinstance(step, nn.Linear))
    values = activations + sum(parameter.numel() for parameter in module.parameters())
    return max(1, min(NETWORKS, VALUES // values))


@torch.no_grad()
def operations(module: nn.Module, input_shape: tuple[int, ...], batch_size: int) -> int:
    """Floating-point operations of the products and convolutions of a forward pass on a batch."""
    like = next(module.parameters())
    with FlopCounterMode(display=False) as counter, evaluation_mode(module):
        module(like.new_zeros(1, *input_shape))
    return counter.get_total_flops() * batch_size


def assemble(modules: Sequence[nn.Module], stacked: bool) -> Ensemble:
    """The ensemble of ``modules``: a stack, or the only one of them."""
    if not stacked:
        (module,) = modules
        return Alone(module)
    return Vmapped(modules) if chain_of(modules[0]) is None else Chained(modules)
