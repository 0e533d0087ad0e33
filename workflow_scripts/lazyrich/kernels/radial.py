"""Kernels of the distance alone, Gaussian and Laplace, and the median heuristic for their bandwidth, in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from lazyrich.kernels.pairwise import flattened, in_chunks

# Entries worked on at once: an array of 2 MiB stays in cache.
CHUNK_ENTRIES = 2**18

# Squared distances below this share of the squared norms are round-off of a repeated point, and taken as 0: the root in
# the Laplace kernel would turn 1e-16 into 1e-8.
SAME_POINT = 64 * np.finfo(np.float64).eps


def rbf_kernel(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None = None, *, bandwidth: float
) -> NDArray[np.float64]:
    """Gaussian kernel K(x, x') = exp(-||x - x'||^2 / (2 bandwidth^2)).

    scikit-learn's `gamma` is 1 / (2 bandwidth^2).

    Args:
        x1, x2: inputs (n1, ...) and (n2, ...), flattened to d numbers each; `x2=None` means `x1`.
        bandwidth: in the units of the inputs, positive. See `median_bandwidth`.

    Returns:
        (n1, n2), float64; for `x2=None` exactly symmetric, with ones on the diagonal. Beside it one float64 copy of the
        inputs and a chunk of 2 MiB are held.

    Raises:
        ValueError: for inputs of different sizes or that are not finite, or a bandwidth that is not positive.
    """
    _check_bandwidth(bandwidth)

    def profile(squares: NDArray[np.float64]) -> None:
        squares /= -2 * bandwidth**2
        np.exp(squares, out=squares)

    return _of_squared_distances(x1, x2, profile)


def laplace_kernel(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None = None, *, bandwidth: float
) -> NDArray[np.float64]:
    """Laplace kernel K(x, x') = exp(-||x - x'|| / bandwidth), of the Euclidean distance.

    Arguments, result and errors are those of `rbf_kernel`. scikit-learn's `laplacian_kernel` is another one, of the sum of
    absolute differences. On the sphere the eigenvalues of this one decay like those of the NTK of a ReLU network (Geifman et
    al., arXiv 2007.01580).
    """
    _check_bandwidth(bandwidth)

    def profile(squares: NDArray[np.float64]) -> None:
        np.sqrt(squares, out=squares)
        squares /= -bandwidth
        np.exp(squares, out=squares)

    return _of_squared_distances(x1, x2, profile)


def median_bandwidth(x: ArrayLike | Tensor, *, max_points: int = 4096) -> float:
    """The median of ||x_i - x_j|| over the pairs i < j, a common first choice of a bandwidth.

    Args:
        x: inputs (n, ...), flattened; n >= 2.
        max_points: of more points the first so many are taken, which are a sample of all where points are in no order.

    Raises:
        ValueError: for fewer than two points, values that are not finite, or a median of 0, which is no bandwidth.

    Source: Gretton et al., JMLR 13 (2012) 723, section 8.
    """
    points = _points(x)[:max_points]
    if len(points) < 2:
        raise ValueError(f"{len(points)} points (max_points={max_points}) have no distances; give at least 2")
    distances = _of_squared_distances(points, None, lambda squares: np.sqrt(squares, out=squares))
    median = float(np.median(distances[np.triu_indices(len(points), 1)]))
    if not median > 0:
        raise ValueError(
            f"half of the pairs of {len(points)} points coincide, so that their median distance is 0; drop repeated points, "
            "or choose a bandwidth by hand"
        )
    return median


def _check_bandwidth(bandwidth: float) -> None:
    if not (bandwidth > 0 and np.isfinite(bandwidth)):
        raise ValueError(
            f"bandwidth={bandwidth} must be positive and finite; `median_bandwidth` gives one from the inputs"
        )


def _points(x: ArrayLike | Tensor) -> NDArray[np.float64]:
    points = flattened(x)
    if not np.isfinite(points).all():
        raise ValueError(f"{int((~np.isfinite(points)).sum())} input values are not finite; mend or drop those samples")
    return points


def _of_squared_distances(
    x1: ArrayLike | Tensor, x2: ArrayLike | Tensor | None, profile: Callable[[NDArray[np.float64]], object]
) -> NDArray[np.float64]:
    """The kernel whose entries `profile` makes, in place, of ||x||^2 + ||x'||^2 - 2 x.x'.

    The mean of x1 is taken off all points, as the cancellation between the three terms grows with the norms.
    """
    rows, symmetric = _points(x1), x2 is None
    columns = rows if x2 is None else _points(x2)
    if columns.shape[1] != rows.shape[1]:
        raise ValueError(f"x1 has {rows.shape[1]} features per sample and x2 has {columns.shape[1]}; they must agree")
    mean = rows.mean(axis=0) if len(rows) else 0.0
    rows = rows - mean
    columns = rows if symmetric else columns - mean
    row_squares, column_squares = (np.einsum("ij,ij->i", points, points) for points in (rows, columns))

    def compute(chunk: slice, others: slice) -> NDArray[np.float64]:
        norms = row_squares[chunk, None] + column_squares[others]
        block = norms - 2 * (rows[chunk] @ columns[others].T)
        block[block < SAME_POINT * norms] = 0.0
        if symmetric:
            np.fill_diagonal(block, 0.0)
        profile(block)
        return block

    return in_chunks(len(rows), len(columns), symmetric, CHUNK_ENTRIES, compute)
