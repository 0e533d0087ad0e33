"""From pools to splits: disjointness, classes, normalisation, downsampling, targets, the label encoded in the image."""

from fractions import Fraction

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from lazyrich.datasets.pools.classes import Task, targets
from lazyrich.datasets.pools.normalization import block_sums, normalized, statistics
from lazyrich.datasets.pools.partition import partition
from lazyrich.datasets.pools.pool import Pool, Pools
from lazyrich.datasets.pools.processing import class_names, splits_of

SIZES = {"train": 40, "test": 30, "probe": 20}
NAMES = ("ant", "bee", "cat", "dog")


def images(count=200, channels=3, height=4, width=6, seed=0):
    """Random pixels; the first pixel of the first channel holds the row (below 256) so that an image can be told from others."""
    source = np.random.default_rng(seed)
    pixels = source.integers(0, 256, (count, channels, height, width), dtype=np.uint8)
    pixels[:, 0, 0, 0] = np.arange(count)
    return pixels, source.integers(0, 4, count)


def pools(test=True):
    train, held_out = images(), images(seed=1)
    return Pools(Pool.of(*train), Pool.of(*held_out) if test else None, NAMES)


def split(spec=None, seed=0, of=None):
    return splits_of({**SIZES, **(spec or {})}, np.random.default_rng(seed), of or pools())


def rows(data, name):
    """Which samples of the pool a split has, read off the pixel that says so."""
    mean, deviation = (data["normalization"][key][0] for key in ("mean", "deviation"))
    return np.rint((data[name]["inputs"][:, 0, 0, 0] * deviation + mean) * 255).astype(int)


# --- splits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own_test", [True, False])
def test_splits_are_disjoint_samples_of_the_right_pool_with_their_own_labels(own_test):
    found = pools(own_test)
    data = split(of=found)
    chosen = {name: rows(data, name) for name in SIZES}
    together = [chosen["train"], chosen["probe"]] + ([] if own_test else [chosen["test"]])
    assert len(set(np.concatenate(together))) == sum(map(len, together))
    for name in SIZES:
        pixels, labels = images(seed=int(own_test and name == "test"))
        mean, deviation = (data["normalization"][key].reshape(1, 3, 1, 1) for key in ("mean", "deviation"))
        np.testing.assert_allclose(
            (data[name]["inputs"] * deviation + mean) * 255, pixels[chosen[name]], atol=2e-4, rtol=0
        )
        np.testing.assert_array_equal(data[name]["labels"], labels[chosen[name]])


def test_a_larger_training_set_keeps_the_samples_of_a_smaller_one_and_of_the_other_splits():
    none = {"normalization": "none"}  # statistics are those of the training split, so pixels would differ
    for own_test in (True, False):
        small, large = (split({**none, "train": train}, of=pools(own_test)) for train in (20, 100))
        np.testing.assert_array_equal(large["train"]["inputs"][:20], small["train"]["inputs"])
        for name in ("test", "probe"):
            np.testing.assert_array_equal(large[name]["inputs"], small[name]["inputs"])


def test_a_pool_of_files_is_asked_for_its_own_rows_only_and_gives_them_in_order():
    whole, labels = images()
    asked = []

    def part(start, stop):
        def take(wanted):
            asked.append((start, wanted.tolist()))
            return whole[start:stop][wanted]

        return Pool(take, labels[start:stop])

    joined = Pool.joined([part(0, 50), part(50, 60), part(60, 200)])
    wanted = np.array([199, 3, 55, 3, 0, 61])
    np.testing.assert_array_equal(joined.take(wanted), whole[wanted])
    assert asked == [(0, [0, 3, 3]), (50, [5]), (60, [1, 139])]
    np.testing.assert_array_equal(joined.labels, labels)


@pytest.mark.parametrize("own_test", [True, False])
def test_a_pool_is_asked_once_for_all_splits(own_test):
    asked = []

    def pool(name, seed):
        pixels, labels = images(seed=seed)
        return Pool(lambda chosen: asked.append((name, len(chosen))) or pixels[chosen], labels)

    split(of=Pools(pool("train", 0), pool("test", 1) if own_test else None, NAMES))
    assert asked == ([("train", 60), ("test", 30)] if own_test else [("train", 90)])


