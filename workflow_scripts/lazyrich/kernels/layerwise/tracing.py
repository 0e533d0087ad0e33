"""Forward passes that tell how each parameter was used, and backward passes that hand each use its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from lazyrich.kernels.layerwise.uses import Use
from lazyrich.kernels.layerwise.views import HARMLESS, REARRANGING, Tracked


class _Probe(torch.autograd.Function):
    """The identity, in place, that hands the gradient which passes through it to the uses of that place.

    `anchor` is a number that requires a gradient, so that a backward pass to it comes by every probe, although no parameter does.
    In place, because a layer may overwrite what it is given: what comes after this node then does not change its gradient.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, anchor: Tensor, uses: list[Use]) -> Tensor:
        ctx.uses = uses
        ctx.mark_dirty(value)
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        for use in ctx.uses:
            use.gradients.append(use.turned(gradient))
        return gradient, gradient.new_zeros(()), None


#: What a rule answers where it does not know how a function uses a parameter.
UNKNOWN = object()

#: How a function uses parameters: called as rule(trace, *args, **kwargs), with the function's arguments.
Rule = Callable[..., object]


class Trace(TorchFunctionMode):
    """A forward pass of a model in which every use of a parameter is recorded, in the order of the calls.

    Parameters in `opaque` were used in a way that no rule knows: their gradients are not to be had from here.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        rules: Mapping[Any, Rule],
        sample_axes: Sequence[int] = (),
        watch: bool = False,
    ) -> None:
        super().__init__()
        self.tracked = Tracked(parameters)
        self.uses: list[Use] = []
        #: Of each use, what left the operation; only if `watch`.
        self.values: list[Tensor] = []
        #: Name of a parameter -> the function that uses it and has no rule.
        self.opaque: dict[str, str] = {}
        self._rules, self._sample_axes, self._watch = rules, sample_axes, watch
        self._anchor = next(iter(parameters.values())).new_zeros(()).requires_grad_()
        self._samples = self._places = 0

    def run(self, model: nn.Module, state: dict[str, Tensor], inputs: Tensor) -> Tensor:
        """Outputs of the model as (n, C), with a graph."""
        self._samples = len(inputs)
        with torch.enable_grad():
            with self:
                outputs = functional_call(model, state, (inputs,))
            return outputs.reshape(len(inputs), -1)

    def backward(self, outputs: Tensor) -> None:
        """One backward pass for each output; afterwards each use that the output depends on has its gradients."""
        if not outputs.requires_grad:
            return
        classes = outputs.shape[1]
        for c in range(classes):
            direction = torch.zeros_like(outputs)
            direction[:, c] = 1
            torch.autograd.grad(outputs, self._anchor, direction, retain_graph=c < classes - 1)

    def probe(self, value: Tensor, uses: Iterable[Use]) -> Tensor:
        """`value`, in whose making the parameters were used as `uses` says."""
        found = list(uses)
        if not found:
            return value
        for use in found:
            use.output_shape, use.samples, use.place, use.like = value.shape, self._samples, self._places, self._anchor
            if self._sample_axes:
                use.sample_axis = self._sample_axes[len(self.uses)]
            self.uses.append(use)
            if self._watch:
                self.values.append(value.detach().clone())
        self._places += 1
        if value._is_view() or value.is_leaf and value.requires_grad:
            value = value.clone()
        return _Probe.apply(value, self._anchor, found)

    def give_up(self, things: Iterable[object], where: str) -> None:
        """Note that the parameters among `things` were used in a way that is not known here."""
        for view in self.tracked.among(*things):
            self.opaque.setdefault(view.name, where)

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> object:
        kwargs = kwargs or {}
        views = self.tracked.among(args, kwargs)
        if not views or function in HARMLESS:
            return function(*args, **kwargs)
        if function in self._rules:
            result = self._rules[function](self, *args, **kwargs)
            if result is not UNKNOWN:
                return result
        elif function in REARRANGING and len(views) == 1 and self.tracked.view(args[0]):
            return self.tracked.rearranged(function, args, kwargs)
        self.give_up((args, kwargs), getattr(function, "__name__", str(function)))
        return function(*args, **kwargs)
