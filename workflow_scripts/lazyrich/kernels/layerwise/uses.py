"""The ways in which a network uses a parameter, and what the gradient of one sample with respect to it is made of.

A use sees what enters the operation (`captured`) and, for each output of the network, the gradient g at what leaves it. Both
are turned so that samples stand along the first axis. From these two,

    J = d f / d parameter    (n, entries of the view),

is the sum over positions t (tokens, pixels) of g_t x_t^T for a weight, and of g_t, or g_t * x_t, for a bias or a scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import NamedTuple, final

import torch
from torch import Tensor

from lazyrich.kernels.layerwise.views import View


@dataclass
class Use(ABC):
    """One use of one parameter in one forward pass."""

    view: View
    captured: Tensor
    output_shape: torch.Size = field(default_factory=torch.Size)
    #: Number of samples in the pass, and which axis of the output runs over them (and, within a sample, perhaps over positions).
    samples: int = 0
    sample_axis: int = 0
    #: Which operation of the pass it belongs to: a weight and its bias have the same g.
    place: int = 0
    #: A number of the type, and on the device, of the output.
    like: Tensor = field(default_factory=lambda: torch.empty(()))
    #: g of each output of the network, in their order.
    gradients: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._version = self.captured._version

    @property
    def overwritten(self) -> bool:
        """Whether the network has since overwritten what entered the operation."""
        return self.captured._version != self._version

    @property
    def positions(self) -> int:
        """T, the number of positions of a sample at which the parameter acts."""
        return 0

    def _samples_first(self, tensor: Tensor) -> Tensor:
        """(..., features) as (n, T, features)."""
        return tensor.movedim(self.sample_axis, 0).reshape(self.samples, -1, tensor.shape[-1])

    @abstractmethod
    def turned(self, gradient: Tensor) -> Tensor:
        """g with samples first, times the scale of the view."""


class DirectUse(Use):
    """A use whose J follows from g in one step."""

    @abstractmethod
    def jacobian(self, gradient: Tensor) -> Tensor:
        """J, (n, entries of the view), from a turned g."""


class Window(NamedTuple):
    """A part of the inputs of a weight: how many, and of a convolution (first, number) of the rows and columns of its kernel."""

    inputs: int
    rows: tuple[int, int] = (0, 1)
    columns: tuple[int, int] = (0, 1)


class WeightUse(Use):
    """A use as a matrix W (o, d) that acts at T positions, in q groups: J = sum_t g_t x_t^T."""

    #: (groups q, outputs o per group, inputs d per group)
    extent: tuple[int, int, int]

    @abstractmethod
    def kept(self) -> Tensor:
        """What has to be kept of `captured`, samples first."""

    @abstractmethod
    def windows(self, inputs: int) -> list[Window]:
        """Cuts of the d inputs into parts of at most `inputs`, as far as there are such."""

    @abstractmethod
    def inputs(self, kept: Tensor, window: Window) -> Tensor:
        """x, (n, q, T, inputs of the window), of the samples in `kept`."""

    @abstractmethod
    def outputs(self, gradient: Tensor) -> Tensor:
        """A turned g, of any leading axes, as (..., q, o, T)."""

    @property
    def whole(self) -> Window:
        """All of the d inputs."""
        (window,) = self.windows(self.extent[2])
        return window

    def in_order(self, formed: Tensor) -> Tensor:
        """J (..., q o d), with d in the order of :meth:`inputs`, in the order of the entries of the view."""
        return formed


@final
@dataclass
class LinearUse(WeightUse):
    """y = x W^T with x (..., d), W (o, d)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.extent = (1, self.view.shape[0], self.view.shape[1])

    @property
    def positions(self) -> int:
        return self.output_shape[:-1].numel() // self.samples

    def turned(self, gradient: Tensor) -> Tensor:
        return _scaled(self._samples_first(gradient), self.view.scale)

    def kept(self) -> Tensor:
        return self._samples_first(self.captured)

    def windows(self, inputs: int) -> list[Window]:
        return [Window(self.extent[2])]

    def inputs(self, kept: Tensor, window: Window) -> Tensor:
        return kept.unsqueeze(1)

    def outputs(self, gradient: Tensor) -> Tensor:
        return gradient.transpose(-1, -2).unsqueeze(-3)