def test_too_many_samples_are_refused_with_the_sum():
    order = np.arange(10)
    with pytest.raises(ValueError, match=r"birds has 10 samples and train 5 \+ test 4 \+ probe 2 = 11 are asked for"):
        partition("birds", {"train": 5, "test": 4, "probe": 2}, order, None, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"birds has 10 test samples and test 11 are asked for"):
        partition("birds", {"train": 5, "test": 11, "probe": 2}, order, order, np.random.default_rng(0))


# --- classes --------------------------------------------------------------------------------------------------------


def test_classes_are_kept_renumbered_and_merged():
    data = split({"classes": ["dog", [0, "bee"]], "train": 30, "test": 20, "probe": 10})
    _, labels = images()
    chosen = rows(data, "train")
    assert set(labels[chosen]) == {0, 1, 3}
    np.testing.assert_array_equal(data["train"]["labels"], np.where(labels[chosen] == 3, 0, 1))
    assert class_names({"classes": ["dog", [0, "bee"]]}, pools()) == ["dog", "ant, bee"]
    assert class_names({}, pools()) == list(NAMES)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([0], "at least two classes"),
        ([0, 4], "classes names 4; there are 0 to 3: ant, bee, cat, dog"),
        ([0, "bat"], "classes names 'bat'; did you mean 'cat'"),
        ([0, [1, 0]], "class 0 .ant. twice"),
        ([0, 1.5], "classes names 1.5"),
        ([0, True], "classes names True"),
    ],
)
def test_classes_that_are_not_there_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        Task({"classes": classes}, NAMES)


def test_targets():
    labels = np.array([0, 2, 1])
    np.testing.assert_allclose(targets(labels, 4, "centered_one_hot").sum(axis=1), 0, atol=1e-7)
    np.testing.assert_array_equal(targets(labels, 4, "one_hot"), [[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]])
    np.testing.assert_array_equal(targets(labels[[0, 2]], 2, "sign"), [[-1], [1]])
    with pytest.raises(ValueError, match="there are 4 classes; give two"):
        targets(labels, 4, "sign")
    with pytest.raises(ValueError, match="targets is 'onehot'; give one of"):
        targets(labels, 4, "onehot")


# --- normalisation --------------------------------------------------------------------------------------------------


def test_channels_are_normalised_by_the_training_split_alone():
    data = split()
    flat = data["train"]["inputs"].transpose(0, 2, 3, 1).reshape(-1, 3)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(flat.std(axis=0), 1, atol=1e-6)
    assert np.abs(data["test"]["inputs"].mean(axis=(0, 2, 3))).max() > 1e-3
    # another implementation, on the pixels themselves
    pixels, _ = images()
    own = pixels[rows(data, "train")].transpose(0, 2, 3, 1).reshape(-1, 3) / 255
    np.testing.assert_allclose(flat, StandardScaler().fit_transform(own), atol=1e-6)


def test_one_mean_for_all_channels_or_none_at_all():
    data = split({"normalization": "global"})
    assert data["train"]["inputs"].mean() == pytest.approx(0, abs=1e-6)
    assert data["train"]["inputs"].std() == pytest.approx(1, abs=1e-6)
    assert len(set(data["normalization"]["mean"])) == 1
    plain = split({"normalization": "none"})["train"]["inputs"]
    assert 0 <= plain.min() < 0.01 and 0.99 < plain.max() <= 1


def test_statistics_of_whole_numbers_are_exact():
    pixels, _ = images(count=3000)
    for kind, parts in (("channel", pixels.transpose(1, 0, 2, 3).reshape(3, -1)), ("global", pixels.reshape(1, -1))):
        mean, deviation = statistics(pixels, kind, 255)
        for part, found, spread in zip(parts, mean, deviation, strict=False):
            values = [int(value) for value in part]
            average = Fraction(sum(values), len(values))
            assert found == float(average) / 255
            variance = sum((value - average) ** 2 for value in set(values) for _ in range(values.count(value))) / len(
                values
            )
            assert spread == float(variance) ** 0.5 / 255


