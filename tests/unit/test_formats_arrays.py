"""Arrays in .npz files and Zarr folders: against NumPy and zarr, rows of them, and each kind of malformed file refused."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import format_files as valid
import numpy as np
import pytest
import zarr

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.array_file import read_arrays
from lazyrich.datasets.formats.npz import NpzFile


@pytest.mark.parametrize("deflated", [False, True])
def test_npz(tmp_path, monkeypatch, deflated):
    monkeypatch.setattr("lazyrich.datasets.formats.npz.ROW_BLOCK", 100)
    arrays = valid.own_arrays() | {
        "big": np.arange(60, dtype=">i2").reshape(20, 3),
        "flags": np.array([True, False]),
        "one": np.array(3),
    }
    path = valid.write(tmp_path, valid.npz(arrays, deflated))
    opened = NpzFile(path)
    with np.load(path, allow_pickle=False) as expected:
        assert opened.names == tuple(expected.files)
        for name in expected.files:
            read = opened.array(name)
            assert (
                np.array_equal(read, expected[name])
                and read.dtype.isnative
                and read.dtype == expected[name].dtype.newbyteorder("=")
            )
            assert opened.header(name) == (read.shape, read.dtype)
        for indices in ([], [0], [19], [0, 3, 3, 4, 17], range(20)):
            chosen = np.array(indices, dtype=np.int64)
            for whole in (True, False):
                assert np.array_equal(opened.rows("big", chosen, whole=whole), expected["big"][chosen])


def test_rows_that_cannot_be_given(tmp_path):
    opened = NpzFile(valid.write(tmp_path, valid.npz(valid.own_arrays() | {"one": np.array(3)}, False)))
    with pytest.raises(ValueError, match="sort them"):
        opened.rows("inputs", np.array([2, 1]))
    for text, name, indices in (
        ("has 6 rows", "inputs", [6]),
        ("without rows", "one", [0]),
        ("no array 'input'; .*'inputs'", "input", [0]),
    ):
        with pytest.raises(DataFileError, match=f"the-file: .*{text}"):
            opened.rows(name, np.array(indices))


def test_rows_notice_damage_behind_the_last_one_only_if_they_read_the_whole(tmp_path):
    data = bytearray(valid.npz({"a": np.zeros((50, 200))}, False))
    data[40_000] ^= 1
    opened = NpzFile(valid.write(tmp_path, bytes(data)))
    for read in (lambda: opened.rows("a", np.array([1])), lambda: opened.array("a")):
        with pytest.raises(DataFileError, match="CRC"):
            read()
    assert opened.rows("a", np.array([1]), whole=False).shape == (1, 200)


class Creates:
    """What unpickling creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return open, (str(self.path), "w")


def test_npz_of_objects_is_not_unpickled(tmp_path):
    created = tmp_path / "created"
    pickled = pickle.dumps(np.array([Creates(created)], dtype=object))
    header = valid.npy(np.zeros(1), descr="|O")[: -np.zeros(1).nbytes]
    path = valid.write(tmp_path, valid.zip_of({"inputs.npy": header + pickled}))
    for read in (lambda path: NpzFile(path).array("inputs"), lambda path: read_arrays(path, ("inputs",))):
        valid.refuses("pickled", read, path)
    assert not created.exists()
    pickle.loads(pickled)  # the payload works
    assert created.exists()


A = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "zip archive cannot be read"),
        (valid.npz({"a": A}, True)[:-30], "zip archive cannot be read"),
        (valid.zip_of({"a.txt": b"x"}), "holds no array"),
        (valid.zip_of({"a.npy": valid.npy(np.asfortranarray(A))}), "Fortran"),
        (valid.zip_of({"a.npy": valid.npy(A, shape=(2, 4))}), "where float64"),
        (valid.zip_of({"a.npy": valid.npy(A, shape=(2**40, 2**40))}), "states the shape"),
        (valid.zip_of({"a.npy": valid.npy(A, shape=(-2, -3))}), "states the shape|where"),
        (valid.zip_of({"a.npy": valid.npy(np.zeros(0), shape=(0, 2**62, 2**62))}), "states the shape"),
        (valid.zip_of({"a.npy": valid.npy(A, descr="<c16")}), "dtype"),
        (valid.zip_of({"a.npy": valid.npy(A, descr=[("x", "<f8")])}), "dtype"),
        (valid.zip_of({"a.npy": valid.npy(A, descr="<f16")}), "dtype"),
        (valid.zip_of({"a.npy": valid.npy(A, descr="<U2")}), "dtype"),
        (valid.zip_of({"a.npy": valid.npy(A, more=1)}), "header of 'a.npy' cannot be read"),
        (valid.zip_of({"a.npy": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1)}), "header of 4294967295 bytes"),
        (valid.zip_of({"a.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 1000) + b"(" * 1000}), "header"),
        (valid.zip_of({"a.npy": b"\x93NUMPY\x01\x00" + struct.pack("<H", 1000) + b"-" * 999 + b"1"}), "header"),
        (valid.zip_of({"a.npy": b"no array"}), "begins with 6e"),
        (valid.zip_of({"a.npy": valid.npy(A), "../b.npy": valid.npy(A)}), "points outside"),
        (valid.zip_of({"a.npy": valid.npy(A), "/b.npy": valid.npy(A)}), "points outside"),
        (valid.zip_of({"a.npy": valid.npy(A), "b.npy": valid.npy(A)}).replace(b"b.npy", b"a.npy"), "twice"),
    ],
)
def test_npz_that_is_malformed(tmp_path, data, text):
    valid.refuses(text, lambda path: NpzFile(path).array("a"), valid.write(tmp_path, data))


def test_npz_that_is_encrypted_or_otherwise_compressed(tmp_path):
    data = bytearray(valid.npz({"a": A}, False))
    directory = data.index(b"PK\x01\x02")
    encrypted, method = data.copy(), data.copy()
    encrypted[directory + 8] |= 1
    method[directory + 10] = 12
    valid.refuses("encrypted", lambda path: NpzFile(path).array("a"), valid.write(tmp_path, bytes(encrypted)))
    valid.refuses("compression method 12", lambda path: NpzFile(path).array("a"), valid.write(tmp_path, bytes(method)))


def test_npz_with_zip64(tmp_path):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("a.npy", "w", force_zip64=True) as member:
        member.write(valid.npy(A))
    assert np.array_equal(NpzFile(valid.write(tmp_path, stream.getvalue())).array("a"), A)


ZARR = {"zstd": {}, "blosc": {"compressors": zarr.codecs.BloscCodec()}, "none": {"compressors": None}}
ZARR |= {"checked": {"compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]}}


@pytest.mark.parametrize("form", ["stored", "deflated", *ZARR])
def test_own_arrays(tmp_path, form):
    arrays = valid.own_arrays() | {"train/inputs": valid.own_arrays(1)["inputs"].astype(">f8")}
    if form in ZARR:
        path = valid.place_files(tmp_path / "own.zarr", valid.zarr_files(arrays, **ZARR[form]))
    else:
        path = valid.write(tmp_path, valid.npz(arrays, form == "deflated"))
    read = read_arrays(path, ("inputs", "labels", "train/inputs", "targets"))
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert np.array_equal(read[name], array) and read[name].flags.c_contiguous and read[name].dtype.isnative


@pytest.mark.parametrize("zarr_too", [False, True])
@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"lables": np.arange(3)}, "'lables', which is not known; did you mean 'labels'"),
        ({"zzz": np.arange(3)}, "allowed are inputs, labels"),
        ({"inputs": np.array([[1, 2], [np.nan, 1]])}, r"inputs\[1, 0\] is nan"),
        ({"inputs": np.array([1, -np.inf])}, r"inputs\[1\] is -inf"),
        ({"inputs": np.array([True])}, "bool"),
        ({"inputs": np.array([1j])}, "complex128"),
        ({"inputs": np.zeros((0, 3))}, "empty"),
    ],
)
def test_own_arrays_that_are_refused(tmp_path, arrays, text, zarr_too):
    path = valid.write(tmp_path, valid.npz(arrays, False))
    if zarr_too:
        path = valid.place_files(tmp_path / "own.zarr", valid.zarr_files(arrays))
    valid.refuses(text, read_arrays, path, ("inputs", "labels"))


def test_own_zarr_folders_that_are_refused(tmp_path):
    files = valid.zarr_files(valid.own_arrays())
    for place, (name, old, new, text) in enumerate(
        [
            ("inputs/zarr.json", b'"zstd"', b'"numcodecs.pickle"', "codecs"),
            ("inputs/zarr.json", b'"zstd"', b'"gzip"', "codecs"),
            ("inputs/zarr.json", b"\n    6,", b"\n    6000000000000,", "chunks of"),
            ("inputs/zarr.json", b"\n    6,", b"\n    3999,", "does not|expand|finite|is 0"),
            ("inputs/zarr.json", b"{", b"[" * 50_000, "cannot be read"),
            ("inputs/zarr.json", b'"float32"', b'"float64"', "does not state"),
            ("inputs/c/0/0", b"\x28\xb5\x2f\xfd", b"abcd", "does not state"),
            ("zarr.json", b"{", b" " * 2**17 + b"{", "metadata of over"),
        ]
    ):
        assert old in files[name], name
        path = valid.place_files(tmp_path / str(place), files | {name: files[name].replace(old, new, 1)})
        if b"3999" in new:
            assert read_arrays(path, ("inputs", "labels"))["inputs"].shape == (
                3999,
                5,
            )  # missing chunks hold the fill value
            continue
        valid.refuses(text, read_arrays, path, ("inputs", "labels"))
    blosc = valid.zarr_files(valid.own_arrays(), compressors=zarr.codecs.BloscCodec())
    path = valid.place_files(tmp_path / "blosc", blosc | {"inputs/c/0/0": blosc["inputs/c/0/0"][:-1]})
    valid.refuses("does not state", read_arrays, path, ("inputs", "labels"))
    path = valid.place_files(tmp_path / "linked", files)
    (path / "inputs/c/1/0").unlink()
    (path / "inputs/c/1/0").symlink_to("/etc/passwd")
    valid.refuses("is a link", read_arrays, path, ("inputs", "labels"))
