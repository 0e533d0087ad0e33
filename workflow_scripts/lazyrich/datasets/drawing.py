"""Drawing a dataset into its store, one unit a draw."""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from lazyrich import seeding
from lazyrich.artifacts import Store, Unit, open_array
from lazyrich.datasets.files.record import NONE, Files
from lazyrich.datasets.pools.pool import Pools
from lazyrich.datasets.pools.processing import class_names, processed_shape, splits_of
from lazyrich.datasets.splits import SPLITS
from lazyrich.fingerprints import fingerprint
from lazyrich.plugins import load

#: Bytes in a chunk of a stored array, at most: readers of a few samples need not read all.
CHUNK = 64 * 2**20


class Drawer:
    """Draws a dataset. What it is made from is read once, whatever the number of draws, and only if a draw is wanted.

    A module of a synthetic dataset defines ``generate(spec, generator)``, which returns what :meth:`draw` does. One whose samples exist
    already defines ``read(spec, files)``, which returns :class:`lazyrich.datasets.pools.pool.Pools`, and ``outline(spec)``.
    """

    def __init__(self, spec: Mapping[str, Any], files: Files = NONE) -> None:
        self.spec, self._files = spec, files
        self._module: ModuleType = load("datasets", spec["generator"])
        self._read: Pools | None = None

    def draw(self, generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
        """Arrays by split and name: ``train``, ``test`` and ``probe``, each with ``inputs``, ``targets`` (and ``labels``)."""
        if hasattr(self._module, "read"):
            return splits_of(self.spec, generator, self._pools())
        return self._module.generate(self.spec, generator)

    def shape(self) -> tuple[tuple[int, ...], int] | None:
        """The shape of an input and the number of outputs, without reading a file; None where the files have to say it."""
        if hasattr(self._module, "outline"):
            outline = self._module.outline(self.spec)
            return outline and processed_shape(self.spec, *outline)
        few = {**self.spec, **dict.fromkeys(SPLITS, 1)}
        train = self._module.generate(few, np.random.default_rng(0))["train"]
        return train["inputs"].shape[1:], train["targets"].shape[1]

    def describe(self) -> dict[str, Any]:
        """What there is to say of every draw: the names of the ``classes`` and the digests of the ``files``, if there are any."""
        names = class_names(self.spec, self._pools()) if hasattr(self._module, "read") else []
        said = {"classes": names, "files": self._files.digests}
        return {key: value for key, value in said.items() if value}

    def _pools(self) -> Pools:
        if self._read is None:
            self._files.check()  # nothing is parsed before its checksum is known to be right
            self._read = self._module.read(self.spec, self._files)
        return self._read


def draw_dataset(spec: dict, code: str, store: Store, files: Files = NONE) -> list[Unit]:
    """Make every draw that is not there yet: groups ``train``, ``test`` and ``probe`` with ``inputs``, ``targets`` (and ``labels``).

    A draw's fingerprint covers the digests of the ``files`` that the dataset is made from. It leaves out how many draws there are, so
    that asking for more keeps those that exist.
    """
    drawer = Drawer(spec, files)
    own = {key: value for key, value in spec.items() if key != "draws"}
    determined_by = [own, files.digests] if files else [own]
    units = []
    for draw in range(spec["draws"]):
        unit = store.unit(f"draw-{draw}", fingerprint(*determined_by, draw, code))
        units.append(unit)
        if unit.complete:
            continue
        unit.begin()
        for split, arrays in drawer.draw(seeding.numpy_generator("dataset", spec["dataset"], draw)).items():
            _check(spec["dataset"], split, arrays)
            for name, values in arrays.items():
                unit.array(f"{split}/{name}", values, _dimensions(name, values), chunk=CHUNK)
        unit.finish("cpu", **drawer.describe())
    return units


def shape(unit: Unit) -> tuple[list[int], int]:
    """The shape of one input, and the number of outputs."""
    group = unit.group
    return list(open_array(group, "train/inputs").shape[1:]), open_array(group, "train/targets").shape[1]


def _dimensions(name: str, values: np.ndarray) -> tuple[str, ...]:
    if name in ("mean", "deviation"):
        return ("channel",)
    if name == "inputs":
        return ("sample", "feature") if values.ndim == 2 else ("sample", "channel", "height", "width")
    return ("sample", "output")[: values.ndim]


def _check(dataset: str, split: str, arrays: dict[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"dataset {dataset!r}, split {split!r}: {name} holds values that are not finite")
