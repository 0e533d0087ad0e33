"""Readers of formats on real files: MNIST, CIFAR-10 and SVHN, where they are there."""

import gzip
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from lazyrich.datasets.formats.cifar_binary import read_records
from lazyrich.datasets.formats.idx import read_idx
from lazyrich.datasets.formats.svhn import svhn_arrays

DATA = Path(__file__).parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason=f"the real data are not at {DATA}")


@real
@pytest.mark.parametrize(("part", "count", "sevens"), [("train", 60_000, 6265), ("t10k", 10_000, 1028)])
def test_real_mnist(part, count, sevens):
    for kind, head in (("images-idx3", 16), ("labels-idx1", 8)):
        path = DATA / "mnist" / f"{part}-{kind}-ubyte.gz"
        read = read_idx(path, 3 if head == 16 else 1)
        assert read.shape == ((count, 28, 28) if head == 16 else (count,))
        assert np.array_equal(
            read.reshape(-1), np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=head)
        )
    assert np.bincount(read, minlength=10)[7] == sevens and read.max() == 9


@real
@pytest.mark.parametrize("name", ["data_batch_1.bin", "test_batch.bin"])
def test_real_cifar(name):
    path = DATA / "cifar10" / "rebuilt-cifar-10-batches-bin" / name
    data = path.read_bytes()
    pixels, labels = read_records(data, path, 1, (10,))
    counts = np.bincount(labels[:, 0])
    assert pixels.shape == (10_000, 3, 32, 32) and len(counts) == 10 and 900 < counts.min() <= counts.max() < 1100
    assert bytes(pixels[9_999, 2, 31]) == data[-32:] and labels[9_999, 0] == data[-3073]
    assert name == "data_batch_1.bin" or (counts == 1000).all()


@real
def test_real_svhn():
    path = DATA / "svhn" / "train_32x32_first1083.mat"
    pixels, labels = svhn_arrays(path)
    expected = scipy.io.loadmat(path)
    assert pixels.shape == (1083, 3, 32, 32) and np.array_equal(pixels, expected["X"].transpose(3, 2, 0, 1))
    assert np.array_equal(labels, expected["y"][:, 0] % 10) and set(labels) == set(range(10))
