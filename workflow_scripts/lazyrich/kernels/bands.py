"""The kernels of a run, computed into one store by several jobs side by side, on one machine or many that share a file system.

One job prepares the store (:func:`prepare_store`), each of the others computes its band of tiles in every kernel
(:func:`compute_band`), and a last one checks the whole and completes it (:func:`assemble_kernels`). Bands write different shards
and nothing else, so they need no lock between them. How many bands there are is no property of the result.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from lazyrich.artifacts import ArtifactError, Store, Unit, read_manifest, write_json
from lazyrich.devices import describe as describe_device
from lazyrich.kernels.computing import announce, compute_tiles, finish
from lazyrich.kernels.shards import KernelShards
from lazyrich.kernels.wanted import WantedKernels
from lazyrich.progress import Progress


def kernel_manifest(record: Path) -> Path:
    """The manifest of the kernel that a record (``<kernel>.bands/band-3.json``) is a part of."""
    return record.parent.with_suffix(".json")


def prepare_store(wanted: WantedKernels, store: Store, record: Path) -> None:
    """Make the unit of every wanted kernel, its array without any shard. What earlier attempts left is kept."""
    for kernel in wanted.units:
        unit = store.unit(kernel.unit, kernel.fingerprint)
        if not unit.complete:
            KernelShards(unit, wanted.tiling).create(wanted.options["dtype"])
    write_json(record, {"stage": "kernel store", "store": store.path.name, "units": _fingerprints(wanted)})


def compute_band(
    wanted: WantedKernels,
    band: int,
    bands: int,
    record: Path,
    device: torch.device,
    say: Callable[[str], None],
    title: str,
) -> None:
    """The tiles of band ``band`` of ``bands``, in every wanted kernel that is not complete; ``record`` says who computed them.

    ``ArtifactError`` if the store has not been prepared for these kernels.
    """
    store = kernel_manifest(record).with_suffix(".zarr")
    units = {kernel: Unit(store, kernel.unit, kernel.fingerprint) for kernel in wanted.units}
    for kernel, unit in units.items():
        if unit.attributes.get("fingerprint") != kernel.fingerprint:
            raise ArtifactError(f"{unit.path} is not prepared for this kernel; delete {record.parent} and rerun")
    work = {kernel: unit for kernel, unit in units.items() if not unit.complete}
    tiles = wanted.tiling.bands(bands)[band]
    announce(wanted, len(work), say)
    progress = Progress(title, len(tiles) * max(1, len(work)), "tiles")
    for kernel, unit in work.items():
        compute_tiles(wanted, kernel, unit, tiles, device, say, progress)
    content = {"stage": "kernel band", "band": band, "bands": bands, "device": describe_device(device)}
    write_json(record, {**content, "units": _fingerprints(wanted)})


def assemble_kernels(
    wanted: WantedKernels, records: Sequence[Path], store: Store, say: Callable[[str], None]
) -> list[Unit]:
    """Check what the bands have computed, and complete it; the complete units.

    ``ArtifactError`` if a band is missing or computed other kernels, or a shard is missing, not finite or not the mirror image of
    its counterpart. The records of the bands are then removed: the next run computes what is missing.
    """
    units = [Unit(store.path, kernel.unit, kernel.fingerprint) for kernel in wanted.units]
    work = [unit for unit in units if not unit.complete]
    say(f"{len(work)} kernels to check, {len(units) - len(work)} complete before")
    try:
        devices = _devices(wanted, records) if work else ""
        for unit in work:
            KernelShards(unit, wanted.tiling).verify()
            finish(wanted, unit, devices)
    except ArtifactError as error:
        for record in records:
            record.unlink(missing_ok=True)
        raise ArtifactError(f"{error}; run the workflow again to compute what is not there") from None
    return units


def _devices(wanted: WantedKernels, records: Sequence[Path]) -> str:
    """On what the bands were computed, after a check that all bands are there and computed the wanted kernels."""
    found = [read_manifest(path) for path in records]
    numbers = [(record["band"], record["bands"]) for record in found]
    if sorted(numbers) != [(band, len(found)) for band in range(len(found))]:
        raise ArtifactError(f"the records {json.dumps([path.name for path in records])} are not those of all bands")
    for path, record in zip(records, found, strict=True):
        if record["units"] != _fingerprints(wanted):
            raise ArtifactError(f"{path} is the record of other kernels than those that are wanted")
    return "; ".join(sorted({record["device"] for record in found}))


def _fingerprints(wanted: WantedKernels) -> dict[str, str]:
    return {kernel.unit: kernel.fingerprint for kernel in wanted.units}
