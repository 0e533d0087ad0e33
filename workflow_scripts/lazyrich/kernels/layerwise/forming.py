"""Per-sample gradients J = sum_t g_t x_t^T of a weight, formed part by part."""

from __future__ import annotations

import torch
from torch import Tensor

from lazyrich.kernels.layerwise.uses import WeightUse, Window

#: Numbers of patches laid out at once: 4 MiB in float32, so that they are still in the cache when they are multiplied.
PATCHES = 2**20
#: Rows whose lengths are multiples of this (a page, in float32) fall on the same few lines of a cache.
ALIASING = 1024


def cuts(use: WeightUse, entries: int) -> list[tuple[Window, slice]]:
    """Parts of a weight of at most about `entries` entries in each group: some of its inputs, some of its outputs.

    Of a weight whose parts would alias in the cache, the outputs are cut into uneven parts: products of such rows take up to
    twice the time.
    """
    _, o, _ = use.extent
    windows = use.windows(max(1, entries // o))
    inputs = windows[0].inputs
    parts = -(-o // max(1, min(o, entries // inputs)))
    while parts < min(o, 8) and -(-o // parts) * inputs % ALIASING == 0:
        parts += 1
    step = -(-o // parts)
    return [(window, slice(first, min(first + step, o))) for window in windows for first in range(0, o, step)]


def form(
    use: WeightUse, kept: Tensor, gradients: Tensor, window: Window, outputs: slice, room: Tensor | None = None
) -> Tensor:
    """J (n, C, entries of the part), the entries in the order (group, output, input of the window).

    Args:
        kept: what entered, as `use.kept` gives it, of n samples.
        gradients: g as `use.turned` gives it, (n, C, ...).
        room: memory for the result.
    """
    n, classes = gradients.shape[:2]
    groups, t, size = use.extent[0], use.positions, outputs.stop - outputs.start
    part = use.outputs(gradients)[:, :, :, outputs].transpose(1, 2)  # (n, q, C, o, T)
    numbers = n * groups * classes * size * window.inputs
    memory = kept.new_empty(numbers) if room is None else room[:numbers]
    formed = memory.view(n, groups, classes * size, window.inputs)
    chunk = max(1, PATCHES // (groups * window.inputs * t))
    for start in range(0, n, chunk):
        samples = slice(start, start + chunk)
        torch.bmm(
            part[samples].reshape(-1, classes * size, t),
            use.inputs(kept[samples], window).flatten(0, 1),
            out=formed[samples].flatten(0, 1),
        )
    return formed.unflatten(2, (classes, size)).transpose(1, 2).reshape(n, classes, -1)
