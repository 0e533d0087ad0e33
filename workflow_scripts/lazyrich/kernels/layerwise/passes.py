"""Forward and backward passes over the samples of a block, and what is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from lazyrich.kernels.layerwise.arrangement import Arrangement
from lazyrich.kernels.layerwise.factors import AnyFactor, GradientFactor, PositionFactor, ProductFactor, VectorFactor
from lazyrich.kernels.layerwise.forming import form
from lazyrich.kernels.layerwise.routes import Route
from lazyrich.kernels.layerwise.rules import RULES
from lazyrich.kernels.layerwise.structure import Structure
from lazyrich.kernels.layerwise.tracing import Trace
from lazyrich.kernels.layerwise.uses import DirectUse, LookupUse, Use, WeightUse


@dataclass(frozen=True)
class Network:
    """A model with its state, and how it uses its parameters."""

    model: nn.Module
    trained: Mapping[str, Tensor]
    fixed: Mapping[str, Tensor]
    structure: Structure

    def factors(self, inputs: Tensor, routes: list[Route], arrangement: Arrangement, pass_size: int) -> list[AnyFactor]:
        """A factor for each route, for all samples of `inputs`, with at most `pass_size` of them in one pass."""
        kept: list[list[Tensor]] = []
        uses: list[Use] = []
        for start in range(0, len(inputs), pass_size):
            samples = inputs[start : start + pass_size]
            uses = self.uses(samples)
            for number, route in enumerate(routes):
                parts = _KEEP[route.kind](route, [uses[use] for use in route.parameter.uses], self.structure.outputs)
                if start == 0:
                    kept.append([_room(part, len(inputs)) for part in parts])
                for room, part in zip(kept[number], parts, strict=True):
                    if room is not part:
                        room[start : start + len(samples)] = part
            for use in uses:
                use.gradients = []
        return [_factor(route, uses, tensors, arrangement) for route, tensors in zip(routes, kept, strict=True)]

    def uses(self, samples: Tensor) -> list[Use]:
        """The uses of one forward pass over `samples`, with their gradients from one backward pass for each output."""
        understood = {use.view.name: self.trained[use.view.name] for use in self.structure.uses}
        trace = Trace(understood, RULES, self.structure.sample_axes)
        outputs = trace.run(self.model, {**self.trained, **self.fixed}, samples)
        if len(trace.uses) != len(self.structure.uses):
            raise RuntimeError(
                f"{type(self.model).__name__} used its parameters {len(trace.uses)} times in this pass and "
                f"{len(self.structure.uses)} in another; its path must not depend on the samples"
            )
        trace.backward(outputs)
        return trace.uses


def _room(part: Tensor, samples: int) -> Tensor:
    """Memory for all samples; the part itself where it is all."""
    return part if len(part) == samples else part.new_empty(samples, *part.shape[1:])


def _stacked(use: Use, outputs: int) -> Tensor:
    """g of all outputs, (n, C, ...); zeros where the outputs do not depend on the use."""
    if use.gradients:
        first = use.gradients[0]
        return first.unsqueeze(1) if outputs == 1 else torch.stack(use.gradients, 1)
    return torch.stack([use.turned(use.like.new_zeros(use.output_shape))] * outputs, 1)


def _keep_vector(route: Route, uses: list[Use], outputs: int) -> tuple[Tensor, ...]:
    if not route.parameter.joint:
        return (_jacobian(uses[0], outputs, in_order=False),)
    total = uses[0].like.new_zeros(uses[0].samples, outputs, route.entries)
    for use in uses:
        total.index_add_(2, use.view.positions().flatten().to(total.device), _jacobian(use, outputs, in_order=True))
    return (total,)


def _jacobian(use: Use, outputs: int, in_order: bool) -> Tensor:
    """J (n, C, entries); the entries in the order of the view only if that is asked for."""
    gradients = _stacked(use, outputs)
    if isinstance(use, WeightUse):
        formed = form(use, use.kept(), gradients, use.whole, slice(0, use.extent[1]))
        return use.in_order(formed) if in_order else formed
    direct = cast(DirectUse, use)
    return torch.stack([direct.jacobian(g) for g in gradients.unbind(1)], 1)


def _keep_product(route: Route, uses: list[Use], outputs: int) -> tuple[Tensor, ...]:
    use = cast(WeightUse, uses[0])
    return use.kept()[:, 0], _stacked(use, outputs)[:, :, 0]


def _keep_gradients(route: Route, uses: list[Use], outputs: int) -> tuple[Tensor, ...]:
    use = cast(WeightUse, uses[0])
    return use.kept(), _stacked(use, outputs)


def _keep_positions(route: Route, uses: list[Use], outputs: int) -> tuple[Tensor, ...]:
    use, gradients = uses[0], _stacked(uses[0], outputs)
    if isinstance(use, LookupUse):
        return use.captured.movedim(use.sample_axis, 0).reshape(use.samples, -1), gradients.transpose(2, 3)
    weight = cast(WeightUse, use)
    return weight.inputs(weight.kept(), weight.whole)[:, 0], weight.outputs(gradients)[:, :, 0]


_KEEP: dict[str, Callable[[Route, list[Use], int], tuple[Tensor, ...]]] = {
    "vector": _keep_vector,
    "product": _keep_product,
    "gradients": _keep_gradients,
    "positions": _keep_positions,
}


def _factor(route: Route, uses: list[Use], tensors: list[Tensor], arrangement: Arrangement) -> AnyFactor:
    match route.kind:
        case "vector":
            return VectorFactor(arrangement.rows(tensors[0]))
        case "product":
            return ProductFactor(tensors[0], arrangement.rows(tensors[1]), route.bias)
        case "positions":
            return PositionFactor(*tensors)
        case _:
            return GradientFactor(tensors[0], tensors[1], cast(WeightUse, uses[route.parameter.uses[0]]))
