"""How far an approximate spectrum is from the exact one: eigenvalues, eigenfunctions, and what metrics make of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.power import cumulative_power
from lazyrich.metrics.utility import cumulative_quality, cumulative_utility


@dataclass(frozen=True)
class SampledSpectrum:
    """Eigenvalues (k,), descending, of a kernel matrix on n points, or estimates of them, and its leading eigenfunctions
    at the points, (n, r), as independent columns of any length.
    """

    values: NDArray[np.float64]
    functions: NDArray[np.float64]


def spectral_errors(
    exact: SampledSpectrum,
    estimate: SampledSpectrum,
    held_out: NDArray[np.intp],
    targets: ArrayLike,
    outputs: ArrayLike | None = None,
) -> dict[str, float]:
    """Errors of an estimated spectrum, by name; all are 0 where it is exact. With r the number of leading functions given:

    - ``eigenvalue_error``: mean over the r leading eigenvalues of |estimate / exact - 1|;
    - ``spectrum_error``: sum over all eigenvalues of |estimate - exact|, over the trace; those not estimated count as 0;
    - ``eigenfunction_error``: `subspace_error` of the r leading functions on the points ``held_out``;
    - ``effective_dimension_error``: |estimate / exact - 1| of `effective_dimension`;
    - ``quality_error``, ``power_error`` and, with the learned `outputs`, ``utility_error``: the same of
      `cumulative_quality`, `cumulative_power` and `cumulative_utility` at r, with `targets` and `outputs` (n, C).

    Raises:
        ValueError: if the estimate has fewer than r eigenvalues or functions.
    """
    leading = exact.functions.shape[1]
    if len(estimate.values) < leading or estimate.functions.shape[1] < leading:
        raise ValueError(
            f"{leading} leading eigenpairs are compared, but the estimate has {len(estimate.values)} values and "
            f"{estimate.functions.shape[1]} functions; take at least {leading} landmarks"
        )
    estimated = np.zeros_like(exact.values)
    count = min(len(estimated), len(estimate.values))
    estimated[:count] = estimate.values[:count]
    errors = {
        "eigenvalue_error": float(np.abs(estimated[:leading] / exact.values[:leading] - 1).mean()),
        "spectrum_error": float(np.abs(estimated - exact.values).sum() / exact.values.sum()),
        "eigenfunction_error": subspace_error(exact.functions[held_out], estimate.functions[held_out, :leading]),
    }
    true, found = (_downstream(spectrum, leading, targets, outputs) for spectrum in (exact, estimate))
    return errors | {f"{name}_error": abs(found[name] / true[name] - 1) for name in true}


def subspace_error(exact: ArrayLike, estimate: ArrayLike) -> float:
    """Mean squared sine of the principal angles between the spans of two sets of functions on the same points, (n, r) each:
    1 - ||Q^T P||_F^2 / r with orthonormal bases Q and P. 0 for equal spans, 1 for orthogonal ones.

    Source: Bjorck and Golub, Math. Comp. 27, 579 (1973).
    """
    first, second = np.asarray(exact, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
    if first.ndim != 2 or first.shape != second.shape or first.shape[0] < first.shape[1]:
        raise ValueError(
            f"functions have shapes {first.shape} and {second.shape}; expected (points, functions) twice, with no more "
            "functions than points"
        )
    overlap = np.linalg.qr(first)[0].T @ np.linalg.qr(second)[0]
    return max(0.0, 1 - float(np.square(overlap).sum()) / first.shape[1])


def _downstream(
    spectrum: SampledSpectrum, leading: int, targets: ArrayLike, outputs: ArrayLike | None
) -> dict[str, float]:
    # The QR decomposition keeps the span of the first k columns for every k, which is all that these metrics depend on.
    vectors = np.linalg.qr(spectrum.functions[:, :leading])[0]
    found = {
        "effective_dimension": effective_dimension(spectrum.values),
        "quality": float(cumulative_quality(vectors, targets)[-1]),
        "power": float(cumulative_power(vectors, targets)[-1]),
    }
    return found if outputs is None else found | {"utility": float(cumulative_utility(vectors, outputs)[-1])}