@final
@dataclass
class ConvolutionUse(WeightUse):
    """A convolution of images (n, q c, H, W), written as a matrix (o, d) on patches, d = kernel height * kernel width * c."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        outputs, channels, height, width = self.view.shape
        self.extent = (self.groups, outputs // self.groups, channels * height * width)

    @property
    def positions(self) -> int:
        return self.output_shape[-1] * self.output_shape[-2]

    def turned(self, gradient: Tensor) -> Tensor:
        return _scaled(gradient.flatten(2), self.view.scale)

    def kept(self) -> Tensor:
        """Padded images with channels last, (n, q, H, W, c): patches are runs of them."""
        vertical, horizontal = self.padding
        n, _, rows, columns = self.captured.shape
        images = self.captured.unflatten(1, (self.groups, -1)).permute(0, 1, 3, 4, 2)
        if not (vertical or horizontal):
            return images.contiguous()
        padded = images.new_zeros(n, self.groups, rows + 2 * vertical, columns + 2 * horizontal, images.shape[-1])
        padded[:, :, vertical : vertical + rows, horizontal : horizontal + columns] = images
        return padded

    def windows(self, inputs: int) -> list[Window]:
        _, channels, height, width = self.view.shape
        if height * width * channels <= inputs:
            return [Window(height * width * channels, (0, height), (0, width))]
        if width * channels <= inputs:
            return [Window(width * channels, (i, 1), (0, width)) for i in range(height)]
        return [Window(channels, (i, 1), (j, 1)) for i in range(height) for j in range(width)]

    def inputs(self, kept: Tensor, window: Window) -> Tensor:
        """Patches (n, q, T, rows of the window * columns of the window * c), in this order."""
        n, groups, _, _, channels = kept.shape
        rows, columns = self.output_shape[-2:]
        (first_row, height), (first_column, width) = window.rows, window.columns
        sample, group, row, column, channel = kept.stride()
        (down, right), (low, far) = self.stride, self.dilation
        start = kept.storage_offset() + first_row * low * row + first_column * far * column
        patches = kept.as_strided(
            (n, groups, rows, columns, height, width, channels),
            (sample, group, row * down, column * right, row * low, column * far, channel),
            start,
        )
        return patches.reshape(n, groups, rows * columns, height * width * channels)

    def outputs(self, gradient: Tensor) -> Tensor:
        return gradient.unflatten(-2, (self.groups, -1))

    def in_order(self, formed: Tensor) -> Tensor:
        outputs, channels, height, width = self.view.shape
        patches = formed.unflatten(-1, (outputs, height, width, channels))
        return patches.movedim(-1, -3).flatten(-4)


@final
@dataclass
class LookupUse(DirectUse):
    """Rows of a table W (entries, e), chosen by whole numbers: J adds g_t to row `captured_t`."""

    padding: int | None = None

    def turned(self, gradient: Tensor) -> Tensor:
        gradient = _scaled(self._samples_first(gradient), self.view.scale)
        if self.padding is None:
            return gradient
        chosen = self._samples_first(self.captured.unsqueeze(-1))
        return gradient * (chosen != self.padding)

    def jacobian(self, gradient: Tensor) -> Tensor:
        chosen = self._samples_first(self.captured.unsqueeze(-1))
        table = gradient.new_zeros(len(gradient), *self.view.shape)
        return table.scatter_add_(1, chosen.expand_as(gradient), gradient).flatten(1)


@final
@dataclass
class ElementwiseUse(DirectUse):
    """p broadcast against a tensor: added to it (`captured` is empty), or multiplied with it."""

    def turned(self, gradient: Tensor) -> Tensor:
        if self.captured.numel():
            gradient = gradient * self.captured
        split = gradient.unflatten(self.sample_axis, (self.samples, -1)).movedim(self.sample_axis, 0)
        return _scaled(split, self.view.scale)

    def jacobian(self, gradient: Tensor) -> Tensor:
        shape = [1] * (len(self.output_shape) - len(self.view.shape)) + list(self.view.shape)
        summed = [axis + 1 for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis + 1] > 1]
        return (gradient.sum(summed) if summed else gradient).reshape(self.samples, -1)


@final
@dataclass
class BatchNormalizationUse(DirectUse):
    """The scale, one number per channel, of a batch normalisation by stored statistics: (x - mean) / deviation."""

    mean: Tensor = field(default_factory=lambda: torch.empty(0))
    deviation: Tensor = field(default_factory=lambda: torch.empty(0))

    def turned(self, gradient: Tensor) -> Tensor:
        """Already summed over positions: (n, channels)."""
        beyond = tuple(range(2, gradient.ndim))
        product = gradient * self.captured
        if beyond:
            product, gradient = product.sum(beyond), gradient.sum(beyond)
        return (product - gradient * self.mean) * (self.view.scale / self.deviation)

    def jacobian(self, gradient: Tensor) -> Tensor:
        return gradient


def _scaled(tensor: Tensor, scale: float) -> Tensor:
    return tensor if scale == 1.0 else tensor * scale
