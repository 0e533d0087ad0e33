"""What a network does with its parameters, learned from two small passes, before the large ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lazyrich.kernels.layerwise.rules import RULES
from lazyrich.kernels.layerwise.tracing import Trace
from lazyrich.kernels.layerwise.uses import BatchNormalizationUse, ConvolutionUse, Use

#: Rows are taken for the same if they agree to this share of their size; the two passes may round differently.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Parameter:
    """One parameter, or a part of it that is used apart from the rest, and which uses of a pass are its own.

    If `joint`, the gradients of all its uses have to be added entry by entry: it is used more than once, or through a view that
    repeats entries.
    """

    name: str
    uses: tuple[int, ...]
    joint: bool


@dataclass(frozen=True)
class Structure:
    """How a network uses its parameters.

    Attributes:
        uses: the uses of a pass, in the order of the calls, as of a pass over two samples.
        parameters: what there is to contract.
        opaque: parameters whose use is not understood, each with the reason; they have no part in the rest.
        outputs: C, the number of outputs per sample.
    """

    uses: tuple[Use, ...]
    parameters: tuple[Parameter, ...]
    opaque: dict[str, str]
    outputs: int

    @property
    def sample_axes(self) -> list[int]:
        return [use.sample_axis for use in self.uses]


def analyse(model: nn.Module, trained: Mapping[str, Tensor], fixed: Mapping[str, Tensor], samples: Tensor) -> Structure:
    """Compare a pass over two samples with one over three: what grows with them runs over the samples.

    Args:
        trained: the parameters to differentiate with respect to, by name; `fixed`: all other tensors of the model's state.
        samples: at least one; the first is repeated where there are fewer than three.
    """
    if len(samples) < 3:
        samples = torch.cat([samples, samples[:1].expand(3 - len(samples), *samples.shape[1:])])
    opaque: dict[str, str] = {}
    while True:
        understood = {name: parameter for name, parameter in trained.items() if name not in opaque}
        if not understood:
            return Structure((), (), opaque, model_outputs(model, {**trained, **fixed}, samples[:1]))
        two, three = Trace(understood, RULES, watch=True), Trace(understood, RULES, watch=True)
        state = {**trained, **fixed}
        outputs, more = (t.run(model, state, samples[:n]).detach() for t, n in ((two, 2), (three, 3)))
        found = {**two.opaque, **three.opaque, **_misunderstood(two, three)}
        if not _same(outputs, more[:2]):
            found = dict.fromkeys(understood, "outputs that depend on the other samples of the batch")
        if not found:
            return Structure(tuple(two.uses), _parameters(two.uses), opaque, outputs.shape[1])
        opaque.update(found)


def model_outputs(model: nn.Module, state: dict[str, Tensor], sample: Tensor) -> int:
    """C, the number of outputs per sample."""
    with torch.no_grad():
        return functional_call(model, state, (sample,)).numel()


def _misunderstood(two: Trace, three: Trace) -> dict[str, str]:
    """The parameters of which a use has no axis over the samples; the others are told theirs."""
    if [use.view.name for use in two.uses] != [use.view.name for use in three.uses]:
        return {
            use.view.name: "a forward pass that takes another path for other samples"
            for use in (*two.uses, *three.uses)
        }
    found = {}
    for use, small, large in zip(two.uses, two.values, three.values, strict=True):
        axis = _sample_axis(small, large)
        if axis is None or (isinstance(use, ConvolutionUse | BatchNormalizationUse) and small.shape[0] != 2):
            found[use.view.name] = f"{type(use).__name__} along no axis of samples"
        if use.overwritten:
            found[use.view.name] = "an input that the network overwrites"
        use.sample_axis = axis or 0
    return found


def _sample_axis(small: Tensor, large: Tensor) -> int | None:
    """The axis along which the three samples of `large` stand where `small` has two; None if there is no one such axis.

    Where positions stand along the same axis, each sample's must follow each other.
    """
    if small.ndim != large.ndim:
        return None
    grown = [axis for axis, (a, b) in enumerate(zip(small.shape, large.shape, strict=True)) if a != b]
    if len(grown) != 1 or 3 * small.shape[grown[0]] != 2 * large.shape[grown[0]]:
        return None
    (axis,) = grown
    count = small.shape[axis]
    positions = count // 2
    if positions > 1:
        interleaved = large.unflatten(axis, (positions, 3)).narrow(axis + 1, 0, 2).flatten(axis, axis + 1)
        if not _same(small, large.narrow(axis, 0, count)) or _same(small, interleaved):
            return None
    return axis


def _same(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() <= TOLERANCE * b.abs().max()) if a.numel() else True


def _parameters(uses: list[Use]) -> tuple[Parameter, ...]:
    numbers: dict[str, list[int]] = {}
    for number, use in enumerate(uses):
        numbers.setdefault(use.view.name, []).append(number)
    found: list[Parameter] = []
    for name, own in numbers.items():
        if _apart([uses[number] for number in own]):
            found.extend(Parameter(name, (number,), joint=False) for number in own)
        else:
            found.append(Parameter(name, tuple(own), joint=True))
    return tuple(found)


def _apart(uses: list[Use]) -> bool:
    """Whether no entry of the parameter is used twice, by different uses or by one view that repeats it."""
    if len(uses) == 1 and uses[0].view.index is None:
        return True
    times = torch.zeros(uses[0].view.size, dtype=torch.long)
    for use in uses:
        index = use.view.positions().flatten()
        times.index_add_(0, index, torch.ones_like(index))
    return bool(times.max() <= 1)
