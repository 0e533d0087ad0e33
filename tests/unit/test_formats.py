"""IDX, CIFAR's records, tar and MATLAB files: against independent readers, and each kind of malformed file refused with a telling text."""

import io
import struct
import tarfile
import zlib

import format_files as valid
import numpy as np
import pytest
import scipy.io

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.cifar_binary import read_records
from lazyrich.datasets.formats.idx import dimensions, read_idx
from lazyrich.datasets.formats.mat import read_mat
from lazyrich.datasets.formats.svhn import svhn_arrays
from lazyrich.datasets.formats.tar_members import read_members

IDX = valid.idx(valid.images())
X, Y = valid.svhn()
MEMBERS = dict.fromkeys(valid.CIFAR_MEMBERS, 3 * 3073)
FIRST, SECOND = valid.CIFAR_MEMBERS


@pytest.mark.parametrize("wrap", [bytes, valid.gz])
def test_idx(tmp_path, wrap):
    for array in (valid.images(), np.arange(7, dtype=np.uint8)):
        path = valid.write(tmp_path, wrap(valid.idx(array)))
        read = read_idx(path, array.ndim)
        assert read.dtype == np.uint8 and np.array_equal(read, array) and dimensions(path) == array.ndim


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "truncated"),
        (IDX[:-1], "truncated"),
        (IDX[:9], "ends within the header"),
        (IDX + b"\0", "trailing"),
        (b"\0\0\x0d" + IDX[3:], "begins with 00 00 0d"),
        (b"\x01" + IDX[1:], "begins with 01"),
        (valid.idx(np.arange(7, dtype=np.uint8)), "1 dimensions instead of 3"),
        (struct.pack(">4B3I", 0, 0, 8, 3, *[2**32 - 1] * 3), "are allowed"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 0, 28, 28), "0 bytes"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 2, 1024), "truncated"),
        (valid.gz(struct.pack(">4B3I", 0, 0, 8, 3, 2**20, 2, 1024)), "truncated"),
        (valid.gz(IDX)[:-9], "gzip stream cannot be read"),
        (valid.gz(IDX + b"\0"), "trailing"),
        (valid.gz(IDX) + b"junk", "gzip stream cannot be read"),
        (valid.gz(IDX)[:-8] + bytes(4) + valid.gz(IDX)[-4:], "CRC"),
    ],
)
def test_idx_that_is_malformed(tmp_path, data, text):
    valid.refuses(text, read_idx, valid.write(tmp_path, data), 3)


@pytest.mark.parametrize("classes", [(10,), (20, 100)])
def test_cifar_records(classes):
    data, pixels, labels = valid.cifar(classes=classes)
    read = read_records(data, "batch", len(classes), classes)
    assert np.array_equal(read[0], pixels) and np.array_equal(read[1], labels)
    assert read[0].dtype == np.uint8 and read[1].dtype == np.int64


def test_cifar_records_that_are_malformed():
    data, _, _ = valid.cifar(classes=(20, 100))
    wrong = bytearray(data)
    wrong[3074] = 20
    for content, text in (
        (data[:-1], "whole number of records of 3074"),
        (b"", "0 bytes"),
        (wrong, "record 1 .* label 20"),
    ):
        with pytest.raises(DataFileError, match=f"^batch: .*{text}"):
            read_records(content, "batch", 2, (20, 100))
    with pytest.raises(DataFileError, match="record 0 .* in byte 1"):
        read_records(b"\0\x64" + data[2:], "batch", 2, (20, 100))


@pytest.mark.parametrize("mode", ["w", "w:gz"])
@pytest.mark.parametrize("size", [3 * 3073, None])
def test_tar(tmp_path, mode, size):
    found = read_members(valid.write(tmp_path, valid.cifar_tar(mode=mode)), dict.fromkeys(MEMBERS, size))
    assert found == {name: valid.cifar(place)[0] for place, name in enumerate(MEMBERS)}


