"""Tiny valid files of every format of data sets, the same bytes every time, written without the readers that they test."""

import gzip
import io
import struct
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import zarr
from PIL import Image

from lazyrich.datasets.errors import DataFileError

CIFAR_MEMBERS = ("cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/test_batch.bin")
ATTRIBUTES = ("Bald", "Male", "Smiling", "Young")
IMAGES = ("000001.jpg", "000002.jpg", "000005.jpg")


def write(folder: Path, data: bytes) -> Path:
    """A file of these bytes."""
    path = folder / "the-file"
    path.write_bytes(data)
    return path


def refuses(text: str, read: Callable, path: Path, *arguments: object) -> None:
    """The reader must refuse: with the file's name and what is wrong."""
    with pytest.raises(DataFileError, match=text) as caught:
        read(path, *arguments)
    assert path.name in str(caught.value)


def generator(seed: int) -> np.random.Generator:
    return np.random.default_rng([20260, seed])


def images(seed: int = 0, count: int = 5) -> np.ndarray:
    """(count, 28, 28) uint8, mostly 0 like MNIST's."""
    pixels = generator(seed).integers(0, 256, (count, 28, 28), dtype=np.uint8)
    return np.where(pixels > 200, pixels, 0).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def gz(data: bytes, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0)


def cifar(seed: int = 0, classes: tuple[int, ...] = (10,), count: int = 3) -> tuple[bytes, np.ndarray, np.ndarray]:
    """Records, and what they hold: pixels (count, 3, 32, 32) and labels (count, bytes)."""
    random = generator(seed)
    pixels = random.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    labels = random.integers(0, classes, (count, len(classes)))
    return (
        b"".join(bytes(own.tolist()) + image.tobytes() for own, image in zip(labels, pixels, strict=True)),
        pixels,
        labels,
    )


def tar_of(entries: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode, format=tarfile.USTAR_FORMAT) as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def tar_entry(
    name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(data), kind, link
    return info, data


def tar_header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    block = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + size + b"00000000000\0" + b" " * 8 + kind
    block = block.ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def cifar_tar(seed: int = 0, mode: str = "w:gz") -> bytes:
    """The layout of cifar-10-binary.tar.gz: a folder, two batches, a text, and a link that nobody asks for."""
    return tar_of(
        [
            tar_entry("cifar-10-batches-bin", kind=tarfile.DIRTYPE),
            *(tar_entry(name, cifar(seed + place)[0]) for place, name in enumerate(CIFAR_MEMBERS)),
            tar_entry("cifar-10-batches-bin/readme.html", b"<html>"),
            tar_entry("cifar-10-batches-bin/latest", kind=tarfile.SYMTYPE, link="test_batch.bin"),
        ],
        mode,
    )


def svhn(seed: int = 0, count: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """X (32, 32, 3, count) and y (count, 1), one of them 10."""
    random = generator(seed)
    labels = random.integers(1, 11, (count, 1)).astype(np.uint8)
    labels[1] = 10
    return random.integers(0, 256, (32, 32, 3, count), dtype=np.uint8), labels


def mat(compressed: bool, **arrays: np.ndarray) -> bytes:
    stream = io.BytesIO()
    scipy.io.savemat(stream, arrays, do_compression=compressed)
    return b"MATLAB 5.0 MAT-file".ljust(116) + stream.getvalue()[116:]  # without the date


def mat_element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def mat_array(name: bytes, shape: tuple[int, ...], values: bytes, mat_class: int = 9, flags: int = 0) -> bytes:
    """The element of an array whose parts may contradict each other."""
    parts = mat_element(6, struct.pack("<II", mat_class | flags, 0)) + mat_element(
        5, struct.pack(f"<{len(shape)}i", *shape)
    )
    return mat_element(14, parts + mat_element(1, name) + values)


MAT_HEADER = b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\x00\x01IM"


def mat_of(*elements: bytes) -> bytes:
    return MAT_HEADER + b"".join(elements)


def npy(array: np.ndarray, **changes: object) -> bytes:
    """An .npy with some fields of its header changed."""
    order = bool(array.flags.f_contiguous and not array.flags.c_contiguous)
    fields = {"descr": array.dtype.str, "fortran_order": order, "shape": array.shape, **changes}
    text = repr(fields).encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + array.tobytes("A")


def zip_of(members: dict[str, bytes], deflated: bool = False, level: int = 9) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, archive.compression, level)
    return stream.getvalue()


def own_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    random = generator(seed)
    return {"inputs": random.normal(size=(6, 5)).astype(np.float32), "labels": random.integers(0, 3, 6)}


def npz(arrays: dict[str, np.ndarray], deflated: bool) -> bytes:
    """What numpy.savez and savez_compressed write, without the time."""
    stream = io.BytesIO()
    (np.savez_compressed if deflated else np.savez)(stream, **arrays)
    with zipfile.ZipFile(stream) as archive:
        return zip_of({name: archive.read(name) for name in archive.namelist()}, deflated)


def zarr_files(arrays: dict[str, np.ndarray], **options: object) -> dict[str, bytes]:
    """The files of a Zarr folder that ``zarr`` writes, by their relative paths."""
    with tempfile.TemporaryDirectory() as folder:
        group = zarr.open_group(folder, mode="w", zarr_format=3)
        for name, array in arrays.items():
            group.create_array(name, data=array, chunks=(4, *array.shape[1:]), **options)
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def place_files(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def picture(seed: int, form: str = "JPEG", size: tuple[int, int] = (178, 218), mode: str = "RGB") -> bytes:
    """An image of smooth noise, encoded."""
    random = generator(seed)
    coarse = Image.fromarray(random.integers(0, 256, (9, 7, 3), dtype=np.uint8)).resize(size, Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    coarse.convert(mode).save(stream, form)
    return stream.getvalue()


def celeba_zip(seed: int = 0) -> bytes:
    folder = {"img_align_celeba/": b""}
    return zip_of(folder | {f"img_align_celeba/{name}": picture(seed + place) for place, name in enumerate(IMAGES)})


def celeba_attributes(seed: int = 0, names: tuple[str, ...] = IMAGES) -> tuple[bytes, np.ndarray]:
    values = np.where(generator(seed).random((len(names), len(ATTRIBUTES))) < 0.5, -1, 1)
    lines = [f"{name} " + " ".join(f"{value:2d}" for value in row) for name, row in zip(names, values, strict=True)]
    return "\n".join([str(len(names)), " ".join(ATTRIBUTES) + " ", *lines, ""]).encode(), values


def celeba_partition(seed: int = 0, names: tuple[str, ...] = IMAGES) -> tuple[bytes, np.ndarray]:
    parts = generator(seed).integers(0, 3, len(names))
    return "".join(f"{name} {part}\n" for name, part in zip(names, parts, strict=True)).encode(), parts
