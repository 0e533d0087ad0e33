"""Centred kernel alignment (CKA) and the Hilbert-Schmidt independence criterion (HSIC) of two Gram matrices.

The matrices are read in bands of rows, twice (once to find the means, once to centre), so they can be larger than
memory: a NumPy array, or anything that has a `shape` and gives rows for a slice (a Zarr array, a memory map).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

MEMORY_BUDGET = 512 * 2**20
# Entries of a band of an array in memory: small enough to stay in cache between the passes over it.
BAND_ENTRIES = 2**17


class Rows(Protocol):
    """What gives a band of rows for a slice, such as a Zarr array."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, band: slice, /) -> Any: ...


Matrix = ArrayLike | Rows


def centered_kernel_alignment(
    K: Matrix, L: Matrix, centered: bool = True, unbiased: bool = False, *, memory_budget: int = MEMORY_BUDGET
) -> float:
    """CKA(K, L) = <K', L'>_F / (||K'||_F ||L'||_F), with K' = H K H and H = I - 11^T/n.

    Args:
        K, L: (n, n) symmetric Gram matrices of the same samples, in any type; accumulated in float64.
        centered: False drops H (plain kernel alignment).
        unbiased: use the unbiased estimator of HSIC (Song et al. 2012) in all three places, which removes the upward
            bias when there are more features than samples; it can be negative, and needs n >= 4.
        memory_budget: bytes of working memory (at least one row of either matrix).

    Returns:
        A number in [0, 1] for positive semi-definite kernels (not if `unbiased`); 1 iff K' and L' are proportional; NaN
        if either vanishes (a constant kernel has no centred part).

    Raises:
        ValueError: for shapes that do not agree, entries that are not finite, or `unbiased` without `centered`.

    Source: Cortes, Mohri and Rostamizadeh, JMLR 2012; Kornblith et al., arXiv 1905.00414.
    """
    found = _inner_products(K, L, centered, unbiased, memory_budget)
    if found.vanishing:
        return float("nan")
    return found.product / (found.norm * found.other_norm)


def centered_kernel_distance(
    K: Matrix, L: Matrix, centered: bool = True, unbiased: bool = False, *, memory_budget: int = MEMORY_BUDGET
) -> float:
    """1 - CKA(K, L), with all its digits also where CKA is 1 - 1e-15; arguments of `centered_kernel_alignment`.

    With k = ||K'||, l = ||L'|| and any s > 0, 1 - CKA = (||K' - s L'||^2 - (k - s l)^2) / (2 s k l). The s is k / l as
    the first rows have it, so both terms vanish as K' and L' become proportional, and no digits cancel.
    """
    found = _inner_products(K, L, centered, unbiased, memory_budget)
    if found.vanishing:
        return float("nan")
    scaled = found.scale * found.other_norm
    distance = (found.squared_difference - (found.norm - scaled) ** 2) / (2 * found.norm * scaled)
    return max(distance, 0.0)


def hilbert_schmidt_independence_criterion(
    K: Matrix, L: Matrix, unbiased: bool = False, *, memory_budget: int = MEMORY_BUDGET
) -> float:
    """HSIC of two (n, n) Gram matrices: tr(K H L H) / (n - 1)^2 or, if `unbiased`, the U-statistic of Song et al.
    (2012), n >= 4.
    """
    found = _inner_products(K, L, True, unbiased, memory_budget)
    return found.product / (found.n * (found.n - 3) if unbiased else (found.n - 1) ** 2)


class _InnerProducts(NamedTuple):
    """<K', L'>, ||K'||, ||L'||, and ||K' - scale L'||^2; whether K' or L' is nothing but round-off."""

    n: int
    product: float
    norm: float
    other_norm: float
    scale: float
    squared_difference: float
    vanishing: bool