def test_statistics_of_features_that_are_no_whole_numbers():
    features = np.random.default_rng(0).normal(3, [1, 5, 0.1], (2000, 3))
    mean, deviation = statistics(features, "channel", 1)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(deviation, features.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(
        normalized(features, mean, deviation, 1), StandardScaler().fit_transform(features), atol=1e-6
    )


@pytest.mark.parametrize("constant", [np.uint8(7), 0.1])
def test_a_constant_channel_is_refused_and_named(constant):
    inputs = np.random.default_rng(0).integers(0, 9, (50, 2, 2, 2)).astype(np.asarray(constant).dtype)
    inputs[:, 1] = constant
    with pytest.raises(ValueError, match="channel or feature 1 is constant over the training split"):
        statistics(inputs, "channel", 1)
    statistics(inputs, "global", 1)


def test_downsampling_is_the_mean_over_blocks():
    pixels, _ = images()
    expected = pixels.reshape(200, 3, 2, 2, 3, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(block_sums(pixels, 2) / 4, expected, rtol=1e-15)
    plain = {"normalization": "none", "downsample": 2}
    assert split(plain)["train"]["inputs"].shape == (40, 3, 2, 3)
    np.testing.assert_allclose(
        np.sort(split({**plain, "train": 150}, of=pools())["train"]["inputs"].ravel())[[0, -1]],
        np.sort((expected / 255)[partition_rows(150)].ravel())[[0, -1]],
        rtol=1e-6,
    )
    with pytest.raises(ValueError, match="downsample is 4, which does not divide images of 4x6"):
        split({"downsample": 4})


def partition_rows(train):
    """The rows of a training split of that size, by the same seed."""
    sizes = {**SIZES, "train": train}
    return partition("it", sizes, np.arange(200), np.arange(200), np.random.default_rng(0))["train"]


# --- the label in the image -----------------------------------------------------------------------------------------


def encoded(test="random", **spec):
    return split({"label_encoding": {"amplitude": 0.5, "test": test}, "test": 150, **spec})


@pytest.mark.parametrize("in_test", ["true", "random", "none"])
def test_the_label_stands_below_the_image_in_every_channel(in_test):
    plain, data = split({"test": 150}), encoded(in_test)
    for name in SIZES:
        inputs, labels = data[name]["inputs"], data[name]["labels"]
        assert inputs.shape[1:] == (3, 5, 6)
        np.testing.assert_array_equal(inputs[:, :, :4], plain[name]["inputs"])
        np.testing.assert_array_equal(labels, plain[name]["labels"])
        written = inputs[:, :, 4]
        if name == "test" and in_test == "none":
            assert not written.any()
            continue
        assert ((written != 0).sum(axis=2) == 1).all() and (written.max(axis=2) == 0.5).all()
        shown = written.argmax(axis=2)
        assert (shown == shown[:, :1]).all() and shown.max() < 4
        agreement = (shown[:, 0] == labels).mean()
        if name == "test" and in_test == "random":
            assert agreement == pytest.approx(1 / 4, abs=5 * (3 / 16 / 150) ** 0.5)
            assert set(shown[:, 0]) == {0, 1, 2, 3}
        else:
            assert agreement == 1


def test_many_classes_take_several_rows():
    pixels = np.random.default_rng(0).integers(0, 256, (100, 1, 3, 4), dtype=np.uint8)
    many = Pools(Pool.of(pixels, np.arange(100) % 10), None, tuple("0123456789"))
    data = split({"label_encoding": {"amplitude": 2, "test": "true"}, "train": 50}, of=many)
    assert data["train"]["inputs"].shape == (50, 1, 6, 4)
    written = data["train"]["inputs"][:, 0, 3:].reshape(50, 12)
    np.testing.assert_array_equal(written.argmax(axis=1), data["train"]["labels"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"amplitude": 0, "test": "true"}, "amplitude is 0"), ({"amplitude": 1, "test": "no"}, "test is 'no'")],
)
def test_a_wrong_encoding_is_explained(options, message):
    with pytest.raises(ValueError, match=message):
        split({"label_encoding": options})


@pytest.mark.parametrize("change", [{"downsample": 2}, {"label_encoding": {"amplitude": 1, "test": "true"}}])
def test_what_is_for_images_is_refused_for_vectors(change):
    vectors = Pools(Pool.of(np.random.default_rng(0).normal(size=(100, 6)), np.arange(100) % 4, white=1), None, NAMES)
    assert split(of=vectors)["train"]["inputs"].shape == (40, 6)
    with pytest.raises(ValueError, match="are for images"):
        split(change, of=vectors)
