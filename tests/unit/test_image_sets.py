"""Each set of images, from tiny files in its official format to processed splits; and from real files, where there are some."""

import hashlib
from pathlib import Path

import format_files
import numpy as np
import pytest
import scipy.io
from PIL import Image

from lazyrich.datasets import cifar10, cifar100
from lazyrich.datasets.drawing import Drawer
from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.files.record import Files
from lazyrich.datasets.files.verification import sha256

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
real = pytest.mark.skipif(not REAL.is_dir(), reason="no folder of real image data beside the repository")

SIZES = {"train": 4, "test": 3, "probe": 2, "normalization": "none"}


def files(folder, contents):
    """The files of a record, written to a folder."""
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    paths = {name: folder / name for name in contents}
    return Files(paths, {name: sha256(path) for name, path in paths.items()}, "results/downloads/it.json")


def draw(generator, found, seed=0, **spec):
    drawer = Drawer({"generator": generator, **SIZES, **spec}, found)
    foreseen = drawer.shape()
    data = drawer.draw(np.random.default_rng(seed))
    if foreseen is None:
        assert generator == "array" or (generator, "files" in spec) == ("mnist", True)
    else:
        assert foreseen == (data["train"]["inputs"].shape[1:], data["train"]["targets"].shape[1])
    return data


def assert_from(split, pixels, labels):
    """Each image of a split is one of ``pixels`` (n, C, H, W) uint8, different ones, with its label."""
    known = {image.tobytes(): row for row, image in enumerate(pixels)}
    rows = [known[image.tobytes()] for image in np.rint(split["inputs"] * 255).astype(np.uint8)]
    assert len(set(rows)) == len(rows)
    np.testing.assert_array_equal(split["labels"], np.asarray(labels)[rows])
    return set(rows)


def assert_two_pools(data, train, test):
    rows = {name: assert_from(data[name], *(test if name == "test" else train)) for name in ("train", "test", "probe")}
    assert not rows["train"] & rows["probe"]


# --- each format ----------------------------------------------------------------------------------------------------


def idx_pair(seed, count):
    pixels, labels = (
        format_files.images(seed, count),
        format_files.generator(seed).integers(0, 10, count).astype(np.uint8),
    )
    return pixels, labels, format_files.gz(format_files.idx(pixels)), format_files.gz(format_files.idx(labels))


def test_mnist(tmp_path):
    train, test = idx_pair(1, 8), idx_pair(2, 5)
    names = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
    found = files(tmp_path, dict(zip(names, (*train[2:], *test[2:]), strict=True)))
    data = draw("mnist", found)
    assert data["train"]["inputs"].shape == (4, 1, 28, 28) and data["train"]["targets"].shape == (4, 10)
    assert_two_pools(data, *((pixels[:, None], labels) for pixels, labels, *_ in (train, test)))


def test_own_files_in_the_format_of_mnist_in_whatever_order_without_a_test_set(tmp_path):
    pixels, labels, images_file, labels_file = idx_pair(3, 12)
    found = files(tmp_path, {"b.gz": images_file, "a": labels_file})
    data = draw("mnist", found, files={"train": dict(found.digests)})
    rows = [assert_from(data[name], pixels[:, None], labels) for name in ("train", "test", "probe")]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 9
    with pytest.raises(DataFileError, match="not a file of images and one of labels"):
        draw("mnist", files(tmp_path, {"b.gz": images_file, "c": images_file}), files={"train": {"b.gz": "", "c": ""}})
    other = format_files.idx(labels[:5])
    with pytest.raises(DataFileError, match=r"5 labels, and 12 images in .*do not belong together"):
        draw("mnist", files(tmp_path, {"b.gz": images_file, "a": other}), files={"train": {"a": "", "b.gz": ""}})


def test_cifar10_from_the_archive_and_from_files_of_records(tmp_path, monkeypatch):
    batches = {name: format_files.cifar(seed, count=3) for seed, name in enumerate(sum(cifar10.MEMBERS.values(), ()))}
    archive = format_files.tar_of([format_files.tar_entry(name, batch[0]) for name, batch in batches.items()])
    monkeypatch.setattr(cifar10, "SIZE", 3 * 3073)
    *parts, test = ((pixels, labels[:, 0]) for _, pixels, labels in batches.values())
    train = tuple(np.concatenate(both) for both in zip(*parts, strict=True))
    data = draw("cifar10", files(tmp_path, {"cifar-10-binary.tar.gz": archive}), train=9, probe=6)
    assert data["train"]["inputs"].shape == (9, 3, 32, 32)
    assert_two_pools(data, train, test)

    own = files(
        tmp_path,
        {
            "one.bin": batches["cifar-10-batches-bin/data_batch_1.bin"][0],
            "two.bin": batches["cifar-10-batches-bin/data_batch_2.bin"][0],
        },
    )
    data = draw("cifar10", own, files={"train": own.digests}, train=3, test=2, probe=1)
    rows = [assert_from(data[name], train[0][:6], train[1][:6]) for name in ("train", "test", "probe")]
    assert len(set.union(*rows)) == 6


