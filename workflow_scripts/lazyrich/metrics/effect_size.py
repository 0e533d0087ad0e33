"""How well a metric separates two kinds of networks, such as those trained on true and on shuffled labels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lazyrich.intervals import Interval, Statistic, interval


class Separation(NamedTuple):
    """Both scores with their intervals over seeds."""

    effect_size: Interval
    ranking: Interval


def paired_effect_size(first: ArrayLike, second: ArrayLike) -> float:
    """Cohen's d of paired seeds, d_z = mean(x - y) / sd(x - y), the standard deviation with n - 1 in the denominator.

    Args:
        first, second: (n,), the metric of the same n >= 2 seeds under two conditions.

    Returns:
        A number without units, positive if `first` is larger; 0 if all differences vanish, infinite if they are equal
        and do not. d sqrt(n) is the statistic of the paired t-test. With few seeds d is biased upwards, by a factor of
        about 1 + 3 / (4 n - 5).

    Raises:
        ValueError: for other shapes, fewer than two seeds, or values that are not finite.

    Source: Cohen, Statistical power analysis for the behavioral sciences (1988), chapter 2; Lakens, Front. Psychol. 4
    (2013) 863.
    """
    x, y = _paired(first, second)
    return float(_effect_size(x - y, axis=-1))


def ranking_probability(first: ArrayLike, second: ArrayLike) -> float:
    """P(x > y) + P(x = y) / 2 over all pairs of a value x of `first` and y of `second`: the area under the ROC curve.

    Args:
        first, second: (n,) and (m,), the metric of networks of two kinds. Infinities have their place in the ranking.

    Returns:
        A number in [0, 1]: 1/2 for a metric that does not tell the kinds apart, 1 if every x is larger than every y, 0
        if smaller. It is the Mann-Whitney U divided by n m, so no monotonic rescaling of the metric changes it.

    Raises:
        ValueError: for other shapes, no values, or NaN.
    """
    return float(_wins(first, second).mean())


def separation(
    first: ArrayLike,
    second: ArrayLike,
    *,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 9999,
) -> Separation:
    """`paired_effect_size` and `ranking_probability` of n paired seeds, (n,) each, with bootstrap intervals.

    Seeds are resampled, each with both its values, by `lazyrich.intervals.interval`: networks of one seed share their
    initial weights, so seeds are the independent units. Where the two kinds are completely separated every resample
    ranks them the same and the interval of the ranking has no width: the seeds show no overlap, which is not a proof
    that there is none. With three or four seeds an end of the effect size may be infinite, because resamples of one
    seed have no spread.

    Args:
        generator, confidence, resamples: see `lazyrich.intervals.interval`.
    """
    x, y = _paired(first, second)
    wins = _wins(x, y)

    def ranking(seeds: NDArray[np.int64], axis: int = -1) -> NDArray[np.float64]:
        chosen = np.moveaxis(np.asarray(seeds, dtype=np.int64), axis, -1)
        return wins[chosen[..., :, None], chosen[..., None, :]].mean(axis=(-2, -1))

    def over_seeds(values: NDArray, statistic: Statistic) -> Interval:
        return interval(values, generator=generator, statistic=statistic, confidence=confidence, resamples=resamples)

    return Separation(over_seeds(x - y, _effect_size), over_seeds(np.arange(len(x)), ranking))


def _effect_size(differences: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    mean, deviation = differences.mean(axis=axis), differences.std(axis=axis, ddof=1)
    # The deviation of equal numbers is round-off, not spread.
    deviation = np.where(np.ptp(differences, axis=axis) == 0, 0.0, deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, mean / deviation)


def _wins(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """1 where x_i > y_j, 1/2 where they are equal, else 0: (n, m)."""
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 1 or y.ndim != 1 or not x.size or not y.size or np.isnan(x).any() or np.isnan(y).any():
        raise ValueError(
            f"a ranking needs two lists of at least one number, none of them NaN, not shapes {x.shape} and {y.shape} "
            f"with {np.isnan(x).sum() + np.isnan(y).sum()} NaN; leave diverged seeds out, and count them"
        )
    return (x[:, None] > y) + (x[:, None] == y) / 2


def _paired(first: ArrayLike, second: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
        raise ValueError(f"paired seeds have shapes {x.shape} and {y.shape}; give (n,) twice, of n >= 2 same seeds")
    if not all(map(math.isfinite, (*x, *y))):
        raise ValueError(
            "paired seeds have values that are not finite; leave diverged seeds out in both, and count them"
        )
    return x, y
