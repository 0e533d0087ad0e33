"""What jobs ask for: memory and time, from the sizes of what they compute.

A part of :class:`lazyrich.plan.Plan`, and like it imported by the Snakefile: the standard library, PyYAML and jsonschema only.
"""

import math
from collections.abc import Callable

from lazyrich import sweeps
from lazyrich.tiling import Tiling, band_count

FLOAT_BYTES = {"float32": 4, "float64": 8}

#: Entries of a kernel in a minute of a slow core, with room: 10 microseconds each, about 1e5 floating-point operations.
ENTRIES_A_MINUTE = 6_000_000


class ResourcePlan:
    """Megabytes and minutes, both growing with the attempt. ``run`` tells the run of a job, ``named`` the kernels that its metrics read."""

    def __init__(self, run: Callable[..., sweeps.Run], named: Callable[..., list[str]]) -> None:
        self._run, self._named = run, named

    def _kernel(self, wildcards) -> dict:
        return self._run(wildcards).spec["kernels"][wildcards.kernel]

    def kernel_memory(self, wildcards, attempt: int) -> int:
        """Megabytes for a job that holds a tile at a time, with its halves, beside the network and the points."""
        options = self._kernel(wildcards)
        tile = options["shard"] ** 2 * FLOAT_BYTES[options["dtype"]]
        return attempt * (4000 + 8 * tile // 10**6)

    def kernel_runtime(self, wildcards, attempt: int) -> int:
        """Minutes for a job that computes a whole kernel, or one of its bands (where there is a wildcard ``band``), of every member."""
        options = self._kernel(wildcards)
        tiling = Tiling.of(options)
        tiles = tiling.bands(band_count(options))[int(getattr(wildcards, "band", 0))]
        kernels = sum(self.kernel_counts(wildcards).values())
        return attempt * (120 + kernels * tiling.entries(tiles) // ENTRIES_A_MINUTE)

    def kernel_counts(self, wildcards) -> dict[str, int]:
        """Member -> kernels of it at most, one a checkpoint; those that members share count for each."""
        spec, at = self._run(wildcards).spec, self._kernel(wildcards)["at"]
        found = {}
        for name, member in sweeps.members(spec).items():
            training = sweeps.put(spec, member["set"])["training"]
            grid = _grid_points(**training["checkpoints"], last=training["max_steps"])
            found[name] = 2 + grid if "all" in at else len(at)
        return found

    def spectrum_memory(self, wildcards, attempt: int) -> int:
        """Megabytes: six matrices in float64 where all eigenpairs are computed, else one, and that at most within the budget of 2 GiB."""
        spec = self._run(wildcards).spec
        options = spec["spectra"][wildcards.spectrum]
        matrix = 8 * Tiling.of(spec["kernels"][options["kernel"]]).rows ** 2
        held = 6 * matrix if options["k"] is None else min(2 * matrix, 2**32)
        return attempt * (4000 + held // 10**6)

    def metrics_memory(self, wildcards, attempt: int) -> int:
        """Megabytes: three matrices in float64 of the largest kernel that is read, as regression with it takes, beside networks and points."""
        kernels = self._run(wildcards).spec["kernels"]
        tilings = [Tiling.of(kernels[name]) for name in self._named(wildcards, "kernel")]
        entries = max((tiling.rows * tiling.columns for tiling in tilings), default=0)
        return attempt * (4000 + 24 * entries // 10**6)


def _grid_points(per_decade: int, first: int, last: int) -> int:
    """Steps of a logarithmic grid (see :func:`lazyrich.training.steps.logarithmic`), at most."""
    return math.ceil(per_decade * math.log10(last / first)) + 1 if per_decade and last >= first else 0
