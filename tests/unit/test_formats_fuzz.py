"""Thousands of mutated files for every reader: each is refused with ``DataFileError``, or read with its structure intact.

Formats with a checksum of their own (gzip, zip, zlib) may give nothing but the original arrays. In the others a changed pixel or number
cannot be seen here: the checksum of the whole file, which is compared when files are fetched, shows it.

A subprocess reads, so that a crash, a hang or exhausted memory is a failure that names the case. One case again, with its traceback:

    PYTHONPATH=workflow_scripts .venv/bin/python tests/unit/test_formats_fuzz.py FORMAT SEED INDEX
"""

import json
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import format_files as valid
import numpy as np
import pytest
import zarr

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.array_file import read_arrays
from lazyrich.datasets.formats.celeba import CelebaImages, read_attributes, read_partition
from lazyrich.datasets.formats.cifar_binary import read_records
from lazyrich.datasets.formats.idx import read_idx
from lazyrich.datasets.formats.npz import NpzFile
from lazyrich.datasets.formats.svhn import svhn_arrays
from lazyrich.datasets.formats.tar_members import read_members

CASES, SEED = 2000, 1
#: Seconds for one file; bytes of address space and of memory that reading may take beyond what the process has at first.
TIME, ADDRESSES, MEMORY = 5, 2**30, 150 * 2**20

#: Where files are written thousands of times: in memory, where there is such a place.
FAST = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Format:
    """Two valid files, how a path is read, and what must hold of the arrays.

    ``wrap`` makes the file out of mutated contents: checksums that are right, around what is wrong. ``rest`` are the other files of
    a folder, in which the mutated one is ``name``.
    """

    valid: Callable[[int], bytes]
    read: Callable[[Path], Arrays]
    intact: Callable[[Arrays], bool]
    exact: bool = False
    wrap: Callable[[bytes], bytes] = bytes
    name: str = "file"
    rest: Callable[[], dict[str, bytes]] = dict


def _npz(path: Path) -> Arrays:
    file = NpzFile(path)
    shape, _ = file.header("inputs")
    few = np.array([0, 2, 2, 5])
    whole = {name: file.array(name) for name in ("inputs", "labels")}
    assert whole["inputs"].shape == shape and np.array_equal(
        whole["inputs"][few], file.rows("inputs", few), equal_nan=True
    )
    return whole


def _celeba(path: Path) -> Arrays:
    with CelebaImages(path) as images:
        return {name: images.read(name) for name in valid.IMAGES[:2]}


def _uint8(*shape: int) -> Callable[[Arrays], bool]:
    return lambda arrays: all(a.dtype == np.uint8 and a.shape == shape for a in arrays.values())


def _records(pixels: np.ndarray, labels: np.ndarray) -> bool:
    there = pixels.dtype == np.uint8 and pixels.shape == (len(pixels), 3, 32, 32) and len(pixels) == len(labels) > 0
    return there and labels.dtype == np.int64 and 0 <= labels.min() <= labels.max() <= 9


def _numbers(arrays: Arrays) -> bool:
    return all(a.dtype.kind in "iuf" and a.flags.c_contiguous and np.isfinite(a).all() for a in arrays.values())


def _attributes(arrays: Arrays) -> bool:
    values, names = arrays["values"], arrays["names"]
    return (
        values.dtype == np.int8
        and values.shape == (len(set(names)), len(arrays["attributes"]))
        and set(values.flat) <= {-1, 1}
    )


def _attribute_file(path: Path) -> Arrays:
    attributes, names, values = read_attributes(path)
    return {"attributes": np.array(attributes), "names": np.array(names), "values": values}


def _svhn(path: Path) -> Arrays:
    return dict(zip(("pixels", "labels"), svhn_arrays(path), strict=True))


def _mat(compressed: bool) -> Callable[[int], bytes]:
    return lambda seed: valid.mat(compressed, **dict(zip("Xy", valid.svhn(seed), strict=True)))


def _compress_each(data: bytes) -> bytes:
    """A compressed MAT file of what may be wrong inside; the last 56 bytes are the labels, unless they were moved."""
    pieces = [data[128:-56], data[-56:]]
    return data[:128] + b"".join(struct.pack("<II", 15, len(z)) + z for z in (zlib.compress(p, 1) for p in pieces))


def _own(path: Path) -> Arrays:
    return read_arrays(path, ("inputs", "labels"))


