"""Which way to contract each parameter: the one with the fewest operations.

For n1 x n2 samples, C outputs (k = C numbers a pair for the trace, C^2 for full blocks), a weight (o, d) at T positions:

- product:    (x . x') (g . g'), for T = 1                       n1 n2 2 (d + k o)
- positions:  sum over t, s of (x_t . x'_s) (g_t . g'_s)         n1 n2 T^2 2 (d + k o)
- gradients:  J . J' with J = sum_t g_t x_t^T formed             n1 n2 2 k o d  +  (n1 + n2) 2 C T o d
- vector:     as gradients, but J is formed and kept while the backward pass runs: where it is smaller than x and g
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lazyrich.kernels.layerwise.structure import Parameter, Structure
from lazyrich.kernels.layerwise.uses import ElementwiseUse, LinearUse, LookupUse, Use, WeightUse

#: Operations that a product of matrices does in the time of one elementwise operation on numbers of the size of T^2 n1 n2.
ELEMENTWISE = 24


@dataclass(frozen=True)
class Route:
    """How one parameter is contracted, and what that takes.

    Attributes:
        bias: of a product, (scale of the bias / scale of the weight)^2 where a bias is contracted with its weight, else 0.
        kept: numbers to keep per sample.
        entries: of the weight; `inputs`: the least that are worked on at once, of all groups.
        per_pair: operations per pair of samples; `per_sample`: those to form what is contracted, per sample.
    """

    parameter: Parameter
    kind: str
    kept: int
    per_pair: float
    per_sample: float = 0.0
    bias: float = 0.0
    entries: int = 0
    inputs: int = 0


def choose(structure: Structure, per_pair: int, samples: float) -> list[Route]:
    """A route for each parameter of `structure`.

    Args:
        per_pair: k, the numbers that a pair of samples has per parameter: C, or C^2 for full blocks.
        samples: pairs of samples per sample; n / 2 for a symmetric kernel.
    """
    biases = _fused_biases(structure)
    routes = []
    for parameter in structure.parameters:
        if parameter.uses[0] in biases.values() and not parameter.joint:
            continue
        uses = [structure.uses[number] for number in parameter.uses]
        possible = options(parameter, uses, structure.outputs, per_pair)
        route = min(possible, key=lambda option: option.per_pair * samples + option.per_sample)
        if route.kind == "product" and parameter.uses[0] in biases:
            bias = structure.uses[biases[parameter.uses[0]]]
            route = Route(
                parameter, "product", route.kept, route.per_pair, bias=(bias.view.scale / uses[0].view.scale) ** 2
            )
        routes.append(route)
    return routes


def options(parameter: Parameter, uses: Sequence[Use], outputs: int, per_pair: int, every: bool = False) -> list[Route]:
    """The routes that there are; of the two that form gradients the one that keeps less, unless `every` is asked for."""
    use = uses[0]
    entries = use.view.size if parameter.joint else math.prod(use.view.shape)
    forming = sum(2.0 * outputs * max(1, u.positions) * math.prod(u.view.shape) for u in uses)
    vector = Route(parameter, "vector", outputs * entries, 2.0 * per_pair * entries, forming, entries=entries)
    if parameter.joint:
        return [vector]
    if isinstance(use, LookupUse):
        t, features = use.output_shape.numel() // use.samples // use.view.shape[1], use.view.shape[1]
        operations = t * t * (2.0 * per_pair * features + ELEMENTWISE * per_pair)
        return [vector, Route(parameter, "positions", t + outputs * t * features, operations)]
    if not isinstance(use, WeightUse):
        return [vector]
    groups, o, d = use.extent
    t = use.positions
    entering, leaving = use.captured.numel() // use.samples, use.output_shape.numel() // use.samples
    kept = entering + outputs * leaving
    if t == 1 and groups == 1 and isinstance(use, LinearUse):
        return [Route(parameter, "product", kept, 2.0 * (d + per_pair * o))]
    least = groups * use.windows(1)[0].inputs
    gradients = Route(
        parameter, "gradients", kept, 2.0 * per_pair * vector.entries, forming, entries=vector.entries, inputs=least
    )
    found = [vector, gradients] if every else [min(vector, gradients, key=lambda route: route.kept)]
    if groups == 1:
        operations = t * t * (2.0 * (d + per_pair * o) + ELEMENTWISE * per_pair)
        found.append(Route(parameter, "positions", t * d + outputs * leaving, operations))
    return found


def _fused_biases(structure: Structure) -> dict[int, int]:
    """Weight use -> use of its bias, where one factor serves both: (x . x' + 1) (g . g')."""
    apart = {p.uses[0] for p in structure.parameters if not p.joint}
    weights = {
        use.place: number
        for number, use in enumerate(structure.uses)
        if number in apart and isinstance(use, LinearUse) and use.positions == 1
    }
    return {
        weights[use.place]: number
        for number, use in enumerate(structure.uses)
        if number in apart
        and isinstance(use, ElementwiseUse)
        and use.place in weights
        and not use.captured.numel()
        and math.prod(use.view.shape) == structure.uses[weights[use.place]].view.shape[0]
    }
