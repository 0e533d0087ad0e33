"""Arrays of one's own, from an .npz file or a Zarr group.

One pool: ``inputs`` (n, d) or (n, C, H, W), and ``labels`` (n,), whole numbers from 0, or ``targets`` (n, outputs) or (n,). Or two,
with names that begin with ``train/`` and ``test/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.array_file import read_arrays
from lazyrich.datasets.pools.pool import Pool, Pools

PARTS = ("inputs", "labels", "targets")
NAMES = (*PARTS, *(f"{role}/{part}" for role in ("train", "test") for part in PARTS))

#: Classes at most: a label far beyond is a mistake, such as a target taken for a label.
CLASSES = 10_000


def outline(spec: Mapping[str, Any]) -> None:
    """Nothing is known before the file is there."""


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """The pool or pools of the file. Whole numbers of one byte are pixels, 255 being white; other numbers are taken as they are."""
    path = files[spec["path"]]
    arrays = read_arrays(path, NAMES)
    roles = {name.split("/")[0] for name in arrays if "/" in name}
    if not roles:
        pools = {"train": _pool(path, "", arrays, spec)}
    elif "train" in roles and not set(arrays) & set(PARTS):
        pools = {role: _pool(path, f"{role}/", arrays, spec) for role in sorted(roles)}
    else:
        raise DataFileError(path, f"there are {', '.join(arrays)}; name all arrays train/... and test/..., or none")
    train, test = pools["train"], pools.get("test")
    if test is not None and (_kind(train) != _kind(test)):
        raise DataFileError(path, "train and test differ in shape or kind; give both alike")
    labels = [pool.labels for pool in pools.values() if pool.labels is not None]
    classes = max((int(part.max()) + 1 for part in labels), default=0)
    return Pools(train, test, tuple(map(str, range(classes))))


def _pool(path: Path, role: str, arrays: Mapping[str, np.ndarray], spec: Mapping[str, Any]) -> Pool:
    inputs, labels, targets = (arrays.get(f"{role}{part}") for part in PARTS)
    if inputs is None or (labels is None) == (targets is None):
        raise DataFileError(
            path, f"there are {', '.join(arrays)}; give {role}inputs, and either {role}labels or {role}targets"
        )
    wanted = 4 if spec.get("images") else 2
    if inputs.ndim != wanted:
        form = "(n, C, H, W) with `images: true`, or (n, d) without"
        raise DataFileError(path, f"{role}inputs has shape {inputs.shape}; {form}")
    given = labels if labels is not None else targets
    if given is None or len(given) != len(inputs) or not len(inputs):  # the first for the type checker
        raise DataFileError(
            path, f"{role}inputs has {len(inputs):,} rows and its targets have {0 if given is None else len(given):,}"
        )
    white = 255 if inputs.dtype == np.uint8 else 1
    if targets is not None:
        if targets.ndim > 2:
            raise DataFileError(path, f"{role}targets has shape {targets.shape}; (n, outputs) or (n,) are allowed")
        return Pool.of(inputs, None, targets.reshape(len(targets), -1).astype(np.float64), white)
    assert labels is not None
    whole = labels.astype(np.int64)
    if labels.ndim != 1 or (whole != labels).any() or whole.min() < 0 or whole.max() >= CLASSES:
        raise DataFileError(
            path, f"{role}labels, of shape {labels.shape}, must be (n,) whole numbers from 0 to {CLASSES - 1:,}"
        )
    return Pool.of(inputs, whole, None, white)


def _kind(pool: Pool) -> tuple:
    return pool.take(np.array([0])).shape[1:], None if pool.values is None else pool.values.shape[1], pool.white
