"""What the kernels of a configuration cost before anything is run: tiles, jobs, memory, disk and operations."""

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Protocol

import torch

from lazyrich import paths, sweeps
from lazyrich.artifacts import read_manifest
from lazyrich.datasets.drawing import Drawer
from lazyrich.datasets.splits import SPLITS
from lazyrich.fingerprints import canonical
from lazyrich.plan import Plan
from lazyrich.plan_resources import FLOAT_BYTES
from lazyrich.plugins import load
from lazyrich.tiling import Tiling, band_count

#: Bytes of a job before it computes anything: interpreter, torch, zarr.
PROCESS = 1.0e9

#: Bytes that a kernel takes at most beyond its points and what it returns.
WORKSPACE = 2.0**30


class Cost(Protocol):
    """Operations of a kernel's contraction and of its forward and backward passes, and the bytes that a sample holds meanwhile."""

    @property
    def contraction_flops(self) -> float: ...
    @property
    def pass_flops(self) -> float: ...
    @property
    def bytes_per_sample(self) -> float: ...


#: The cost of (model, input_shape, n1, n2, outputs, symmetric).
CostOf = Callable[[torch.nn.Module, tuple[int, ...], int, int, int, bool], Cost]

#: The shape of one input, and the number of outputs.
Shape = tuple[tuple[int, ...], int]


@dataclass(frozen=True)
class KernelPlan:
    """What one kernel of one run takes, for all its members at all their checkpoints, at most."""

    name: str
    matrices: int
    rows: int
    columns: int
    tiles: int
    """Tiles of one matrix."""
    bands: int
    asked: float
    """Bytes of memory that a job asks for."""
    memory: float
    """Bytes of memory that a job is expected to take."""
    disk: float
    """Bytes of the store, without what is set aside of earlier versions."""
    operations: float
    """Floating-point operations in units of float32: one in float64 counts twice."""

    @property
    def jobs(self) -> int:
        """One, or the bands with the job that prepares their store and the one that checks it."""
        return 1 if self.bands == 1 else self.bands + 2

    def hours(self, rate: float) -> float:
        """Hours at so many operations a second."""
        return self.operations / rate / 3600


def plan_kernels(plan: Plan, cost_of: CostOf) -> list[KernelPlan]:
    """Every kernel of every run. No network is initialised and no dataset is drawn.

    All are upper bounds: members that share an initialisation share its kernel, training may end early, and the operations are
    those of the empirical NTK, which contracts all layers.
    """
    runs = [run for found in plan.runs.values() for run in found.values()]
    shapes = {name: dataset_shape(plan, name) for name in {run.spec["dataset"] for run in runs if run.spec["kernels"]}}
    return [
        _plan_kernel(plan, run, name, shapes[run.spec["dataset"]], cost_of)
        for run in runs
        for name in run.spec["kernels"]
    ]


def dataset_shape(plan: Plan, name: str) -> Shape:
    """Shapes of a dataset: from its manifest if it is there, else from what is known of it before it is drawn.

    ``ValueError`` if that is nothing, as of files of the user's own.
    """
    manifest = Path(plan.path(paths.dataset(name)))
    if manifest.exists():
        content = read_manifest(manifest)
        return tuple(content["input_shape"]), content["outputs"]
    shape = Drawer(plan.configuration.datasets[name]).shape()
    if shape is None:
        raise ValueError(
            f"nobody knows the shape of dataset {name!r} before it is drawn; draw it first: snakemake {manifest}"
        )
    return shape


def _plan_kernel(plan: Plan, run: sweeps.Run, name: str, shape: Shape, cost_of: CostOf) -> KernelPlan:
    wildcards = SimpleNamespace(experiment=run.experiment, run=run.name, kernel=name)
    options, dataset = run.spec["kernels"][name], plan.configuration.datasets[run.spec["dataset"]]
    tiling, number = Tiling.of(options), FLOAT_BYTES[options["dtype"]]
    networks = _networks(run, plan.resources.kernel_counts(wildcards))
    costs = {network: _matrix_cost(json.loads(network), shape, tiling, cost_of) for network in networks}
    matrices = networks.total()
    points = 4 * math.prod(shape[0]) * sum(dataset[split] for split in SPLITS)
    workspace = min(WORKSPACE, 2 * tiling.edge * max(held for _, held in costs.values()))
    return KernelPlan(
        name=f"{run.experiment}/{run.name}/{name}",
        matrices=matrices,
        rows=tiling.rows,
        columns=tiling.columns,
        tiles=len(tiling.tiles),
        bands=band_count(options),
        asked=1e6 * plan.resources.kernel_memory(wildcards, attempt=1),
        memory=PROCESS + 2 * points + 3 * number * tiling.edge**2 + workspace,
        disk=float(number) * tiling.rows * tiling.columns * matrices,
        operations=sum(costs[network][0] * count for network, count in networks.items()) * number / 4,
    )


def _networks(run: sweeps.Run, counts: dict[str, int]) -> Counter[str]:
    """The different networks of a run (their specification, canonical), and how many kernels there are of each."""
    found: Counter[str] = Counter()
    for member, entry in sweeps.members(run.spec).items():
        found[canonical(sweeps.put(run.spec, entry["set"])["model"])] += counts[member]
    return found


def _matrix_cost(model: dict, shape: Shape, tiling: Tiling, cost_of: CostOf) -> tuple[float, float]:
    """Operations of one matrix, tile by tile as it is computed, and bytes that a sample holds meanwhile."""
    input_shape, outputs = shape
    with torch.device("meta"):
        network = load("models", model["architecture"]).build(model, input_shape, outputs)
    sizes = Counter(_tile_size(tiling, tile) for tile in tiling.tiles)
    costs = {size: cost_of(network, input_shape, *size[:2], outputs, size[2]) for size in sizes}
    operations = sum((costs[size].contraction_flops + costs[size].pass_flops) * count for size, count in sizes.items())
    return operations, max(cost.bytes_per_sample for cost in costs.values())


def _tile_size(tiling: Tiling, tile: tuple[int, int]) -> tuple[int, int, bool]:
    rows, columns = tiling.block(tile)
    return rows.stop - rows.start, columns.stop - columns.start, tiling.symmetric and tile[0] == tile[1]
