"""Speed limited optimisation: gradient descent in which every layer moves at a speed that is set, whatever its gradient.

A step changes the weight W_l of layer l, of any shape, by

    W_l <- W_l - eta C_l g_l / (||g_l||_F + eps),    g_l = dL/dW_l + lambda W_l,

with the learning rate eta (``lr``), the layer's speed C_l (``speed``), the weight decay lambda (0 unless it is set) and ||.||_F the
root of the sum of squares of all entries. So, but for eps, ||Delta W_l||_F = eta C_l in every step, in units of the weights, however large or small
the gradient: a speed multiplies no gradient, and the loss can be rescaled without effect. With a large C_1 the first layer does most of
the learning, and its initial weights are soon outweighed by what was learned.

At a constant rate it never converges. Near a minimum the gradient vanishes and the step does not, so the weights go on moving at their
speed around it: let the rate fall to zero, or keep the best weights.

Source: Beaglehole, Mitliagkas and Agarwala, arXiv 2402.05271 (speed limited optimization, SLO). Their setting for the chain-monomial task
and two hidden layers is C = (500, 0.002, 0.002), from the input to the readout, with eta = 1e-4, full batches and 1,000 steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import ParamsT

#: Options of a parameter group that are numbers of at least 0.
NUMBERS = ("lr", "speed", "eps", "weight_decay")


class SpeedLimitedSGD(torch.optim.Optimizer):
    """Every tensor moves by ``lr * speed`` in its Frobenius norm, against its gradient; see the module for the equation.

    Norms are those of single tensors, also where a group has several: what a weight does depends neither on how tensors are grouped nor
    on whether its layer has a bias. A bias moves at the speed of its layer, too. In the layers of :mod:`lazyrich.models.layers` the speed
    is that of W, and the weight that acts on the inputs, multiplier * W, moves ``multiplier`` times as fast.

    The optimiser has no state beside its groups. A tensor without gradient is left alone; one whose gradient is exactly zero stays
    where it is, also for ``eps=0``; a gradient that is not finite puts NaN into its tensor.

    Args:
        params: tensors, or groups of them that may set ``speed``, ``lr``, ``eps`` and ``weight_decay`` of their own; see
            :func:`speed_groups`.
        lr: learning rate eta; learning-rate schedulers change it as that of any optimiser of torch.
        speed: C of the groups that set none.
        eps: added to the norm, in units of the gradient. A tensor is slower than its speed by the share eps / ||g||, so eps must be small
            against gradients that mean something: with 1e-12 the share is below the rounding of float32 down to norms of 1e-5. It
            must not be much smaller than gradients that are rounding alone (about 1e-16 in float64 where values are of order one), or
            these move the weights at full speed.
        weight_decay: lambda, added to the gradient before its norm is taken: it turns the step and does not lengthen it.
        foreach: one call of ``torch._foreach_*`` for all tensors of a group, of one type and device, in place of a loop over
            them; the same numbers to rounding.

    Raises:
        ValueError: where one of the numbers is negative or not finite.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        speed: float = 1.0,
        eps: float = 1e-12,
        weight_decay: float = 0.0,
        foreach: bool = True,
    ) -> None:
        defaults = {"lr": lr, "speed": speed, "eps": eps, "weight_decay": weight_decay, "foreach": foreach}
        _check(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; ValueError where one of its numbers is negative or not finite."""
        _check({**self.defaults, **param_group})
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step; ``closure``, if given, computes the gradients first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            pairs = [(weight, weight.grad) for weight in group["params"] if weight.grad is not None]
            if any(gradient.is_sparse for _, gradient in pairs):
                raise RuntimeError("SpeedLimitedSGD takes no sparse gradients; make them dense")
            kinds: dict[Any, list[tuple[Tensor, Tensor]]] = {}
            for weight, gradient in pairs:
                if group["foreach"]:
                    kinds.setdefault((weight.device, weight.dtype), []).append((weight, gradient))
                else:
                    _move(weight, gradient, group)
            for alike in kinds.values():
                _move_all(alike, group)
        return loss


def _move(weight: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
    if group["weight_decay"]:
        gradient = gradient.add(weight, alpha=group["weight_decay"])
    # At least the smallest normal number, so that a zero gradient is not 0/0 where eps is 0, or is rounded to 0 by the tensor's type.
    norm = torch.linalg.vector_norm(gradient).add_(group["eps"]).clamp_min_(torch.finfo(gradient.dtype).tiny)
    weight.addcdiv_(gradient, norm, value=-float(group["lr"] * group["speed"]))


def _move_all(pairs: Sequence[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
    """:func:`_move` for tensors of one type on one device, each with its gradient."""
    weights, gradients = [weight for weight, _ in pairs], [gradient for _, gradient in pairs]
    if group["weight_decay"]:
        gradients = [*torch._foreach_add(gradients, weights, alpha=group["weight_decay"])]
    norms = torch._foreach_norm(gradients)
    torch._foreach_add_(norms, group["eps"])
    torch._foreach_clamp_min_(norms, torch.finfo(gradients[0].dtype).tiny)
    torch._foreach_addcdiv_(weights, gradients, norms, value=-float(group["lr"] * group["speed"]))


def speed_groups(module: nn.Module, speeds: Sequence[float] | None = None) -> list[dict[str, Any]]:
    """One parameter group for each layer of ``module`` with weights, for :class:`SpeedLimitedSGD`: its tensors and its speed.

    Layers are the submodules that hold parameters themselves, in the order in which the module defines them; a shared parameter belongs to
    the first. ``speeds`` has a speed for each of them, None is 1 for each. ValueError, with the layers' names, where it has not as many.
    """
    layers: dict[str, list[Tensor]] = {}
    for name, parameter in module.named_parameters():
        layers.setdefault(name.rpartition(".")[0], []).append(parameter)
    found = [1.0] * len(layers) if speeds is None else [*speeds]
    if len(found) != len(layers):
        text = f"there are {len(found)} speeds, but the network has {len(layers)} layers with weights"
        raise ValueError(f"{text} ({', '.join(layers)}); give `speeds` one number for each, in this order")
    return [{"params": part, "speed": speed} for part, speed in zip(layers.values(), found, strict=True)]


def _check(group: dict[str, Any]) -> None:
    for key in NUMBERS:
        if not 0 <= group[key] < math.inf:
            raise ValueError(f"{key} is {group[key]!r}; give a finite number of at least 0")