def test_the_shape_of_what_is_processed_is_foreseen(tmp_path, monkeypatch):
    batches = {name: format_files.cifar(seed, count=9) for seed, name in enumerate(sum(cifar10.MEMBERS.values(), ()))}
    archive = format_files.tar_of([format_files.tar_entry(name, batch[0]) for name, batch in batches.items()])
    monkeypatch.setattr(cifar10, "SIZE", 9 * 3073)
    encoding = {"amplitude": 1, "test": "none"}
    classes = [[0, 1, 2, 3, 4], ["dog", "frog", "horse", "ship", "truck"]]
    data = draw(
        "cifar10",
        files(tmp_path, {"cifar-10-binary.tar.gz": archive}),
        classes=classes,
        downsample=4,
        label_encoding=encoding,
        targets="sign",
    )
    assert data["train"]["inputs"].shape == (4, 3, 9, 8) and data["train"]["targets"].shape == (4, 1)


@pytest.mark.parametrize("kind", ["fine", "coarse"])
def test_cifar100(tmp_path, monkeypatch, kind):
    batches = {role: format_files.cifar(seed, (20, 100), 7) for seed, role in enumerate(("train", "test"))}
    archive = format_files.tar_of(
        [format_files.tar_entry(cifar100.MEMBERS[role], batches[role][0]) for role in batches]
    )
    monkeypatch.setattr(cifar100, "SIZES", dict.fromkeys(batches, 7 * 3074))
    data = draw("cifar100", files(tmp_path, {"cifar-100-binary.tar.gz": archive}), labels=kind)
    assert data["train"]["targets"].shape == (4, {"fine": 100, "coarse": 20}[kind])
    assert_two_pools(data, *((pixels, labels[:, int(kind == "fine")]) for _, pixels, labels in batches.values()))


def test_svhn(tmp_path):
    sets = [format_files.svhn(seed, 8) for seed in (0, 1)]
    names = ("train_32x32.mat", "test_32x32.mat")
    found = files(tmp_path, {name: format_files.mat(True, X=x, y=y) for name, (x, y) in zip(names, sets, strict=True)})
    assert_two_pools(draw("svhn", found), *((x.transpose(3, 2, 0, 1), y[:, 0] % 10) for x, y in sets))


def cifar5m_part(seed, count=6):
    random = np.random.default_rng(seed)
    return {"X": random.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8), "Y": random.integers(0, 10, count)}


def test_cifar5m_reads_the_parts_that_are_asked_for(tmp_path):
    parts = {name: cifar5m_part(seed) for seed, name in enumerate(("part0.npz", "part1.npz", "part5.npz"))}
    found = files(tmp_path, {name: format_files.npz(part, deflated=True) for name, part in parts.items()})
    pools = [(part["X"].transpose(0, 3, 1, 2), part["Y"]) for part in parts.values()]
    train = tuple(np.concatenate(both) for both in zip(*pools[:2], strict=True))
    assert_two_pools(draw("cifar5m", found, parts=2, train=8, probe=4), train, pools[2])
    assert_two_pools(draw("cifar5m", found, parts=1), pools[0], pools[2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.zeros((6, 3, 32, 32), np.uint8)}, r"X is uint8 \(6, 3, 32, 32\)"),
        ({"X": np.zeros((6, 32, 32, 3))}, "X is float64"),
        ({"Y": np.zeros(5, np.int64)}, r"Y int64 \(5,\)"),
        ({"Y": np.full(6, 10)}, "Y has labels from 10 to 10"),
    ],
)
def test_cifar5m_of_another_form_is_refused(tmp_path, change, message):
    names = ("part0.npz", "part5.npz")
    found = files(tmp_path, {name: format_files.npz({**cifar5m_part(0), **change}, deflated=False) for name in names})
    with pytest.raises(DataFileError, match=message):
        draw("cifar5m", found, parts=1)


def celeba(folder, count=12):
    names = tuple(f"{row:06d}.jpg" for row in range(1, count + 1))
    pictures = {f"img_align_celeba/{name}": format_files.picture(row) for row, name in enumerate(names)}
    attributes, values = format_files.celeba_attributes(0, names)
    parts = np.array([0, 0, 0, 1, 0, 0, 0, 2, 2, 2, 2, 0])
    partition = "".join(f"{name} {part}\n" for name, part in zip(names, parts, strict=True)).encode()
    contents = {
        "img_align_celeba.zip": format_files.zip_of(pictures),
        "list_attr_celeba.txt": attributes,
        "list_eval_partition.txt": partition,
    }
    return files(folder, contents), pictures, values, parts


