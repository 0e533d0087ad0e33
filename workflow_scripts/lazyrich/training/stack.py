"""Networks of one shape whose parameters lie side by side, so that a call of the library serves all of them."""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from lazyrich.models.state import parameter_layout
from lazyrich.training import objective
from lazyrich.training.ensemble import Ensemble
from lazyrich.training.samples import Batch

#: Elements in a cache line of float32; the stacked values of each parameter start at a multiple of it.
ALIGNED = 16


class Stack(Ensemble):
    """Parameters in one leaf tensor: for each parameter in turn, its values in all networks, (networks, *shape).

    An elementwise optimiser then makes one call for all networks and all layers, and treats each network as if it were alone.

    On one CPU thread a network's result does not depend by a bit on its company, under one condition: that each matrix of a
    product starts on a cache line in any company, as the last bit may depend on where it starts. So it does if weight matrices and
    the activations of a batch have multiples of 16 entries in float32, of 8 in float64; odd widths and batches are not exact.
    Nor are convolutions of several input channels in float32, whose blocking depends on the number of networks, and products
    that several threads share. Being killed and taken up again changes no bit in any case, as the company is what it was.
    """

    #: Networks that are computed at least: a stack of one that would give other bits is padded with a copy.
    least = 2

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.size = len(modules)
        self._layout = parameter_layout(modules[0])
        self._single = copy.deepcopy(modules[0])
        values, self._buffers = stack_module_state([*modules] if self.rows == self.size else [*modules] * self.rows)
        self._leaf = self._packed({name: value.detach() for name, value in values.items()})
        self._arrange()

    @property
    def rows(self) -> int:
        """Networks that are computed."""
        return max(self.size, self.least)

    @abstractmethod
    def _prepare(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        """Take note of where parameters and gradients, each (rows, *shape), lie from now on."""

    def _arrange(self) -> None:
        self._gradient = self._leaf.grad = torch.zeros_like(self._leaf)
        self._values = self._views(self._leaf)
        self._prepare(self._values, self._views(self._gradient))

    def _packed(self, values: dict[str, Tensor]) -> Tensor:
        """One vector of all values, each parameter on a cache line, the whole a number of cache lines."""
        parts = []
        for value in values.values():
            parts += [value.reshape(-1), value.new_zeros(-value.numel() % ALIGNED)]
        return torch.cat(parts)

    def _views(self, vector: Tensor) -> dict[str, Tensor]:
        """The values that :meth:`_packed` put into ``vector``, by name."""
        views, start = {}, 0
        for entry in self._layout:
            count = self.rows * math.prod(entry["shape"])
            views[entry["name"]] = vector[start : start + count].view(self.rows, *entry["shape"])
            start += count + -count % ALIGNED
        return views

    def parameters(self) -> list[Tensor]:
        return [self._leaf]

    def network(self, index: int) -> nn.Module:
        for name, parameter in self._single.named_parameters():
            parameter.data = self._values[name][index]
        for name, buffer in self._single.named_buffers():
            buffer.data = self._buffers[name][index]
        return self._single

    def vector(self, index: int) -> Tensor:
        return torch.cat([self._values[entry["name"]][index].reshape(-1) for entry in self._layout])

    def keep(self, indices: list[int], optimizer: torch.optim.Optimizer) -> None:
        rows = indices if len(indices) > 1 else indices * self.least
        moments = optimizer.state.get(self._leaf, {})
        old = [key for key, value in moments.items() if isinstance(value, Tensor) and value.shape == self._leaf.shape]
        chosen = {key: self._of(rows, moments[key]) for key in old}
        self._leaf.grad = None
        self._leaf.data = self._of(rows, self._leaf)
        moments.update(chosen)
        self._buffers = {name: value[rows] for name, value in self._buffers.items()}
        self.size = len(indices)
        self._arrange()

    def _of(self, rows: list[int], vector: Tensor) -> Tensor:
        return self._packed({name: value[rows] for name, value in self._views(vector).items()})


class Vmapped(Stack):
    """A stack of any architecture, by ``torch.func.vmap``."""

    def _prepare(self, values: dict[str, Tensor], gradients: dict[str, Tensor]) -> None:
        self._skeleton = copy.deepcopy(self._single).to("meta")
        self._variables = {name: value.detach().requires_grad_() for name, value in values.items()}
        for name, variable in self._variables.items():
            variable.grad = gradients[name]

    def differentiate(self, batch: Batch, loss: str) -> None:
        found = batch if self.rows == self.size else batch.of([0] * self.rows)
        forward = vmap(lambda parameters, buffers, x: functional_call(self._skeleton, (parameters, buffers), (x,)))
        outputs = forward(self._variables, self._buffers, found.inputs)
        self._gradient.zero_()  # backward adds to the gradients where they lie
        outputs.backward(objective.output_gradient(loss, outputs.detach(), found))
