"""CIFAR-10: 60,000 colour images of 32x32 pixels, in ten classes, from the binary version.

Source: Krizhevsky, Learning multiple layers of features from tiny images (2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lazyrich.datasets.formats.cifar_binary import read_records
from lazyrich.datasets.formats.tar_members import read_members
from lazyrich.datasets.pools.pool import Pool, Pools

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
ARCHIVE, SIZE = "cifar-10-binary.tar.gz", 10_000 * 3_073
MEMBERS = {
    "train": tuple(f"cifar-10-batches-bin/data_batch_{index}.bin" for index in range(1, 6)),
    "test": ("cifar-10-batches-bin/test_batch.bin",),
}


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an image, and the classes, as they are known before there is any file."""
    return (3, 32, 32), CLASSES


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """Images (n, 3, 32, 32) to train on and to test on: from the archive, or from files of its records."""
    if "files" in spec:
        contents = {
            role: {files[name]: files[name].read_bytes() for name in names} for role, names in spec["files"].items()
        }
    else:
        found = read_members(files[ARCHIVE], {name: SIZE for names in MEMBERS.values() for name in names})
        contents = {role: {files[ARCHIVE] / name: found[name] for name in names} for role, names in MEMBERS.items()}
    pools = {role: _pool(batches) for role, batches in contents.items()}
    return Pools(pools["train"], pools.get("test"), CLASSES)


def _pool(batches: Mapping[Path, bytes]) -> Pool:
    read = [read_records(content, path, 1, (len(CLASSES),)) for path, content in batches.items()]
    return Pool.joined([Pool.of(pixels, labels[:, 0]) for pixels, labels in read])
