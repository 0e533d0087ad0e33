"""The inputs of a case, one NPZ file that every worker reads. NumPy only, so that every environment has it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.cases import Case

Data = Mapping[str, NDArray]
WEIGHTS = "weights/"


def read(path: str) -> dict[str, NDArray]:
    with np.load(path) as archive:
        return dict(archive)


def weights_of(data: Data) -> dict[str, NDArray[np.float32]]:
    """The network's weights, by their names in torch's state dictionary."""
    return {name.removeprefix(WEIGHTS): value for name, value in data.items() if name.startswith(WEIGHTS)}


def sizes(case: Case) -> list[int]:
    """The `count` training-set sizes, equally spaced up to n, at which predictions for every size are looked at."""
    return [case.n * (k + 1) // case.count for k in range(case.count)]


def ridges(case: Case) -> list[float]:
    """`count` ridges from 1e-4 to 1, for a kernel whose mean diagonal is 1."""
    return list(np.geomspace(1e-4, 1.0, case.count))