class _Centering(NamedTuple):
    """What a band loses: `rows` (n,) and `columns` (n,) means, with half of the overall one back in each.

    If unbiased, the diagonal is dropped and the means are those that make <K', L'> / (n (n - 3)) the unbiased HSIC.
    `size` is ||K||_F, against which round-off is judged.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float64]
    unbiased: bool
    size: float


def _inner_products(K: Matrix, L: Matrix, centered: bool, unbiased: bool, memory_budget: int) -> _InnerProducts:
    matrices = [cast(Rows, matrix if hasattr(matrix, "shape") else np.asarray(matrix)) for matrix in (K, L)]
    n = _samples(*matrices)
    if unbiased and not centered:
        raise ValueError("unbiased=True estimates the centred HSIC; it needs centered=True")
    if unbiased and n < 4:
        raise ValueError(f"the unbiased estimator needs at least 4 samples, not {n}")
    bands = list(_bands(n, matrices, memory_budget))
    centerings = [_centering(matrix, n, bands, centered, unbiased) for matrix in matrices]
    sums: list[list[float]] = [[], [], [], []]
    scale = 0.0
    for band in bands:
        first, second = (_centred(matrix, band, c) for matrix, c in zip(matrices, centerings, strict=True))
        products = [float(np.vdot(a, b)) for a, b in ((first, second), (first, first), (second, second))]
        if scale == 0.0 and products[1] > 0 and products[2] > 0:
            scale = math.sqrt(products[1] / products[2])
        second *= scale or 1.0
        first -= second
        for total, value in zip(sums, (*products, float(np.vdot(first, first))), strict=True):
            total.append(value)
    product, square, other_square, difference = map(math.fsum, sums)
    norm, other_norm = math.sqrt(square), math.sqrt(other_square)
    # A kernel that is constant up to round-off has nothing but round-off left.
    vanishing = norm <= 1e-14 * centerings[0].size or other_norm <= 1e-14 * centerings[1].size
    return _InnerProducts(n, product, norm, other_norm, scale or 1.0, difference, vanishing)


def _samples(K: Rows, L: Rows) -> int:
    if len(K.shape) != 2 or K.shape[0] != K.shape[1] or tuple(K.shape) != tuple(L.shape):
        raise ValueError(
            f"kernels have shapes {tuple(K.shape)} and {tuple(L.shape)}; expected (n, n) twice, of the same samples"
        )
    return int(K.shape[0])


def _bands(n: int, matrices: list[Rows], memory_budget: int) -> Iterator[slice]:
    """Bands of rows for which two float64 copies and what is read for them fit; whole chunks where there are any."""
    rows = max(1, memory_budget // (4 * 8 * max(1, n)))
    chunk = max(int((getattr(matrix, "chunks", None) or (0,))[0]) for matrix in matrices)
    if not chunk:
        rows = min(rows, max(1, BAND_ENTRIES // max(1, n)))
    elif rows > chunk:
        rows -= rows % chunk
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def _read(matrix: Rows, band: slice) -> NDArray[np.float64]:
    return np.array(matrix[band], dtype=np.float64, order="C")


def _centering(matrix: Rows, n: int, bands: list[slice], centered: bool, unbiased: bool) -> _Centering:
    rows, columns, squares = np.zeros(n), np.zeros(n), []
    for band in bands:
        values = _read(matrix, band)
        squares.append(float(np.vdot(values, values)))
        if not math.isfinite(squares[-1]) and not np.isfinite(values).all():
            raise ValueError(
                f"rows {band.start} to {band.stop - 1} of a kernel hold entries that are not finite; "
                "was it computed to the end?"
            )
        if unbiased:
            _drop_diagonal(values, band)
        if centered:
            rows[band] = values.sum(axis=1)
            columns += values.sum(axis=0)
    # Half of the overall mean goes with the rows and half with the columns.
    count = n - 2 if unbiased else n
    overall = rows.sum() / (count * (n - 1) if unbiased else count * n)
    means = (rows / count - overall / 2, columns / count - overall / 2)
    return _Centering(*means, unbiased, math.sqrt(math.fsum(squares)))


def _centred(matrix: Rows, band: slice, centering: _Centering) -> NDArray[np.float64]:
    values = _read(matrix, band)
    values -= centering.columns
    values -= centering.rows[band, None]
    if centering.unbiased:
        _drop_diagonal(values, band)
    return values


def _drop_diagonal(values: NDArray[np.float64], band: slice) -> None:
    positions = np.arange(band.stop - band.start)
    values[positions, positions + band.start] = 0.0
