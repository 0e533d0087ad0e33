"""What a dataset's target looks like, as plain arrays that a figure can draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Curve:
    """Lines over x, shape (n,): y has shape (n,), or (n, number of series). `log` asks for logarithmic axes."""

    x: np.ndarray
    y: np.ndarray
    x_label: str
    y_label: str
    log: bool = False
    series: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Plane:
    """A heat map: x has shape (n,), y shape (m,), and z[j, i], shape (m, n), belongs to x[i] and y[j]."""

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    x_label: str
    y_label: str
    z_label: str


@dataclass(frozen=True, eq=False)
class Bars:
    """One bar for each name, as high as its value, values of shape (number of names,)."""

    names: tuple[str, ...]
    values: np.ndarray
    label: str
