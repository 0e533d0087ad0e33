"""Reading the kernels of a run back from their store."""

from pathlib import Path

import numpy as np
import zarr

from lazyrich.artifacts import open_array, read_array, read_manifest, read_unit


class StoredKernels:
    """The kernels of a run, as a manifest names them."""

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)
        self.name = manifest_path.stem
        entries = self.manifest["kernels"]
        # A kernel is found by its step, too, where that is the first or the last of its member.
        self._units = {(entry["member"], f"step-{entry['step']}"): entry["unit"] for entry in entries}
        self._units |= {(entry["member"], entry["stage"]): entry["unit"] for entry in entries}

    def unit(self, member: str, stage: str) -> str:
        """The unit that holds the kernel at ``initial``, ``final`` or ``step-<number>``; ``KeyError`` if there is none."""
        if (member, stage) not in self._units:
            raise KeyError(f"no kernel of {member} at {stage!r}; there are: {', '.join(self.stages(member)) or 'none'}")
        return self._units[member, stage]

    def stages(self, member: str) -> dict[str, int]:
        """Stage -> step at which there is a kernel of this member."""
        return {entry["stage"]: entry["step"] for entry in self.manifest["kernels"] if entry["member"] == member}

    def group(self, unit: str) -> zarr.Group:
        return read_unit(self.path, self.manifest, unit)

    def array(self, member: str, stage: str) -> zarr.Array:
        """The kernel as it is stored, to be read in bands."""
        return open_array(self.group(self.unit(member, stage)), "kernel")

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
