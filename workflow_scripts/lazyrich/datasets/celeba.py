"""CelebA: 202,599 faces of celebrities with forty attributes each; for non-commercial research, the user places the files.

The official partition keeps persons apart: 162,770 images to train on, 19,867 for validation (not used), 19,962 to test on.
Source: Liu, Luo, Wang, Tang, Deep learning face attributes in the wild (arXiv 1411.7766).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.celeba import CelebaImages, square
from lazyrich.datasets.formats.celeba_lists import read_attributes, read_partition
from lazyrich.datasets.pools.pool import Pool, Pools
from lazyrich.specification import choice, whole_number

IMAGES, ATTRIBUTES, PARTITION = "img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"

#: What the file of the partition calls the images to train and to test on.
TRAIN, TEST = 0, 2


def outline(spec: Mapping[str, Any]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The shape of an image, and the classes, as they are known before there is any file."""
    return (3, whole_number(spec, "size", 64), whole_number(spec, "size", 64)), _names(spec)


def read(spec: Mapping[str, Any], files: Mapping[str, Path]) -> Pools:
    """Images (n, 3, size, size) to train on and to test on; the label is whether ``attribute`` is present. Images are decoded when drawn."""
    attributes, names, values = read_attributes(files[ATTRIBUTES])
    of_partition, partition = read_partition(files[PARTITION])
    if list(of_partition) != list(names):
        raise DataFileError(
            files[PARTITION], f"this names other images than {files[ATTRIBUTES]}; the two do not belong together"
        )
    attribute, size = choice(spec, "attribute", attributes), whole_number(spec, "size", 64)
    images = CelebaImages(files[IMAGES])
    present = (values[:, attributes.index(attribute)] > 0).astype(np.int64)

    def pool(part: int) -> Pool:
        members = np.flatnonzero(partition == part)

        def take(rows: np.ndarray) -> np.ndarray:
            result = np.empty((len(rows), 3, size, size), dtype=np.uint8)
            for index, row in enumerate(members[rows]):
                result[index] = square(images.read(names[row]), size).transpose(2, 0, 1)
            return result

        return Pool(take, present[members])

    return Pools(pool(TRAIN), pool(TEST), _names(spec))


def _names(spec: Mapping[str, Any]) -> tuple[str, str]:
    return f"not {spec['attribute']}", spec["attribute"]