def _zarr(name: str, **options: object) -> Format:
    def rest() -> dict[str, bytes]:
        return valid.zarr_files(valid.own_arrays(), **options)

    def files(seed: int) -> bytes:
        return valid.zarr_files(valid.own_arrays(seed), **options)[name]

    return Format(files, _own, _numbers, name=name, rest=rest)


_MEMBERS = dict.fromkeys(valid.CIFAR_MEMBERS, 3 * 3073)
_as_tar = dict(
    read=lambda path: {name: np.frombuffer(data, np.uint8) for name, data in read_members(path, _MEMBERS).items()},
    intact=lambda arrays: set(arrays) == set(_MEMBERS) and _uint8(3 * 3073)(arrays),
)
_as_idx = dict(
    read=lambda path: {"images": read_idx(path, 3)},
    intact=lambda a: a["images"].dtype == np.uint8 and a["images"].ndim == 3,
)
_as_mat = dict(read=_svhn, intact=lambda a: _records(a["pixels"], a["labels"]))
_arrays = {
    deflated: lambda seed, deflated=deflated: valid.npz(valid.own_arrays(seed), deflated) for deflated in (False, True)
}
_labels = valid.npy(valid.own_arrays()["labels"])

FORMATS = {
    "idx": Format(lambda seed: valid.idx(valid.images(seed)), **_as_idx),
    "idx-gz": Format(lambda seed: valid.gz(valid.idx(valid.images(seed))), exact=True, **_as_idx),
    "cifar": Format(
        lambda seed: valid.cifar(seed)[0],
        lambda path: dict(zip(("pixels", "labels"), read_records(path.read_bytes(), path, 1, (10,)), strict=True)),
        lambda a: _records(a["pixels"], a["labels"][:, 0]),
    ),
    "tar": Format(lambda seed: valid.cifar_tar(seed, "w"), **_as_tar),
    "tar-gz": Format(valid.cifar_tar, exact=True, **_as_tar),
    "tar-in-gz": Format(lambda seed: valid.cifar_tar(seed, "w"), wrap=valid.gz, **_as_tar),
    "mat": Format(_mat(False), **_as_mat),
    "mat-compressed": Format(_mat(True), exact=True, **_as_mat),
    "mat-in-zlib": Format(_mat(False), wrap=_compress_each, **_as_mat),
    "npz-stored": Format(_arrays[False], _npz, _numbers, exact=True),
    "npz-deflated": Format(_arrays[True], _npz, _numbers, exact=True),
    "npy-in-zip": Format(
        lambda seed: valid.npy(valid.own_arrays(seed)["inputs"]),
        _npz,
        lambda arrays: all(a.dtype.kind in "biuf" and a.flags.c_contiguous for a in arrays.values()),
        wrap=lambda data: valid.zip_of({"inputs.npy": data, "labels.npy": _labels}, True),
    ),
    "array-npz": Format(_arrays[True], _own, _numbers, exact=True),
    "array-npy": Format(
        lambda seed: valid.npy(valid.own_arrays(seed)["inputs"]),
        _own,
        _numbers,
        wrap=lambda d: valid.zip_of({"inputs.npy": d}),
    ),
    "zarr-json": _zarr("inputs/zarr.json"),
    "zarr-zstd": _zarr("inputs/c/0/0"),
    "zarr-blosc": _zarr("inputs/c/1/0", compressors=zarr.codecs.BloscCodec()),
    "attributes": Format(lambda seed: valid.celeba_attributes(seed)[0], _attribute_file, _attributes),
    "partition": Format(
        lambda seed: valid.celeba_partition(seed)[0],
        lambda path: dict(zip(("names", "parts"), map(np.array, read_partition(path)), strict=True)),
        lambda a: (
            a["parts"].shape == (len(set(a["names"])),) and a["parts"].dtype == np.int8 and set(a["parts"]) <= {0, 1, 2}
        ),
    ),
    "jpeg-zip": Format(valid.celeba_zip, _celeba, _uint8(218, 178, 3), exact=True),
    "jpeg": Format(
        valid.picture,
        lambda path: _celeba(path),
        _uint8(218, 178, 3),
        name="000001.jpg",
        rest=lambda: {"000002.jpg": valid.picture(2)},
    ),
}

