"""The datasets at a glance: for each set of images one image a class, for each synthetic set its target function.

Images are those of the first draw, as networks see them (downsampled, with labels encoded), with the normalisation taken back.
"""

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from lazyrich.datasets.reading import Dataset
from lazyrich.datasets.targets.pictures import Bars, Curve, Plane
from lazyrich.figures import style
from lazyrich.plugins import load

TITLE = "Datasets"
#: Images in a row: one of each class, of the first so many classes.
IMAGES = 10
COLUMNS = 3
ROW = {"images": 1.2, "targets": 2.1}
#: What of a label is set as mathematics: x1, x_k, lambda_k, w_k^2.
SYMBOL = re.compile(r"\b(lambda|[xyzw])_?(\d+|k)\b(?:\^(\d))?")
CSV = ("dataset", "kind", "series", "x", "y", "z", "label")


def draw_gallery(spec: Mapping[str, Mapping], samples: Mapping[str, Dataset]) -> tuple[Figure, pd.DataFrame]:
    """Draw the figure.

    Args:
        spec: dataset name -> its specification, of all that are shown.
        samples: those of them that are shown by their samples; the modules of the others define ``picture``.

    Returns:
        The figure and the numbers plotted; of images, which samples of the first draw's training split they are.
    """
    images = {name: samples[name] for name in spec if name in samples and len(samples[name].shape()[0]) == 3}
    pictures = {
        name: load("datasets", entry["generator"]).picture(entry) for name, entry in spec.items() if name not in samples
    }
    rows = -(-len(pictures) // COLUMNS)
    heights = [ROW["images"]] * len(images) + [ROW["targets"]] * rows
    numbers: list[pd.DataFrame] = []
    with style.context():
        figure = Figure(figsize=(style.PAGE_WIDTH, sum(heights) + 0.5), layout="constrained")
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, (name, dataset) in zip(parts, images.items(), strict=False):
            numbers.append(_images(part, name, dataset))
        shown = list(pictures.items())
        for row in range(rows):
            panels = parts[len(images) + row].subplots(1, COLUMNS, squeeze=False)[0]
            for axes, found in zip(panels, shown[row * COLUMNS : (row + 1) * COLUMNS], strict=False):
                numbers.append(_picture(axes, *found))
            for axes in panels[len(shown) - row * COLUMNS :]:
                axes.set_axis_off()
        style.title(figure, {}, TITLE)
    return figure, pd.concat(numbers, ignore_index=True).reindex(columns=CSV)


def _images(part: SubFigure, name: str, dataset: Dataset) -> pd.DataFrame:
    """One training image of each class, the first in the split, with the class's name below."""
    split, classes = dataset.split(0, "train"), dataset.classes()
    assert split.labels is not None
    labels = split.labels.numpy()
    chosen = [int(np.argmax(labels == label)) for label in range(len(classes)) if (labels == label).any()][:IMAGES]
    pixels = dataset.pixels(split.inputs[chosen].numpy()).clip(0, 1)
    channels, height, width = pixels.shape[1:]
    of = f" (the first {IMAGES} shown)" if len(classes) > IMAGES else ""
    part.suptitle(
        f"{style.words(name)}: {height}x{width} pixels, {'grey' if channels == 1 else 'colour'}, {len(classes)} classes{of}",
        fontsize=8.5, x=0.01, ha="left",
    )  # fmt: skip
    for axes, image, row in zip(part.subplots(1, IMAGES, squeeze=False)[0], pixels, chosen, strict=False):
        axes.imshow(image[0] if channels == 1 else image.transpose(1, 2, 0), cmap="gray", vmin=0, vmax=1)
        axes.text(0.5, -0.08, classes[labels[row]], transform=axes.transAxes, ha="center", va="top", fontsize=7.5)
    for axes in part.axes:
        axes.set_axis_off()
    return pd.DataFrame(
        {"dataset": name, "kind": "image", "x": chosen, "label": [classes[label] for label in labels[chosen]]}
    )


def _picture(axes: Axes, name: str, picture: Curve | Plane | Bars) -> pd.DataFrame:
    axes.set_title(style.words(name))
    match picture:
        case Curve():
            numbers = _curve(axes, picture)
        case Plane():
            numbers = _plane(axes, picture)
        case Bars():
            numbers = _bars(axes, picture)
    return numbers.assign(dataset=name, kind=type(picture).__name__.lower())


def _curve(axes: Axes, curve: Curve) -> pd.DataFrame:
    values = curve.y.reshape(len(curve.x), -1)
    names = curve.series or ("",) * values.shape[1]
    for series, (column, dashes) in enumerate(zip(values.T, ("-", "--", ":"), strict=False)):
        axes.plot(
            curve.x, column, dashes, color=sns.color_palette(style.PALETTE)[series], label=_mathematical(names[series])
        )
    if curve.series:
        axes.legend(frameon=False, loc="lower left" if curve.log else "best")
    if curve.log:
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set_xlabel(_mathematical(curve.x_label))
    axes.set_ylabel(_mathematical(curve.y_label))
    return pd.concat(
        [
            pd.DataFrame({"series": name, "x": curve.x, "y": column})
            for name, column in zip(names, values.T, strict=True)
        ]
    )


def _plane(axes: Axes, plane: Plane) -> pd.DataFrame:
    signed = bool((plane.z < 0).any())
    limit = float(np.abs(plane.z).max())
    mesh = axes.pcolormesh(
        plane.x, plane.y, plane.z, cmap="RdBu_r" if signed else "viridis", vmin=-limit if signed else 0, vmax=limit,
        shading="nearest", rasterized=True,
    )  # fmt: skip
    bar = axes.figure.colorbar(mesh, ax=axes)
    bar.set_label(_mathematical(plane.z_label))
    bar.ax.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_aspect("equal")
    axes.grid(False)
    axes.set_xlabel(_mathematical(plane.x_label))
    axes.set_ylabel(_mathematical(plane.y_label))
    x, y = np.meshgrid(plane.x, plane.y)
    return pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "z": plane.z.ravel()})


def _bars(axes: Axes, bars: Bars) -> pd.DataFrame:
    places = np.arange(len(bars.names))
    axes.barh(places, bars.values, color=sns.color_palette(style.PALETTE)[0], height=0.6)
    axes.set_yticks(places, [_mathematical(name) for name in bars.names])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlabel(_mathematical(bars.label))
    return pd.DataFrame({"series": bars.names, "y": bars.values})


def _mathematical(label: str) -> str:
    def typeset(found: re.Match) -> str:
        symbol = "\\lambda" if found[1] == "lambda" else found[1]
        return f"${symbol}_{{{found[2]}}}{f'^{found[3]}' if found[3] else ''}$"

    return SYMBOL.sub(typeset, label)
