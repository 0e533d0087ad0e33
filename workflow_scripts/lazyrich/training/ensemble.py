"""One network, or several of one shape stacked along a leading axis, behind one interface."""

import copy

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from lazyrich.models.state import flatten_parameters, parameter_layout


class Ensemble:
    """Networks of one shape that take their steps together.

    Parameters are leaf tensors with a leading axis over the networks, so that an elementwise optimiser (SGD, Adam) treats each
    network as if it were alone. A network's result does not depend on the company it is trained in but for rounding, and on one
    CPU thread not by a bit where batched products treat each matrix alike whatever the size of the stack (a stack of one takes
    another path and is therefore padded with a copy). Two kinds of networks are known not to be exact: odd widths, as the last bit
    of a product may depend on where in memory a matrix starts, and convolutions of several input channels in float32, whose blocking
    depends on the number of groups.
    """

    def __init__(self, modules: list[nn.Module], stacked: bool) -> None:
        self.size = len(modules)
        self.stacked = stacked
        if stacked:
            padded = modules if len(modules) > 1 else modules * 2
            parameters, buffers = stack_module_state(padded)
            self._parameters = {name: value.detach().clone().requires_grad_() for name, value in parameters.items()}
            self._buffers = buffers
            self._skeleton = copy.deepcopy(modules[0]).to("meta")
        else:
            (self._module,) = modules
        self._layout = parameter_layout(modules[0])

    def parameters(self) -> list[Tensor]:
        """The leaf tensors that the optimiser changes."""
        return list(self._parameters.values()) if self.stacked else list(self._module.parameters())

    def outputs(self, inputs: list[Tensor]) -> list[Tensor]:
        """Each network's outputs (B, outputs) on its own batch (B, ...), with gradients."""
        if not self.stacked:
            return [self._module(inputs[0])]
        batch = torch.stack(inputs if self.size > 1 else inputs * 2)
        forward = vmap(lambda parameters, buffers, x: functional_call(self._skeleton, (parameters, buffers), (x,)))
        return list(forward(self._parameters, self._buffers, batch)[: self.size])

    @torch.no_grad()
    def evaluate(self, index: int, inputs: Tensor, chunk: int = 2048) -> Tensor:
        """Outputs (n, outputs) of one network, without gradients, in chunks of samples."""
        if not self.stacked:
            return torch.cat([self._module(part) for part in inputs.split(chunk)])
        state = {name: value[index] for name, value in (*self._parameters.items(), *self._buffers.items())}
        return torch.cat([functional_call(self._skeleton, state, (part,)) for part in inputs.split(chunk)])

    def vector(self, index: int) -> Tensor:
        """The parameters of one network as one vector, in the order of :mod:`lazyrich.models.state`."""
        if not self.stacked:
            return flatten_parameters(self._module)
        return torch.cat([self._parameters[entry["name"]][index].detach().reshape(-1) for entry in self._layout])

    def keep(self, indices: list[int], optimizer: torch.optim.Optimizer) -> None:
        """Go on with these networks only; the optimiser's state follows."""
        rows = indices if len(indices) > 1 else indices * 2
        for parameter in self.parameters():
            old = parameter.shape
            for key, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor) and value.shape == old:
                    optimizer.state[parameter][key] = value[rows].clone()
            parameter.data = parameter.data[rows].clone()
            parameter.grad = None
        self._buffers = {name: value[rows] for name, value in self._buffers.items()}
        self.size = len(indices)

    def state(self) -> list[Tensor]:
        """Copies of the leaf tensors, for a checkpoint of the whole ensemble."""
        return [parameter.detach().cpu().clone() for parameter in self.parameters()]

    @torch.no_grad()
    def load_state(self, state: list[Tensor]) -> None:
        """Put back what :meth:`state` gave, for an ensemble of the same networks."""
        for parameter, value in zip(self.parameters(), state, strict=True):
            parameter.copy_(value)
