"""The aligned images of CelebA: JPEG files of 178 x 218 in ``img_align_celeba.zip`` or its folder.

JPEG has no checksum: in the archive zip's CRC-32 shows a changed image, in a folder only one that cannot be decoded is noticed.
Source: Z. Liu et al., Deep learning face attributes in the wild, 2015, https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from PIL import Image, ImageFile

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.archive import Archive
from lazyrich.datasets.formats.celeba_lists import IMAGE_NAME, read_attributes, read_partition
from lazyrich.datasets.formats.files import damage_told, open_regular

__all__ = ["CelebaImages", "read_attributes", "read_partition", "square"]

#: The folder within the archive.
FOLDER = "img_align_celeba"
#: Columns and rows of every image.
SIZE = (178, 218)
#: Longest JPEG file and longest directory of the archive, in bytes; the official ones have up to 30 kB and 20 MB.
IMAGE_LIMIT, DIRECTORY_LIMIT = 2**20, 2**25


class CelebaImages:
    """The images in a zip archive, or in a folder ``img_align_celeba`` or the one above; close it, or use it in a ``with`` statement."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._folder: Path | None = None
        self._archive: Archive | None = None
        if self.path.is_dir():
            self._folder = self.path / FOLDER if (self.path / FOLDER).is_dir() else self.path
        else:
            self._archive = Archive(path, DIRECTORY_LIMIT)
            self._members = frozenset(self._archive.names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()

    def read(self, name: str) -> np.ndarray:
        """The image ``name``, such as 000001.jpg, as (218, 178, 3) uint8.

        ``DataFileError`` for a name of another form, a missing or damaged file, another format or size, and grey images.
        """
        if not IMAGE_NAME.fullmatch(name):
            raise DataFileError(self.path, f"{name!r} is no name of an image; names are like 000001.jpg")
        return self._decoded(name, self._bytes(name))

    def _bytes(self, name: str) -> bytes:
        if self._archive is not None:
            member = f"{FOLDER}/{name}"
            if member not in self._members:
                raise DataFileError(self.path, f"has no entry {member}; get the official img_align_celeba.zip")
            return self._archive.read(member, IMAGE_LIMIT)
        assert self._folder is not None
        with open_regular(self._folder / name) as file, damage_told(self.path, name):
            data = file.read(IMAGE_LIMIT + 1)
        if len(data) > IMAGE_LIMIT:
            raise DataFileError(self._folder / name, f"has over {IMAGE_LIMIT} bytes; get the official images")
        return data

    def _decoded(self, name: str, data: bytes) -> np.ndarray:
        if ImageFile.LOAD_TRUNCATED_IMAGES:
            raise DataFileError(
                self.path, "is not read while PIL.ImageFile.LOAD_TRUNCATED_IMAGES is set; leave it False"
            )
        try:
            with damage_told(self.path, f"the image {name}"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of sizes that are refused below, and of malformed MPO
                with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
                    self._check(name, image)
                    image.load()
                    return np.array(image)
        except Image.DecompressionBombError as error:
            raise DataFileError(self.path, f"{name} has another size than {SIZE[0]} x {SIZE[1]}: {error}") from error

    def _check(self, name: str, image: Image.Image) -> None:
        """Format and size, which are known before anything is decoded."""
        if image.format != "JPEG" or image.size != SIZE or image.mode != "RGB":
            raise DataFileError(
                self.path,
                f"{name} is a {image.format} of {image.size[0]} x {image.size[1]}, {image.mode}, instead of a JPEG of "
                f"{SIZE[0]} x {SIZE[1]}, RGB; get the official aligned images",
            )


def square(image: np.ndarray, size: int) -> np.ndarray:
    """The central 178 x 178 of an image (218, 178, 3) uint8, resized to (size, size, 3) by the means of boxes."""
    columns, rows = SIZE
    if image.shape != (rows, columns, 3) or image.dtype != np.uint8:
        raise ValueError(f"image is {image.dtype} of shape {image.shape}; give uint8 ({rows}, {columns}, 3)")
    if size < 1:
        raise ValueError(f"size is {size}; give at least 1")
    top = (rows - columns) // 2
    cropped = np.ascontiguousarray(image[top : top + columns])
    return np.array(Image.fromarray(cropped).resize((size, size), Image.Resampling.BOX))
