"""Kernels of a run's checkpoints, tile by tile into a sharded store; and reading them back."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import zarr

from lazyrich.artifacts import Store, Unit, read_array, read_manifest, read_unit
from lazyrich.datasets.reading import Dataset
from lazyrich.devices import describe as describe_device
from lazyrich.fingerprints import fingerprint
from lazyrich.plugins import load
from lazyrich.progress import Progress
from lazyrich.training.reading import TrainedRun

#: Values (rows) x (columns) of one tile.
Tile = Callable[[torch.Tensor, torch.Tensor | None], np.ndarray]

#: Edge of a compressed chunk inside a shard.
CHUNK = 256


def compute_kernels(
    options: dict,
    code: str,
    run: TrainedRun,
    dataset: Dataset,
    store: Store,
    device: torch.device,
    say: Callable[[str], None],
    title: str,
) -> tuple[list[Unit], list[dict]]:
    """The kernel of every member at every wanted checkpoint.

    Members that share weights and inputs (an initialisation, say) share one unit: units are named for the first that needs them.
    A unit's fingerprint leaves out at which checkpoints kernels are wanted, so that asking for more keeps those that exist.
    Returns the units, and which unit holds the kernel of (member, stage). Diverged members have none.
    """
    units: dict[str, Unit] = {}
    entries = []
    work = []
    determined_by = {option: value for option, value in options.items() if option != "at"}
    for name in run.members:
        if run.status(name) == "diverged":
            continue
        for stage in options["at"]:
            step = run.step(name, stage)
            weights = _digest(run.parameters(name, step))
            key = fingerprint(determined_by, code, run.model_spec(name), weights, dataset.fingerprint(run.seed(name)))
            if key not in units:
                units[key] = store.unit(f"{name}.{stage}", key)
                if not units[key].complete:
                    work.append((units[key], name, step))
            entries.append({"member": name, "stage": stage, "step": step, "unit": units[key].name})
    say(f"{len(work)} kernels to compute, {len(units) - len(work)} computed before")
    progress = Progress(title, len(tiles(options)) * max(1, len(work)), "tiles")
    compute = load("kernels", options["object"]).compute
    for unit, name, step in work:
        model = run.model(name, step).to(device, getattr(torch, options["dtype"]))

        def tile(rows: torch.Tensor, columns: torch.Tensor | None, model: torch.nn.Module = model) -> np.ndarray:
            return compute(model, rows, columns, options)

        rows = _gather(dataset, run.seed(name), options["rows"]).to(device, getattr(torch, options["dtype"]))
        columns = _gather(dataset, run.seed(name), options["columns"]).to(rows) if options.get("columns") else None
        unit.begin()
        write_tiles(unit, tile, rows, columns, options, progress)
        unit.finish(describe_device(device), rows=options["rows"], columns=options.get("columns") or options["rows"])
    return list(units.values()), entries


def tiles(options: dict) -> list[tuple[int, int]]:
    """The tiles to compute, as (row, column) numbers; only the lower half where rows and columns are the same."""
    edge = options["shard"]
    rows = -(-sum(options["rows"].values()) // edge)
    if not options.get("columns"):
        return [(i, j) for i in range(rows) for j in range(i + 1)]
    return [(i, j) for i in range(rows) for j in range(-(-sum(options["columns"].values()) // edge))]


def write_tiles(
    unit: Unit, tile: Tile, rows: torch.Tensor, columns: torch.Tensor | None, options: dict, progress: Progress
) -> None:
    """Compute the tiles that are not in the store yet. A tile is a shard: one file, which appears whole or not at all.

    Tiles never written read as NaN, so a hole cannot be taken for zeros.
    """
    shape = (len(rows), len(rows if columns is None else columns))
    edge = options["shard"]
    shards = tuple(min(edge, -(-size // CHUNK) * CHUNK) for size in shape)
    array = unit.require(
        "kernel", shape=shape, dtype=options["dtype"], chunks=tuple(CHUNK if size % CHUNK == 0 else size for size in shards),
        shards=shards, fill_value=float("nan"), dimension_names=("row", "column"),
    )  # fmt: skip
    for i, j in tiles(options):
        block = (slice(i * edge, min((i + 1) * edge, shape[0])), slice(j * edge, min((j + 1) * edge, shape[1])))
        mirrored = columns is None and i != j
        if not _written(unit, i, j):
            diagonal = columns is None and i == j
            values = tile(rows[block[0]], None if diagonal else (rows if columns is None else columns)[block[1]])
            if not np.isfinite(values).all():
                raise ArithmeticError(
                    f"kernel {unit.name}, tile ({i}, {j}): values that are not finite; try `dtype: float64`"
                )
            array[block] = values
        if mirrored and not _written(unit, j, i):
            array[block[1], block[0]] = np.asarray(array[block]).T
        progress.advance()


def _written(unit: Unit, i: int, j: int) -> bool:
    return (unit.path / "kernel" / "c" / str(i) / str(j)).exists()


def _gather(dataset: Dataset, seed: int, counts: dict[str, int]) -> torch.Tensor:
    """The first samples of each split, one after the other."""
    return torch.cat([dataset.split(seed, split).inputs[:count] for split, count in counts.items()])


def _digest(vector: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(vector).tobytes()).hexdigest()


class StoredKernels:
    """The kernels of a run, as a manifest names them."""

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)
        self.name = manifest_path.stem
        self._units = {(entry["member"], entry["stage"]): entry["unit"] for entry in self.manifest["kernels"]}

    def unit(self, member: str, stage: str) -> str:
        return self._units[member, stage]

    def stages(self, member: str) -> dict[str, int]:
        """Stage -> step at which there is a kernel of this member."""
        return {entry["stage"]: entry["step"] for entry in self.manifest["kernels"] if entry["member"] == member}

    def group(self, unit: str) -> zarr.Group:
        return read_unit(self.path, self.manifest, unit)

    def matrix(
        self, member: str, stage: str, rows: dict[str, int] | None = None, columns: dict[str, int] | None = None
    ) -> np.ndarray:
        """The kernel between the first samples of splits, e.g. ``rows={"test": 512}, columns={"train": 128}``; all by default.

        ``KeyError`` if the kernel does not hold as many samples.
        """
        unit = self.unit(member, stage)
        info = self.manifest["units"][unit]["info"]
        block = (_segment(info["rows"], rows), _segment(info["columns"], columns))
        return read_array(self.group(unit), "kernel", block)


def _segment(held: dict[str, int], wanted: dict[str, int] | None) -> slice:
    if wanted is None:
        return slice(None)
    ((split, count),) = wanted.items()
    if held.get(split, 0) < count:
        raise KeyError(f"the kernel holds {held}, not {count} samples of {split!r}")
    splits = list(held)
    start = sum(held[name] for name in splits[: splits.index(split)])
    return slice(start, start + count)
