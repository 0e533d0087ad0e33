"""CIFAR-100: 60,000 colour images of 32x32 pixels, in 100 classes and 20 superclasses, from the binary version.

Source: Krizhevsky, Learning multiple layers of features from tiny images (2009). Classes are called by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazyrich.datasets.formats.cifar_binary import read_records
from lazyrich.datasets.formats.tar_members import read_members
from lazyrich.datasets.pools.pool import Pool, Pools

#: In the order in which a record has its labels.
CLASSES = {"coarse": 20, "fine": 100}
ARCHIVE = "cifar-100-binary.tar.gz"
MEMBERS = {"train": "cifar-100-binary/train.bin", "test": "cifar-100-binary/test.bin"}
SIZES = {"train": 50_000 * 3_074, "test": 10_000 * 3_074}


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an image, and the classes, as they are known before there is any file."""
    return (3, 32, 32), _names(spec)


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """Images (n, 3, 32, 32) to train on and to test on, with fine or coarse labels (``labels``)."""
    kind = spec.get("labels", "fine")
    if "files" in spec:
        contents = {
            role: {files[name]: files[name].read_bytes() for name in names} for role, names in spec["files"].items()
        }
    else:
        found = read_members(files[ARCHIVE], {MEMBERS[role]: size for role, size in SIZES.items()})
        contents = {role: {files[ARCHIVE] / name: found[name]} for role, name in MEMBERS.items()}
    pools = {role: _pool(batches, list(CLASSES).index(kind)) for role, batches in contents.items()}
    return Pools(pools["train"], pools.get("test"), _names(spec))


def _names(spec: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(map(str, range(CLASSES[spec.get("labels", "fine")])))


def _pool(batches: Mapping[Path, bytes], column: int) -> Pool:
    read = [read_records(content, path, 2, tuple(CLASSES.values())) for path, content in batches.items()]
    return Pool.joined([Pool.of(pixels, labels[:, column]) for pixels, labels in read])
