"""Decompression bombs are refused in little memory, and what is no regular file without waiting."""

import os
import struct
import subprocess
import sys
import zlib

import format_files as valid
import numpy as np
import pytest

from lazyrich.datasets.formats.celeba import read_partition
from lazyrich.datasets.formats.idx import read_idx
from lazyrich.datasets.formats.mat import read_mat
from lazyrich.datasets.formats.npz import NpzFile
from lazyrich.datasets.formats.tar_members import read_members


def test_paths_without_a_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (
        lambda p: read_idx(p, 1),
        lambda p: read_members(p, {}),
        lambda p: read_mat(p, ["X"]),
        NpzFile,
        read_partition,
    ):
        valid.refuses("does not exist", read, tmp_path / "missing")
        valid.refuses("not a regular file", read, tmp_path / "pipe")
        valid.refuses("not a regular file", read, tmp_path)


#: What the bombs expand to; fast compression still makes 1.3 MiB of it.
ZEROS = 300 * 2**20


def _gz(head: bytes) -> bytes:
    return valid.gz(head + bytes(ZEROS), 1)


def _zip(name: str, head: bytes) -> bytes:
    return valid.zip_of({name: head + bytes(ZEROS)}, True, 1)


def _mat() -> bytes:
    array = valid.mat_array(b"X", (9, 1), valid.mat_element(2, bytes(ZEROS)))
    return valid.mat_of(valid.mat_element(15, zlib.compress(array, 1)))


NPY = valid.npy(np.zeros(0), shape=(ZEROS // 8,))
BOMBS = {
    "idx": (lambda: _gz(struct.pack(">4B1I", 0, 0, 8, 1, 5)), "read_idx(path, 1)"),
    "tar": (lambda: _gz(valid.tar_header(b"a", b"%011o\0" % ZEROS)), "read_members(path, {'b': 1})"),
    "tar-tail": (lambda: _gz(b""), "read_members(path, {'b': 1})"),
    "mat": (_mat, "read_mat(path, ['X'])"),
    "npz": (lambda: _zip("inputs.npy", NPY), "read_arrays(path, ['inputs'])"),
    "npz-header": (lambda: _zip("inputs.npy", b"\x93NUMPY\2\0\0\0\0\x40"), "read_arrays(path, ['inputs'])"),
    "jpeg": (lambda: _zip("img_align_celeba/000001.jpg", b""), "CelebaImages(path).read('000001.jpg')"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_decompression_bomb_is_refused_in_little_memory(tmp_path, name):
    make, call = BOMBS[name]
    path = valid.write(tmp_path, make())
    assert path.stat().st_size < 2 * 2**20
    program = f"""
import resource, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.array_file import read_arrays
from lazyrich.datasets.formats.celeba import CelebaImages
from lazyrich.datasets.formats.idx import read_idx
from lazyrich.datasets.formats.mat import read_mat
from lazyrich.datasets.formats.tar_members import read_members
path = Path({str(path)!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    {call}
except DataFileError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100
