"""Bootstrap confidence intervals over seeds, the only measure of uncertainty in figures and claims."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

Statistic = Callable[..., np.ndarray]
STATISTICS: dict[str, Statistic] = {"mean": np.mean, "median": np.median}


@dataclass(frozen=True)
class Interval:
    """A statistic over seeds and its confidence interval; ``low`` and ``high`` are NaN where the data give none."""

    value: float
    low: float
    high: float
    count: int  # seeds
    method: str  # "BCa", "percentile", "degenerate" or "none"


def generator_for(*purpose: object) -> np.random.Generator:
    """A generator that depends on nothing but the words of ``purpose``, e.g. the names of a paper and a claim."""
    return np.random.default_rng(list("/".join(map(str, purpose)).encode()))


def interval(
    values: ArrayLike,
    *,
    generator: np.random.Generator,
    statistic: str | Statistic = "mean",
    confidence: float = 0.95,
    resamples: int = 9999,
) -> Interval:
    """The bootstrap interval of a statistic over independent seeds.

    Args:
        values: one number per seed, shape (n,); infinities are allowed (a critical size that was never reached), NaN
            is not.
        generator: makes the resamples; the same generator state gives the same interval.
        statistic: "mean", "median", or a function of an array and `axis`, along which it takes the statistic.
        confidence: nominal coverage, in (0, 1).
        resamples: number of bootstrap samples of size n, drawn with replacement.

    The method is bias-corrected and accelerated (BCa; Efron, J. Am. Stat. Assoc. 82, 171, 1987), except that

    - an infinite value among ``values``, or a BCa correction that is undefined, leads to the percentile interval,
      rounded outwards to values of the bootstrap distribution, so that an end may be infinite;
    - equal values ("degenerate") have the interval [value, value]: the seeds show no spread, which is not a proof
      that there is none;
    - a single value, or a mean over infinities of both signs, has no interval ("none", ends NaN).

    With few seeds the bootstrap is too narrow: at nominal 95 % the mean of normal values is covered in about 73 % (n
    = 3), 83 % (n = 5) and 90 % (n = 10) of experiments. Hence claims ask for a least number of seeds.

    Raises:
        ValueError: for NaN, an empty sample, an unknown statistic or a confidence outside (0, 1).
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size == 0:
        raise ValueError(f"an interval needs a sequence of at least one value, not an array of shape {sample.shape}")
    if np.isnan(sample).any():
        raise ValueError(
            f"{np.isnan(sample).sum()} of {sample.size} values are NaN; leave diverged seeds out, and count them"
        )
    if not callable(statistic) and statistic not in STATISTICS:
        raise ValueError(f"unknown statistic {statistic!r}; allowed: {', '.join(STATISTICS)}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence!r} is not between 0 and 1; give 0.95 for 95 %")
    function = statistic if callable(statistic) else STATISTICS[statistic]
    with np.errstate(invalid="ignore"):  # inf - inf: the mean over infinities of both signs
        value = float(function(sample, axis=0))
    if sample.size == 1 or np.isnan(value):
        return Interval(value, np.nan, np.nan, sample.size, "none")
    if (sample == sample[0]).all():
        return Interval(value, value, value, sample.size, "degenerate")
    if np.isfinite(sample).all():
        low, high = _bca(sample, function, confidence, resamples, generator)
        if np.isfinite([low, high]).all():
            return Interval(value, low, high, sample.size, "BCa")
    low, high = _percentile(sample, function, confidence, resamples, generator)
    return Interval(value, low, high, sample.size, "percentile")


def _bca(
    sample: np.ndarray, function: Statistic, confidence: float, resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter(
            "ignore"
        )  # a degenerate distribution: the result is NaN and the percentile interval is taken
        result = stats.bootstrap(
            (sample,),
            function,
            n_resamples=resamples,
            confidence_level=confidence,
            method="BCa",
            rng=generator,
            vectorized=True,
        )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def _percentile(
    sample: np.ndarray, function: Statistic, confidence: float, resamples: int, generator: np.random.Generator
) -> tuple[float, float]:
    drawn = function(sample[generator.integers(sample.size, size=(resamples, sample.size))], axis=1)
    tail = (1 - confidence) / 2
    # `lower` and `higher` pick values that occurred: interpolating between a finite and an infinite one would give NaN.
    return float(np.quantile(drawn, tail, method="lower")), float(np.quantile(drawn, 1 - tail, method="higher"))
