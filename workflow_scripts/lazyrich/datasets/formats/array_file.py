"""A user's own arrays: an .npz file or a Zarr folder, with names such as ``inputs``, ``labels``, ``train/inputs``."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection
from pathlib import Path

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import shown
from lazyrich.datasets.formats.npz import NpzFile
from lazyrich.datasets.formats.zarr_folder import ZarrFolder

#: All arrays of a file together, in bytes.
SIZE_LIMIT = 8 * 2**30
#: Values that are checked at a time.
_BLOCK = 2**22


def read_arrays(path: Path | str, allowed: Collection[str]) -> dict[str, np.ndarray]:
    """All arrays of a file, row-major, whose names are all in ``allowed``.

    Values are integers or finite floats of up to 8 bytes, at most :data:`SIZE_LIMIT` bytes together. ``DataFileError`` for
    anything else, among it a name that is not allowed, with the nearest that is.
    """
    source: NpzFile | ZarrFolder = ZarrFolder(path) if Path(path).is_dir() else NpzFile(path)
    total = 0
    for name in source.names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            meant = f"did you mean {near[0]!r}?" if near else f"allowed are {', '.join(allowed)}"
            raise DataFileError(path, f"has an array named {shown(name)}, which is not known; {meant}")
        shape, dtype = source.header(name)
        if dtype.kind not in "iuf":
            raise DataFileError(path, f"{name} is of dtype {dtype}; save it as integers or floats")
        if 0 in shape:
            raise DataFileError(path, f"{name} is empty, of shape {shape}; leave it out or give it values")
        total += math.prod(shape) * dtype.itemsize
    if total > SIZE_LIMIT:
        raise DataFileError(path, f"holds {total} bytes of arrays; at most {SIZE_LIMIT} are allowed: save less")
    arrays = {name: source.array(name) for name in source.names}
    for name, array in arrays.items():
        flat = array.reshape(-1)
        for start in range(0, flat.size if array.dtype.kind == "f" else 0, _BLOCK):
            wrong = np.flatnonzero(~np.isfinite(flat[start : start + _BLOCK]))
            if len(wrong):
                place = tuple(map(int, np.unravel_index(start + wrong[0], array.shape)))
                raise DataFileError(path, f"{name}{list(place)} is {array[place]}; give finite numbers only")
    return arrays