def test_celeba(tmp_path):
    found, pictures, values, parts = celeba(tmp_path)
    data = draw("celeba", found, attribute="Smiling", size=32, targets="sign")
    assert data["train"]["inputs"].shape == (4, 3, 32, 32) and data["train"]["targets"].shape == (4, 1)
    np.testing.assert_array_equal(data["train"]["targets"][:, 0], 2 * data["train"]["labels"] - 1)
    labels = (values[:, format_files.ATTRIBUTES.index("Smiling")] > 0).astype(int)
    squares = np.stack([by_pillow(content) for content in pictures.values()])
    for name, part in (("train", 0), ("probe", 0), ("test", 2)):
        assert_from(data[name], squares[parts == part], labels[parts == part])
    assert Drawer({"generator": "celeba", "attribute": "Male"}, found).describe()["classes"] == ["not Male", "Male"]
    with pytest.raises(ValueError, match="attribute is 'Smilling'; give one of Bald, Male, Smiling, Young"):
        draw("celeba", found, attribute="Smilling", size=32)


def by_pillow(content, size=32):
    import io

    whole = Image.open(io.BytesIO(content)).convert("RGB")
    return np.asarray(whole.crop((0, 20, 178, 198)).resize((size, size), Image.Resampling.BOX)).transpose(2, 0, 1)


def test_celeba_lists_that_do_not_belong_together_are_refused(tmp_path):
    found, *_ = celeba(tmp_path)
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 0\n")
    found = Files(dict(found), {name: sha256(path) for name, path in found.items()})
    with pytest.raises(DataFileError, match="names other images than"):
        draw("celeba", found, attribute="Male", size=32)


# --- arrays of one's own --------------------------------------------------------------------------------------------


def own(folder, arrays, **spec):
    (folder / "own.npz").write_bytes(format_files.npz(arrays, deflated=False))
    found = Files({"own.npz": folder / "own.npz"}, {"own.npz": sha256(folder / "own.npz")})
    return draw("array", found, path="own.npz", **spec)


def test_own_vectors_with_targets_of_regression(tmp_path):
    random = np.random.default_rng(0)
    inputs = random.normal(2, 3, (20, 5))
    data = own(tmp_path, {"inputs": inputs, "targets": inputs[:, 0]}, normalization="channel", train=10)
    assert "labels" not in data["train"] and data["test"]["targets"].shape == (3, 1)
    statistics = data["normalization"]
    for name in ("train", "test", "probe"):
        raw = data[name]["inputs"] * statistics["deviation"] + statistics["mean"]
        np.testing.assert_allclose(raw[:, 0], data[name]["targets"][:, 0], atol=1e-5)
    np.testing.assert_allclose(data["train"]["inputs"].std(axis=0), 1, atol=1e-5)


def test_own_images_with_labels_and_a_test_set_apart(tmp_path):
    random = np.random.default_rng(1)
    pools = {
        role: (random.integers(0, 256, (9, 2, 4, 4), dtype=np.uint8), random.integers(0, 3, 9))
        for role in ("train", "test")
    }
    arrays = {
        f"{role}/{part}": value
        for role, pair in pools.items()
        for part, value in zip(("inputs", "labels"), pair, strict=True)
    }
    assert_two_pools(own(tmp_path, arrays, images=True), *pools.values())


def test_own_arrays_in_a_zarr_group(tmp_path):
    arrays = {"inputs": np.arange(40.0).reshape(20, 2), "targets": np.arange(20.0)}
    folder = format_files.place_files(tmp_path / "own.zarr", format_files.zarr_files(arrays))
    found = Files({"own.zarr": folder}, {"own.zarr": sha256(folder)})
    data = draw("array", found, path="own.zarr")
    np.testing.assert_array_equal(data["train"]["inputs"][:, 0], 2 * data["train"]["targets"][:, 0])
    (folder / "inputs" / "zarr.json").write_bytes(b"{}")
    with pytest.raises(DataFileError, match="this file has SHA-256"):
        draw("array", found, path="own.zarr")


