"""Drawing a dataset into its store, one unit a draw."""

import numpy as np

from lazyrich import seeding
from lazyrich.artifacts import Store, Unit, open_array
from lazyrich.fingerprints import fingerprint
from lazyrich.plugins import load


def draw_dataset(spec: dict, code: str, store: Store) -> list[Unit]:
    """Make every draw that is not there yet: groups ``train``, ``test`` and ``probe`` with ``inputs``, ``targets`` (and ``labels``).

    A draw's fingerprint leaves out how many draws there are, so that asking for more keeps those that exist.
    """
    generate = load("datasets", spec["generator"]).generate
    determined_by = {key: value for key, value in spec.items() if key != "draws"}
    units = []
    for draw in range(spec["draws"]):
        unit = store.unit(f"draw-{draw}", fingerprint(determined_by, draw, code))
        units.append(unit)
        if unit.complete:
            continue
        unit.begin()
        for split, arrays in generate(spec, seeding.numpy_generator("dataset", spec["dataset"], draw)).items():
            _check(spec["dataset"], split, arrays)
            for name, values in arrays.items():
                unit.array(f"{split}/{name}", values, _dimensions(name, values))
        unit.finish("cpu")
    return units


def shape(unit: Unit) -> tuple[list[int], int]:
    """The shape of one input, and the number of outputs."""
    group = unit.group
    return list(open_array(group, "train/inputs").shape[1:]), open_array(group, "train/targets").shape[1]


def _dimensions(name: str, values: np.ndarray) -> tuple[str, ...]:
    if name == "inputs":
        return ("sample", "feature") if values.ndim == 2 else ("sample", "channel", "height", "width")
    return ("sample", "output")[: values.ndim]


def _check(dataset: str, split: str, arrays: dict[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        if not np.isfinite(values).all():
            raise ValueError(f"dataset {dataset!r}, split {split!r}: {name} holds values that are not finite")
