"""One network, or several of one shape that take their steps together, behind one interface."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from lazyrich.models.state import flatten_parameters
from lazyrich.training import objective
from lazyrich.training.samples import Batch

#: Samples evaluated at once.
CHUNK = 2048


class Ensemble(ABC):
    """Networks of one shape, with the tensors that an optimiser changes: in a stack an elementwise one, alone any.

    A network's result does not depend on the company it is trained in but for rounding. What is known of the last bit is stated
    in :mod:`lazyrich.training.stack`.
    """

    size: int

    @abstractmethod
    def parameters(self) -> list[Tensor]:
        """The leaf tensors that the optimiser changes."""

    @abstractmethod
    def differentiate(self, batch: Batch, loss: str) -> None:
        """Set the gradients of :meth:`parameters` to those of each network's mean loss (by name) on its batch."""

    @abstractmethod
    def network(self, index: int) -> nn.Module:
        """Network ``index`` as it is now, to be called at once: the next call of this method may change it."""

    @abstractmethod
    def vector(self, index: int) -> Tensor:
        """A copy of the parameters of one network as one vector, in the order of :mod:`lazyrich.models.state`."""

    @abstractmethod
    def keep(self, indices: list[int], optimizer: torch.optim.Optimizer) -> None:
        """Go on with these networks only, one at least; the optimiser's state follows."""

    @torch.no_grad()
    def evaluate(self, index: int, inputs: Tensor) -> Tensor:
        """Outputs (n, outputs) of one network, without gradients."""
        network = self.network(index)
        return torch.cat([network(part) for part in inputs.split(CHUNK)])

    def state(self) -> list[Tensor]:
        """Copies of the leaf tensors, for a checkpoint of the whole ensemble."""
        return [parameter.detach().cpu().clone() for parameter in self.parameters()]

    @torch.no_grad()
    def load_state(self, state: list[Tensor]) -> None:
        """Put back what :meth:`state` gave, for an ensemble of the same networks."""
        for parameter, value in zip(self.parameters(), state, strict=True):
            parameter.copy_(value)


class Alone(Ensemble):
    """A single network of any architecture."""

    def __init__(self, module: nn.Module) -> None:
        self.size = 1
        self._module = module

    def parameters(self) -> list[Tensor]:
        return list(self._module.parameters())

    def differentiate(self, batch: Batch, loss: str) -> None:
        self._module.zero_grad(set_to_none=True)
        outputs = self._module(batch.inputs[0])
        outputs.backward(objective.output_gradient(loss, outputs.detach()[None], batch)[0])

    def network(self, index: int) -> nn.Module:
        return self._module

    def vector(self, index: int) -> Tensor:
        return flatten_parameters(self._module)

    def keep(self, indices: list[int], optimizer: torch.optim.Optimizer) -> None:
        """Nothing to do: there is one, and it goes on."""
