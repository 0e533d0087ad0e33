"""The look of every figure: one style, fixed colours by meaning, legible at the width of a printed page.

Figures are made inside ``with style.context():`` and hold no global state: no pyplot, no changed defaults.
"""

import textwrap
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogFormatterMathtext, LogLocator, NullLocator

#: Default width in inches: the text width of a printed page, at which the smallest text is 7.5 points.
PAGE_WIDTH = 7.2
PALETTE = "colorblind"

#: Place of each series in the palette (10 colours) and its marker: a meaning keeps its colour over all figures.
SERIES = {
    "network": (0, "o"),
    "closed-form NTK": (1, "s"),
    "empirical NTK": (2, "^"),
    "NTK after training": (4, "D"),
    "NNGP": (8, "v"),
    "RBF kernel": (5, "P"),
    "Laplace kernel": (7, "X"),
    "true": (0, "o"),
    "shuffled": (3, "s"),
    "partly": (4, "^"),
    "initial": (7, "s"),
    "lazy": (9, "v"),
    "rich": (4, "D"),
    "uncentered": (0, "o"),
    "centered": (1, "s"),
    "features": (2, "^"),
    "ratio": (4, "D"),
    "mup": (0, "o"),
    "standard": (5, "s"),
    "ntk": (1, "^"),
    # by their order, where colours tell tasks apart: none that a network or a kernel has
    "task 1": (2, "o"),
    "task 2": (3, "s"),
    "task 3": (4, "^"),
    "task 4": (9, "D"),
    "task 5": (5, "v"),
}
#: Markers of series that have an order and no meaning of their own, such as widths.
MARKERS = "osD^vPX*"
GREY = "0.35"
#: Names that are not spelled as identifiers are.
WORDS = {
    "mlp": "MLP", "cnn": "CNN", "mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "cifar5m": "CIFAR-5M", "svhn": "SVHN",
    "celeba": "CelebA", "cifar10_large": "CIFAR-10", "mnist_large": "MNIST",
    "resnet": "ResNet", "vit": "ViT", "mup": "μP", "sgd": "gradient descent", "speed_limited": "speed limited (SLO)", "relu": "ReLU",
    "chain_wide": "chain monomial", "chain_wide_power": "chain monomial, covariance 1/k", "noise_wide": "random labels",
    "noise_wide_power": "random labels, covariance 1/k", "ntk": "NTK",
}  # fmt: skip

SIZES = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "figure.titlesize": 11,
}
LINES = {
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "axes.linewidth": 0.8,
    "grid.linewidth": 0.6,
    "grid.color": "0.9",
    "xtick.bottom": True,
    "ytick.left": True,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "xtick.major.width": 0.8,
    "ytick.major.width": 0.8,
}
# TrueType text in PDF files, so that an editor can change it; a fixed salt, so that files do not depend on the process.
FILES = {"pdf.fonttype": 42, "svg.hashsalt": "lazyrich", "savefig.facecolor": "white"}
FONT = {"font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans"], "axes.unicode_minus": True}


def context() -> AbstractContextManager:
    """The style, as a context: matplotlib's defaults, seaborn's white grid, and the sizes of this module."""
    grid = {name: value for name, value in sns.axes_style("whitegrid").items() if not name.startswith("font.")}
    # without the defaults a user's matplotlibrc would show; the backend is none of our business
    defaults = {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")}
    return mpl.rc_context(defaults | grid | SIZES | LINES | FILES | FONT)


def panels(spec: Mapping, rows: int, columns: int, height: float, **options: Any) -> tuple[Figure, np.ndarray]:
    """A figure of ``rows`` x ``columns`` axes, each row ``height`` inches high, ``spec["width"]`` inches wide."""
    width = float(spec.get("width") or PAGE_WIDTH)
    figure = Figure(figsize=(width, rows * height + 0.9), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def wrapped(spec: Mapping, count: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of ``count`` axes, at most three in a row, in rows as even as they can be."""
    rows = -(-count // 3)
    figure, grid = panels(spec, rows, -(-count // rows), height)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def colour(series: str, spec: Mapping) -> tuple[float, float, float]:
    """The colour of a series by its meaning; ``spec["palette"]`` names another seaborn palette."""
    name = spec.get("palette") or PALETTE
    try:
        return sns.color_palette(name, 10)[SERIES[series][0]]
    except ValueError as error:
        raise ValueError(f"palette {name!r} is no seaborn palette: {error}; the default is {PALETTE!r}") from error


def marker(series: str) -> str:
    """The marker of a series, so that it can be told from others without colour."""
    return SERIES[series][1]


def ordered(place: int, count: int) -> tuple[tuple[float, float, float], str]:
    """Colour and marker of the series at ``place`` of ``count`` that have an order, light to dark, in any palette."""
    return sns.color_palette("viridis_r", 100)[12 + round(82 * place / max(1, count - 1))], MARKERS[
        place % len(MARKERS)
    ]


def title(figure: Figure, spec: Mapping, default: str) -> None:
    """The title over the whole figure: ``spec["title"]`` or the figure's own, in as many lines as it takes."""
    words = spec.get("title") or default
    figure.suptitle(textwrap.fill(words, int(figure.get_figwidth() * 10)), weight="bold")


def legend(figure: Figure, handles: Mapping[str, Artist], *sentences: str) -> None:
    """One legend for the whole figure, below it, in as many columns as fit.

    ``handles`` maps words to drawn things. The sentences stand over it in small print: how to read the figure, and what
    was left out; empty ones are passed over.
    """
    longest = max(map(len, handles), default=0)
    entry = 0.6 + longest * 0.06  # inches: the sample of the line, and letters of 8 points
    width = figure.get_figwidth()
    note = textwrap.fill(" ".join(sentence for sentence in sentences if sentence), int(width * 15))
    drawn = figure.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower center",
        ncols=max(1, min(len(handles), int(width / entry))),
        frameon=False,
        handlelength=2.2,
        columnspacing=1.6,
        title=note,
        title_fontsize=7.5,
    )
    drawn.get_title().set_color(GREY)


def value_scale(axes: Axes, values: Sequence[float] | np.ndarray) -> None:
    """Logarithmic ordinate where the values span decades: ``log`` if all are positive, else ``symlog``."""
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    sizes = np.abs(finite[finite != 0])
    if not len(sizes) or sizes.max() < 30 * sizes.min():
        return
    if (finite > 0).all():
        axes.set_yscale("log")
    elif (finite < 0).any():
        axes.set_yscale("symlog", linthresh=float(np.quantile(sizes, 0.1)))


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Ticks of a logarithmic axis from ``low`` to ``high``, as many as are easily read; plain numbers if none is tiny."""
    decades = np.log10(high / low)
    axis.set_major_locator(
        LogLocator(subs=(1, 2, 5) if decades < 1.5 else (1, 3) if decades < 3 else (1,), numticks=12)
    )
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(plain_numbers) if low > 1e-5 else LogFormatterMathtext())


def words(name: str) -> str:
    """An identifier in words: "multi_index" is "multi index"; names of architectures and data sets as the field writes them."""
    return WORDS.get(name, name.replace("_", " "))


def few(values: Sequence[float]) -> Sequence[float]:
    """At most four of the values, evenly spaced, to be labelled."""
    return values[:: max(1, -(-len(values) // 4))]


def plain_numbers(value: float, _position: object = None) -> str:
    """A tick label without powers of ten: "0.01", "1", "1,000"."""
    return f"{value:,.0f}" if abs(value) >= 1 else f"{value:g}"
