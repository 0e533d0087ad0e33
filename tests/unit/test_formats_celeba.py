"""CelebA's lists and images: against what was written and Pillow, and each kind of malformed file refused."""

import io
import re

import format_files as valid
import numpy as np
import pytest
from PIL import Image, ImageFile

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.celeba import CelebaImages, read_attributes, read_partition, square


def test_celeba_lists(tmp_path):
    data, values = valid.celeba_attributes()
    attributes, names, read = read_attributes(valid.write(tmp_path, data.replace(b"\n", b"\r\n")))
    assert attributes == valid.ATTRIBUTES and names == list(valid.IMAGES)
    assert read.dtype == np.int8 and np.array_equal(read, values)
    data, parts = valid.celeba_partition()
    names, read = read_partition(valid.write(tmp_path, data))
    assert names == list(valid.IMAGES) and read.dtype == np.int8 and np.array_equal(read, parts)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ((b"3\n", b"4\n"), "states '4' images"),
        ((b"3\n", b"x\n"), "states 'x' images"),
        ((b"3\n", b"9" * 5000 + b"\n"), "states"),
        ((b"Bald", b"Male"), "line 2"),
        ((b"Bald ", b""), "line 3 has 4 values instead of 3"),
        ((b"000002", b"000001"), "line 4 begins with '000001.jpg'"),
        ((b"000002.jpg", b"../../x.jpg"), "line 4 begins"),
        ((b"\n000002", b"\n\n000002"), "images in its first line"),
        ((b"000005.jpg ", b"000005.jpg  2 "), "line 5"),
        ((b" -1", b" -2"), "has the value '-2'"),
        ((b"Bald", b"B\xe4ld"), "not ASCII"),
    ],
)
def test_celeba_attributes_that_are_malformed(tmp_path, change, text):
    valid.refuses(text, read_attributes, valid.write(tmp_path, valid.celeba_attributes()[0].replace(*change)))


def test_celeba_partition_that_is_malformed(tmp_path):
    data, _ = valid.celeba_partition()
    for content, text in (
        (data[:-3], "line 3"),
        (data + b"000005.jpg 0\n", "line 4"),
        (b"000001.jpg 3\n", "value '3'"),
        (b"", "line 1"),
    ):
        valid.refuses(text, read_partition, valid.write(tmp_path, content))


def test_celeba_images_from_an_archive_and_from_folders(tmp_path):
    folder = valid.place_files(tmp_path / "img_align_celeba", {n: valid.picture(i) for i, n in enumerate(valid.IMAGES)})
    for path in (valid.write(tmp_path, valid.celeba_zip()), folder, tmp_path):
        with CelebaImages(path) as images:
            for place, name in enumerate(valid.IMAGES):
                expected = np.asarray(Image.open(io.BytesIO(valid.picture(place))))
                read = images.read(name)
                assert read.shape == (218, 178, 3) and read.dtype == np.uint8 and np.array_equal(read, expected)
            for name in ("../the-file", "/etc/passwd", "000009.jpg", "000001.jpg\n"):
                with pytest.raises(DataFileError):
                    images.read(name)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (valid.picture(0, size=(178, 219)), "178 x 219"),
        (
            re.sub(rb"\xff\xc0\0\x11\x08....", b"\xff\xc0\0\x11\x08\xff\xf0\xff\xf0", valid.picture(0), flags=re.S),
            "another size",
        ),
        (
            re.sub(rb"\xff\xc0\0\x11\x08....", b"\xff\xc0\0\x11\x08\x28\0\x28\0", valid.picture(0), flags=re.S),
            "10240 x 10240",
        ),
        (valid.picture(0, "PNG"), "cannot be read"),
        (valid.picture(0, mode="L"), "178 x 218, L"),
        (valid.picture(0)[:-400], "truncated"),
        (valid.picture(0)[:300], "cannot be read"),
        (b"", "cannot be read"),
        (valid.picture(0) + bytes(2**20), "over"),
    ],
)
def test_celeba_images_that_are_malformed(tmp_path, data, text):
    archive = valid.write(tmp_path, valid.zip_of({"img_align_celeba/000001.jpg": data}))
    folder = valid.place_files(tmp_path / "images", {"000001.jpg": data})
    for path in (archive, folder):
        valid.refuses(text, lambda path: CelebaImages(path).read("000001.jpg"), path)


def test_celeba_images_are_not_read_while_truncated_ones_would_be(tmp_path, monkeypatch):
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataFileError, match="LOAD_TRUNCATED_IMAGES"):
        CelebaImages(valid.write(tmp_path, valid.celeba_zip())).read("000001.jpg")


def test_square_is_the_mean_over_boxes_of_the_centre():
    image = valid.generator(0).integers(0, 256, (218, 178, 3), dtype=np.uint8)
    assert np.array_equal(square(image, 178), image[20:198])
    means = image[20:198].reshape(89, 2, 89, 2, 3).mean((1, 3))
    assert np.abs(square(image, 89) - means).max() <= 1  # Pillow rounds after the rows and after the columns
    assert square(image, 32).shape == (32, 32, 3)
    with pytest.raises(ValueError, match="give uint8"):
        square(image[:100], 32)