def test_tar_with_extended_headers_and_another_spelling(tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info, data = valid.tar_entry("./a.bin", b"abc")
        info.mtime = 1.5  # which only an extended header can state
        archive.addfile(info, io.BytesIO(data))
    assert read_members(valid.write(tmp_path, stream.getvalue()), {"a.bin": 3}) == {"a.bin": b"abc"}


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (valid.tar_entry("../x", b"x"), "points outside"),
        (valid.tar_entry("a/..\\..\\x", b"x"), "points outside"),
        (valid.tar_entry("/abs", b"x"), "points outside"),
        (valid.tar_entry(FIRST, kind=tarfile.SYMTYPE, link="/etc/passwd"), "twice"),
        (valid.tar_entry(FIRST, valid.cifar()[0]), "twice"),
    ],
)
def test_tar_with_a_hostile_entry(tmp_path, entry, text):
    entries = [valid.tar_entry(name, valid.cifar()[0]) for name in MEMBERS]
    valid.refuses(text, read_members, valid.write(tmp_path, valid.tar_of([*entries, entry])), MEMBERS)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_tar_with_something_else_under_a_wanted_name(tmp_path, kind):
    valid.refuses(
        "is a link, folder or device",
        read_members,
        valid.write(tmp_path, valid.tar_of([valid.tar_entry("a", kind=kind, link="b")])),
        {"a": 0},
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (valid.cifar_tar()[:-100], "gzip stream cannot be read"),
        (valid.cifar_tar(mode="w")[:9000], "truncated"),
        (valid.cifar_tar(mode="w")[: 512 + 512 + 9728], "before its end mark"),
        (valid.cifar_tar(mode="w") + b"x", "after the end"),
        (b"x" + valid.cifar_tar(mode="w")[1:], "no tar archive"),
        (valid.tar_of([valid.tar_entry(FIRST, valid.cifar()[0])]), f"no member '{SECOND}'; it has '{FIRST}'"),
        (valid.tar_of([valid.tar_entry(FIRST, b"x")]), "has 1 bytes instead of 9219"),
        (valid.tar_header(b"a", b"\xff" * 12), "states the size -1"),
        (valid.tar_header(b"a", b"77777777777\0", b"x"), "extended header of"),
        (
            valid.tar_header(b"a", b"00000000015\0", b"x") + b"13 path=../x\n".ljust(512, b"\0"),
            "extended header with 'path'",
        ),
        (valid.tar_header(b"a", b"\xff" * 10 + b"\xfe\0"), "states the size -512"),
        (valid.tar_header(b"a", b"%011o\0" % 60_000, b"x") + b"1" * 60_416, "truncated"),
        ((valid.tar_header(b"a", b"00000000014\0", b"x") + b"12 a=bcdefg\n".ljust(512, b"\0")) * 2000, "truncated"),
        (valid.tar_header(b"a", b"00000000000\0") * 20_000, "more than 10000 entries"),
        (valid.gz(valid.tar_header(b"a", b"77777777777\0")), "truncated"),
        (b"", "truncated"),
    ],
)
def test_tar_that_is_malformed(tmp_path, data, text):
    valid.refuses(text, read_members, valid.write(tmp_path, data), MEMBERS)


@pytest.mark.parametrize("compressed", [False, True])
def test_svhn(tmp_path, compressed):
    path = valid.write(tmp_path, valid.mat(compressed, X=X, y=Y, other=np.eye(3)))
    pixels, labels = svhn_arrays(path)
    expected = scipy.io.loadmat(path)
    assert pixels.dtype == np.uint8 and np.array_equal(pixels, expected["X"].transpose(3, 2, 0, 1))
    assert labels.dtype == np.int64 and np.array_equal(labels, expected["y"][:, 0] % 10) and labels[1] == 0


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
def test_mat_of_every_numeric_class(tmp_path, compressed, dtype):
    for shape in ((2, 3), (1, 1), (3, 0), (5, 2, 3)):
        array = valid.generator(3).integers(0, 100, shape).astype(dtype)
        path = valid.write(tmp_path, valid.mat(compressed, text="words", cell=np.array([[1, "a"]], object), a=array))
        read = read_mat(path, ["a"])["a"]
        assert read.dtype == dtype and np.array_equal(read, scipy.io.loadmat(path)["a"]) and read.shape == shape