EXTREMES = [
    number.to_bytes(width, order)
    for width in (1, 2, 4, 8)
    for order in ("little", "big")
    for number in (0, 1, 2 ** (8 * width - 1) - 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1, 2 ** (4 * width))
]


def mutated(data: bytes, other: bytes, source: random.Random) -> bytes:
    """``data`` after one to four changes: half of them near an end, where headers and directories are."""
    result = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 4))):
        size = len(result)
        places = (
            source.randrange(size + 1),
            source.randrange(min(size, 256) + 1),
            size - source.randrange(min(size, 256) + 1),
        )
        place, length = source.choice(places), source.choice((1, 2, 4, 8, 64, 512, source.randrange(1, size + 2)))
        match source.randrange(8):
            case 0 if place < size:
                result[place] ^= 1 << source.randrange(8)
            case 1 if place < size:
                result[place] = source.randrange(256)
            case 2:
                del result[place:]
            case 3:
                result[place:place] = source.randbytes(min(length, 512))
            case 4:
                del result[place : place + length]
            case 5:
                result[place:place] = result[place : place + length]
            case 6:
                cut = source.choice((place, source.randrange(len(other) + 1)))
                result[place:] = other[cut:]
            case 7:
                field = source.choice(EXTREMES)
                result[place : place + len(field)] = field
    return bytes(result)


def read_case(name: str, seed: int, index: int, folder: Path, originals: list[Arrays]) -> str:
    """``refused``, or ``equal`` or ``changed`` for an accepted file; AssertionError if it should not have been accepted."""
    form = FORMATS[name]
    source = random.Random(f"{name}-{seed}-{index}")
    path = folder / form.name
    path.write_bytes(form.wrap(mutated(form.valid(0), form.valid(1), source)))
    try:
        arrays = form.read(folder if form.rest is not dict else path)
    except DataFileError as error:
        assert folder.name in str(error), f"the message does not name the file: {error}"
        return "refused"
    assert form.intact(arrays), f"accepted { ({key: (a.dtype, a.shape) for key, a in arrays.items()}) }"
    same = all(any(key in o and np.array_equal(o[key], a) for o in originals) for key, a in arrays.items())
    assert same or not form.exact, "accepted with other values than those that were written"
    return "equal" if same else "changed"


def work(name: str, seed: int, cases: range, progress: Path | None) -> None:
    """Read the cases; ``progress`` is a file that holds the index of the one in work."""
    form = FORMATS[name]
    cached = {variant: form.valid(variant) for variant in (0, 1)}
    object.__setattr__(form, "valid", cached.__getitem__)
    with tempfile.TemporaryDirectory(prefix="fuzz", dir=FAST) as temporary:
        folder = valid.place_files(Path(temporary), form.rest())
        originals = []
        for data in cached.values():
            (folder / form.name).write_bytes(form.wrap(data))
            originals.append(form.read(folder if form.rest is not dict else folder / form.name))
            assert form.intact(originals[-1])
        addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (addresses + ADDRESSES, resource.RLIM_INFINITY))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcomes: Counter[str] = Counter()
        for index in cases:
            if progress is not None:
                progress.write_text(str(index))
            signal.alarm(TIME)  # whose default action ends the process, also within C
            outcomes[read_case(name, seed, index, folder, originals)] += 1
            signal.alarm(0)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) * 1024
            assert grown < MEMORY, f"memory grew by {grown >> 20} MiB"
    print(json.dumps(outcomes))


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_mutated_file_is_refused_or_read_whole(name):
    with tempfile.NamedTemporaryFile(prefix="fuzz", dir=FAST) as progress:
        program = [sys.executable, __file__, name, str(SEED), f"0:{CASES}", progress.name]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(program, env=environment, capture_output=True, text=True)
        again = f"{name} {SEED} {Path(progress.name).read_text() or '(before the first case)'}"
    assert done.returncode == 0, f"case `{again}` ended with {done.returncode}:\n{done.stderr[-3000:]}"
    outcomes = json.loads(done.stdout)
    assert sum(outcomes.values()) == CASES and outcomes["refused"] > CASES / 20, outcomes


if __name__ == "__main__":
    cases = sys.argv[3].split(":")
    chosen = range(int(cases[0]), int(cases[-1]) + (len(cases) == 1))
    work(sys.argv[1], int(sys.argv[2]), chosen, Path(sys.argv[4]) if len(sys.argv) > 4 else None)