VECTORS, LABELS = np.arange(40.0).reshape(20, 2), np.arange(20) % 3


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"inputs": VECTORS}, "give inputs, and either labels or targets"),
        ({"inputs": VECTORS, "labels": LABELS, "targets": VECTORS}, "either labels or targets"),
        ({"inputs": VECTORS, "labels": LABELS[:19]}, "inputs has 20 rows and its targets have 19"),
        (
            {"inputs": VECTORS[:, :, None, None], "labels": LABELS},
            r"shape \(20, 2, 1, 1\); \(n, C, H, W\) with `images: true`",
        ),
        ({"inputs": VECTORS, "labels": LABELS - 1}, "labels, of shape .20,., must be"),
        ({"inputs": VECTORS, "labels": LABELS + 0.5}, "labels, of shape .20,., must be"),
        ({"inputs": VECTORS, "labels": LABELS * 10_000}, "whole numbers from 0 to 9,999"),
        ({"inputs": VECTORS, "targets": VECTORS[:, :, None]}, r"targets has shape \(20, 2, 1\)"),
        (
            {"train/inputs": VECTORS, "train/labels": LABELS, "inputs": VECTORS},
            "name all arrays train/... and test/..., or none",
        ),
        ({"test/inputs": VECTORS, "test/labels": LABELS}, "name all arrays train/"),
        (
            {"train/inputs": VECTORS, "train/labels": LABELS, "test/inputs": VECTORS[:, :1], "test/labels": LABELS},
            "train and test differ",
        ),
        ({"inputs": VECTORS, "label": LABELS}, "label"),
    ],
)
def test_own_arrays_of_another_form_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataFileError, match=message) as caught:
        own(tmp_path, arrays)
    assert "own.npz" in str(caught.value)


# --- nothing is read that is not what was found ----------------------------------------------------------------------


def test_a_file_that_has_changed_or_is_gone_is_never_read(tmp_path):
    pixels, labels, images_file, labels_file = idx_pair(3, 12)
    found = files(tmp_path, {"b.gz": images_file, "a": labels_file})
    (tmp_path / "a").write_bytes(format_files.idx((labels + 1) % 10))  # as good a file, but another
    with pytest.raises(DataFileError, match=r"this file has SHA-256 .* delete results/downloads/it.json and rerun"):
        draw("mnist", found, files={"train": found.digests})
    (tmp_path / "a").unlink()
    with pytest.raises(DataFileError, match=r"this file of 'a' is gone; delete results/downloads/it.json and rerun"):
        draw("mnist", found, files={"train": found.digests})


# --- real data ------------------------------------------------------------------------------------------------------


def real_files(*names):
    stated = dict(reversed(line.split()) for line in (REAL / "SHA256SUMS").read_text().splitlines())
    return Files({name: REAL / name for name in names}, {name: stated[f"./{name}"] for name in names})


@real
def test_all_of_mnist():
    names = [
        name
        for pair in (
            ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
            ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
        )
        for name in pair
    ]
    found = real_files(*(f"mnist/{name}" for name in names))
    found = Files(
        {Path(name).name: path for name, path in found.items()},
        {Path(name).name: digest for name, digest in found.digests.items()},
    )
    data = draw("mnist", found, train=59_000, probe=1_000, test=10_000, normalization="channel")
    # the constants that everybody uses are those of all 60,000
    assert data["normalization"]["mean"][0] == pytest.approx(0.1307, abs=2e-4)
    assert data["normalization"]["deviation"][0] == pytest.approx(0.3081, abs=2e-4)
    assert np.bincount(np.concatenate([data["train"]["labels"], data["probe"]["labels"]])).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert np.bincount(data["test"]["labels"]).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@real
def test_cifar10_from_a_local_folder():
    folder = "cifar10/rebuilt-cifar-10-batches-bin"
    found = real_files(f"{folder}/data_batch_1.bin", f"{folder}/test_batch.bin")
    roles = {role: {name: found.digests[name]} for role, name in zip(("train", "test"), found, strict=True)}
    data = draw("cifar10", found, files=roles, train=9_000, probe=1_000, test=10_000, normalization="channel")
    assert np.bincount(data["test"]["labels"]).tolist() == [1000] * 10
    # near the published constants of the whole training set
    np.testing.assert_allclose(data["normalization"]["mean"], [0.4914, 0.4822, 0.4465], atol=0.005)
    np.testing.assert_allclose(data["normalization"]["deviation"], [0.2470, 0.2435, 0.2616], atol=0.005)


@real
def test_the_subset_of_svhn_against_scipy():
    found = real_files("svhn/train_32x32_first1083.mat")
    data = draw("svhn", found, files={"train": found.digests}, train=600, test=300, probe=183)
    known = scipy.io.loadmat(found["svhn/train_32x32_first1083.mat"])
    pixels, labels = known["X"].transpose(3, 2, 0, 1), known["y"][:, 0] % 10
    unique = {hashlib.sha256(image.tobytes()).digest() for image in pixels}
    assert len(unique) == 1083
    rows = [assert_from(data[name], pixels, labels) for name in ("train", "test", "probe")]
    assert len(set.union(*rows)) == 1083
