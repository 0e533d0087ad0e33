"""The exponent of a power law, by a fit that single values cannot bend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import theilslopes

#: Places per factor of ten at which values are read: enough for a line, and as many at the start as at the end.
PLACES_PER_DECADE = 20


class PowerLaw(NamedTuple):
    """v_k ~ k^-exponent.

    Attributes:
        exponent: positive where values fall.
        low, high: ends of the bootstrap interval; NaN for fewer than 4 values, which do not give one.
        places: (n,), the k that were fitted.
    """

    exponent: float
    low: float
    high: float
    places: NDArray[np.int64]


def power_law_exponent(
    values: ArrayLike,
    window: tuple[int, int],
    *,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 1000,
) -> PowerLaw:
    """The Theil-Sen slope of -log v_k against log k, k in the window: the median of the slopes between all pairs of places.

    Values are read at about 20 places a decade, spaced evenly in log k, so that the many values at the end of the window have
    no more weight than the few at its start. The interval is the percentile bootstrap over places. It tells how far the
    values are from one straight line, and nothing of sampling errors that neighbours share: for those, compare seeds.

    Args:
        values: v_1, v_2, ..., (n,).
        window: first and last k, counted from 1, both within the values. Values that are not positive are left out.
        generator: makes the resamples.

    Raises:
        ValueError: for a window that is not there, a confidence outside (0, 1), or fewer than 3 positive values.

    Source: Theil 1950; Sen, J. Am. Stat. Assoc. 63 (1968) 1379.
    """
    v = np.asarray(values, dtype=np.float64).ravel()
    first, last = window
    if not 1 <= first < last <= v.size:
        raise ValueError(f"window {first} to {last} is not there: give first < last between 1 and {v.size}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence!r} is not between 0 and 1; give 0.95 for 95 %")
    count = max(3, int(np.ceil(PLACES_PER_DECADE * np.log10(last / first))) + 1)
    places = np.unique(np.geomspace(first, last, count).round().astype(np.int64))
    places = places[v[places - 1] > 0]
    if len(places) < 3:
        raise ValueError(
            f"only {len(places)} of the values in the window {first} to {last} are positive; a line needs 3"
        )
    log_k, log_v = np.log(places), np.log(v[places - 1])
    exponent = -float(theilslopes(log_v, log_k).slope)
    if len(places) < 4:
        return PowerLaw(exponent, float("nan"), float("nan"), places)
    slopes = _bootstrap(log_k, log_v, generator, resamples)
    low, high = np.quantile(-slopes, [(1 - confidence) / 2, (1 + confidence) / 2])
    return PowerLaw(exponent, float(low), float(high), places)


def _bootstrap(
    x: NDArray[np.float64], y: NDArray[np.float64], generator: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Theil-Sen slopes of resamples of the points; pairs of one point with itself have no slope and do not count."""
    n = len(x)
    with np.errstate(invalid="ignore"):
        slopes = (y[:, None] - y) / (x[:, None] - x)  # NaN on the diagonal
    left, right = np.triu_indices(n, 1)
    found = np.full(resamples, np.nan)
    for index in range(resamples):
        chosen = generator.integers(n, size=n)
        drawn = slopes[chosen[left], chosen[right]]
        drawn = drawn[~np.isnan(drawn)]
        if drawn.size:  # not all n draws are the same point
            found[index] = np.median(drawn)
    return found[~np.isnan(found)]
