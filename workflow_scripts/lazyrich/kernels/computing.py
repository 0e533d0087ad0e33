"""The kernels of a run, computed into their store by one job."""

from collections.abc import Callable

import numpy as np
import torch

from lazyrich.artifacts import Store, Unit
from lazyrich.devices import describe as describe_device
from lazyrich.kernels.backoff import Halving, Tile
from lazyrich.kernels.shards import KernelShards
from lazyrich.kernels.wanted import WantedKernel, WantedKernels
from lazyrich.plugins import load
from lazyrich.progress import Progress
from lazyrich.tiling import Place


def compute_kernels(
    wanted: WantedKernels, store: Store, device: torch.device, say: Callable[[str], None], title: str
) -> list[Unit]:
    """Every wanted kernel that is not complete, tile by tile; the complete units."""
    units = {kernel: store.unit(kernel.unit, kernel.fingerprint) for kernel in wanted.units}
    work = {kernel: unit for kernel, unit in units.items() if not unit.complete}
    announce(wanted, len(work), say)
    progress = Progress(title, len(wanted.tiling.tiles) * max(1, len(work)), "tiles")
    for kernel, unit in work.items():
        KernelShards(unit, wanted.tiling).create(wanted.options["dtype"])
        compute_tiles(wanted, kernel, unit, wanted.tiling.tiles, device, say, progress)
        finish(wanted, unit, describe_device(device))
    return list(units.values())


def announce(wanted: WantedKernels, count: int, say: Callable[[str], None]) -> None:
    say(f"{count} kernels to compute, {len(wanted.units) - count} computed before")
    for text in wanted.left_out:
        say(text)


def compute_tiles(
    wanted: WantedKernels,
    kernel: WantedKernel,
    unit: Unit,
    tiles: list[Place],
    device: torch.device,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """Those of ``tiles`` that the unit does not hold yet; in halves where memory runs out."""
    compute = Halving(_tile(wanted, kernel, device), say)
    rows, columns = wanted.inputs(kernel)
    KernelShards(unit, wanted.tiling).write(tiles, compute, rows, columns, progress.advance)


def finish(wanted: WantedKernels, unit: Unit, device: str) -> None:
    """Mark a kernel complete; ``rows`` and ``columns`` say which points it is between."""
    rows = wanted.options["rows"]
    unit.finish(device, rows=rows, columns=wanted.options.get("columns") or rows)


def _tile(wanted: WantedKernels, kernel: WantedKernel, device: torch.device) -> Tile:
    """The object that the options name, for one network. Inputs go to the device a tile at a time."""
    dtype = getattr(torch, wanted.options["dtype"])
    compute = load("kernels", wanted.options["object"]).compute
    model = wanted.run.model(kernel.member, kernel.step).to(device, dtype)

    def tile(rows: torch.Tensor, columns: torch.Tensor | None) -> np.ndarray:
        return compute(
            model, rows.to(device, dtype), None if columns is None else columns.to(device, dtype), wanted.options
        )

    return tile