_BYTES = valid.mat_element(2, b"abcd12345")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no MATLAB 5 file"),
        (valid.mat(False, X=X)[:100], "no MATLAB 5 file"),
        (valid.mat(False, X=X)[:-1], "truncated"),
        (valid.mat(True, X=X)[:-1], "truncated"),
        (valid.mat(True, X=X) + b"abc", "trailing"),
        (valid.mat(False, y=Y), "no numeric array 'X'; it has 'y'"),
        (valid.mat(False, X="text"), "no numeric array 'X'"),
        (valid.mat(False, X=np.eye(2) * 1j), "no numeric array 'X'"),
        (valid.MAT_HEADER[:124] + b"\x00\x02IM", "save -v7"),
        (valid.mat_of(valid.mat_array(b"X", (9, 1), _BYTES)) * 2, "has an element of type"),
        (valid.mat_of(*[valid.mat_array(b"X", (9, 1), _BYTES)] * 2), "array 'X' twice"),
        (valid.mat_of(valid.mat_array(b"X", (10, 1), _BYTES)), "9 bytes of values for the shape"),
        (valid.mat_of(valid.mat_array(b"X", (-1, 9), _BYTES)), "not allowed"),
        (valid.mat_of(valid.mat_array(b"X", (0, *[2**31 - 1] * 9), valid.mat_element(2, b""))), "not allowed"),
        (valid.mat_of(valid.mat_array(b"X", (2**31 - 1, 2**31 - 1), _BYTES)), "not allowed"),
        (valid.mat_of(valid.mat_array(b"X", (2**30, 1), struct.pack("<II", 2, 2**30))), "truncated"),
        (
            valid.mat_of(
                valid.mat_element(15, zlib.compress(valid.mat_array(b"X", (2**30, 1), struct.pack("<II", 2, 2**30))))
            ),
            "truncated",
        ),
        (valid.mat_of(valid.mat_array(b"X", (9, 1), valid.mat_element(77, b"abcd12345"))), "type 77"),
        (valid.mat_of(valid.mat_array(b"X", (1, 1), valid.mat_element(9, bytes(8)))), "stored as float64"),
        (valid.mat_of(valid.mat_array(b"X", (9, 1), _BYTES + bytes(16))), "states"),
        (valid.mat_of(valid.mat_element(15, zlib.compress(valid.mat_array(b"X", (9, 1), _BYTES))[:-1])), "truncated"),
        (
            valid.mat_of(valid.mat_element(15, zlib.compress(valid.mat_array(b"X", (9, 1), _BYTES))[:-4] + bytes(4))),
            "cannot be read",
        ),
        (
            valid.mat_of(valid.mat_element(15, zlib.compress(valid.mat_array(b"X", (9, 1), _BYTES) + bytes(9)))),
            "behind the values",
        ),
        (valid.mat_of(*[valid.mat_array(b"a", (9, 1), _BYTES)] * 1001), "over 1000 arrays"),
    ],
)
def test_mat_that_is_malformed(tmp_path, data, text):
    valid.refuses(text, read_mat, valid.write(tmp_path, data), ["X"])


def test_svhn_with_other_contents(tmp_path):
    for text, images, labels in (
        ("X is int16", X.astype(np.int16), Y),
        (r"shape \(32, 32, 4\)", X[:, :, 0], Y),
        ("y has the shape", X, Y[:3]),
        ("image 2 has the label 11", X, np.where(np.arange(4)[:, None] == 2, 11, Y)),
        ("image 0 has the label 0", X, Y * 0),
    ):
        valid.refuses(text, svhn_arrays, valid.write(tmp_path, valid.mat(True, X=images, y=labels)))
