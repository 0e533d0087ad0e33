"""Parameters as a forward pass meets them: whole, scaled by a number, or seen through a view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class View:
    """A tensor that holds `scale` times the entries `index` of the parameter `name`.

    `index` has the shape of the tensor and counts the entries of the flattened parameter; None: all of them, in order.
    """

    name: str
    size: int
    shape: tuple[int, ...]
    scale: float = 1.0
    index: Tensor | None = None

    def positions(self) -> Tensor:
        """`index`, also where it is the identity."""
        return torch.arange(self.size).reshape(self.shape) if self.index is None else self.index


#: Operations that choose or rearrange entries. What they do to a parameter they do to the numbers of its entries.
REARRANGING = {
    getattr(torch.Tensor, name)
    for name in (
        "view", "view_as", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "t", "transpose", "swapaxes", "permute",
        "movedim", "narrow", "select", "chunk", "split", "unbind", "expand", "expand_as", "repeat", "contiguous", "clone",
        "__getitem__",
    )
} | {
    getattr(torch, name)
    for name in (
        "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "t", "transpose", "swapaxes", "permute", "movedim",
        "narrow", "select", "chunk", "split", "unbind", "broadcast_to",
    )
} | {torch.Tensor.T.__get__, torch.Tensor.mT.__get__}  # type: ignore[attr-defined]  # fmt: skip

#: Questions about a tensor that its values do not answer, and cuts of the graph, through which no gradient passes.
HARMLESS = {getattr(torch.Tensor, name) for name in ("size", "dim", "numel", "stride", "is_floating_point", "detach",
                                                     "is_contiguous", "element_size", "__len__", "ndimension")} | {
    getattr(torch.Tensor, name).__get__
    for name in ("shape", "dtype", "device", "ndim", "requires_grad", "is_cuda", "layout", "data", "is_sparse",
                 "is_nested", "is_quantized", "is_leaf", "is_meta")
}  # fmt: skip


class Tracked:
    """Which tensors of a forward pass are views of which parameters. Tensors are known by identity and kept alive."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self._known: dict[int, tuple[Tensor, View]] = {}
        for name, parameter in parameters.items():
            self.add(parameter, View(name, parameter.numel(), tuple(parameter.shape)))

    def add(self, tensor: Tensor, view: View) -> None:
        self._known[id(tensor)] = (tensor, view)

    def view(self, thing: object) -> View | None:
        """What `thing` is a view of; None if it is none."""
        found = self._known.get(id(thing))
        return None if found is None else found[1]

    def among(self, *arguments: object) -> list[View]:
        """The views among the arguments of a call, also inside of lists, tuples and dicts."""
        return [view for view in map(self.view, _leaves(arguments)) if view is not None]

    def rearranged(self, function: Any, args: tuple, kwargs: dict) -> object:
        """The result of a rearranging `function`, each tensor of it known as the view that it is."""
        result = function(*args, **kwargs)
        (view,) = self.among(args, kwargs)
        numbers = function(*(view.positions() if self.view(a) else a for a in args), **kwargs)
        for tensor, index in zip(_leaves((result,)), _leaves((numbers,)), strict=True):
            self.add(tensor, View(view.name, view.size, tuple(index.shape), view.scale, index))
        return result

    def scaled(self, result: Tensor, view: View, factor: float) -> Tensor:
        """`result`, known as `factor` times what `view` is."""
        self.add(result, View(view.name, view.size, view.shape, view.scale * factor, view.index))
        return result


def _leaves(things: Iterable[object]) -> Iterator[Any]:
    for thing in things:
        if isinstance(thing, list | tuple):
            yield from _leaves(thing)
        elif isinstance(thing, dict):
            yield from _leaves(thing.values())
        elif isinstance(thing, Tensor):
            yield thing
