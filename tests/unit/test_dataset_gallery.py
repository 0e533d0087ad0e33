"""The figure of the datasets: what it shows is what the datasets are."""

import numpy as np
import pytest

from lazyrich import artifacts
from lazyrich.datasets import chain_monomial, circle, staircase
from lazyrich.datasets.drawing import draw_dataset, shape
from lazyrich.datasets.reading import Dataset
from lazyrich.figures.dataset_gallery import IMAGES, draw_gallery
from small_runs import DIGITS

TARGETS = {
    "steps": {"generator": "staircase", "dimension": 6, "order": 3},
    "chain": {"generator": "chain_monomial", "dimension": 6, "rank": 5},
    "round": {"generator": "circle", "exponent": 1},
    "spectrum": {"generator": "power_law_features", "dimension": 50, "capacity": 1.5, "source": 0.4},
}


def drawn(folder, **change) -> Dataset:
    spec = {**DIGITS, **change}
    manifest = folder / "digits.json"
    with artifacts.writing(manifest, "digits.zarr") as store:
        units = draw_dataset(spec, "code", store)
        of_input, outputs = shape(units[0])
        content = {"spec": spec, "input_shape": of_input, "outputs": outputs}
        artifacts.write_manifest(manifest, "dataset", store.path.name, units, **content)
    return Dataset(manifest)


@pytest.fixture
def digits(tmp_path):
    return drawn(tmp_path)


def test_every_class_is_shown_once_by_an_image_of_it(digits):
    figure, numbers = draw_gallery({"digits": digits.spec, **TARGETS}, {"digits": digits})
    shown = numbers[numbers["kind"] == "image"]
    split = digits.split(0, "train")
    assert list(shown["label"]) == list("0123456789")
    assert [str(int(split.labels[int(row)])) for row in shown["x"]] == list(shown["label"])
    images = [image.get_array() for axes in figure.axes for image in axes.get_images()]
    assert len(images) == IMAGES
    pixels = digits.pixels(split.inputs.numpy())
    for row, image in zip(shown["x"], images, strict=True):
        np.testing.assert_allclose(image, pixels[int(row), 0], atol=1e-6)
        np.testing.assert_allclose(
            image * 16, np.rint(image * 16), atol=1e-4
        )  # 8-bit greys of 17 levels: nothing is lost
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert set("0123456789") <= texts


def test_target_functions_are_drawn_from_their_closed_forms(digits):
    figure, numbers = draw_gallery({"digits": digits.spec, **TARGETS}, {"digits": digits})
    titles = {axes.get_title() for axes in figure.axes}
    assert {"steps", "chain", "round", "spectrum"} <= titles
    bars = numbers[numbers["dataset"] == "steps"]
    assert list(bars["series"]) == ["x1", "x1 x2", "x1 x2 x3"]
    np.testing.assert_allclose(bars["y"], list(staircase.walsh_coefficients(TARGETS["steps"]).values()))
    (axes,) = [axes for axes in figure.axes if axes.get_title() == "steps"]
    np.testing.assert_allclose([bar.get_width() for bar in axes.patches], bars["y"])
    assert [label.get_text() for label in axes.get_yticklabels()][1] == "$x_{1}$ $x_{2}$"

    plane = numbers[numbers["dataset"] == "chain"]
    points = np.ones((len(plane), 6))
    points[:, 0], points[:, 1] = plane["x"], plane["y"]
    np.testing.assert_allclose(plane["z"], chain_monomial.target(TARGETS["chain"]).evaluate(points))

    (axes,) = [axes for axes in figure.axes if axes.get_title() == "round"]
    curve = numbers[numbers["dataset"] == "round"]
    np.testing.assert_allclose(axes.get_lines()[0].get_xydata(), curve[["x", "y"]])
    known = sum(
        c * np.cos(k * curve["x"].to_numpy()) for k, c in enumerate(circle.fourier_coefficients(TARGETS["round"]), 1)
    )
    np.testing.assert_allclose(curve["y"], known, atol=1e-9)

    (axes,) = [axes for axes in figure.axes if axes.get_title() == "spectrum"]
    assert axes.get_xscale() == axes.get_yscale() == "log" and len(axes.get_lines()) == 2
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [r"$\lambda_{k}$", r"$\lambda_{k}$ $w_{k}^2$"]


def test_images_are_those_that_the_network_sees(tmp_path):
    """Few classes, merged; downsampled; the label written below."""
    classes = [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    encoding = {"amplitude": 3, "test": "random"}
    few = drawn(tmp_path, classes=classes, downsample=2, label_encoding=encoding)
    figure, numbers = draw_gallery({"digits": few.spec}, {"digits": few})
    assert list(numbers["label"]) == ["0, 1, 2, 3, 4", "5, 6, 7, 8, 9"]
    first, second = (image.get_array() for axes in figure.axes for image in axes.get_images())
    assert first.shape == (5, 4)
    assert first[4, 0] == first[4].max() > first[4, 1] and second[4, 1] == second[4].max() > second[4, 0]


def test_without_images_or_without_targets(digits):
    assert set(draw_gallery(TARGETS, {})[1]["kind"]) == {"bars", "plane", "curve"}
    assert set(draw_gallery({"digits": digits.spec}, {"digits": digits})[1]["kind"]) == {"image"}
