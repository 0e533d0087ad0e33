"""Bootstrap intervals: coverage by simulation, determinism, degenerate and infinite samples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich.intervals import Interval, generator_for, interval

INF = math.inf


@pytest.mark.parametrize(
    ("size", "least", "most"), [(3, 0.62, 0.84), (5, 0.74, 0.92), (10, 0.84, 0.96), (40, 0.90, 0.99)]
)
def test_coverage_of_the_mean(size, least, most):
    """The share of intervals that cover the true mean is as documented (73 %, 83 %, 90 %, and near 95 % for many)."""
    generator = np.random.default_rng(0)
    found = [interval(generator.normal(2, 1, size), generator=generator, resamples=499) for _ in range(400)]
    assert least <= np.mean([each.low <= 2 <= each.high for each in found]) <= most


def test_an_interval_depends_on_the_generator_alone():
    values = np.random.default_rng(0).lognormal(size=8)
    first, again, other = (interval(values, generator=generator_for("paper", name)) for name in ("a", "a", "b"))
    assert first == again
    assert first.method == "BCa" and first.low < first.value < first.high
    assert other.low == pytest.approx(first.low, rel=0.1)


@pytest.mark.parametrize(
    ("values", "statistic", "expected"),
    [
        ([2.0, 2.0, 2.0], "mean", Interval(2.0, 2.0, 2.0, 3, "degenerate")),
        ([INF] * 4, "median", Interval(INF, INF, INF, 4, "degenerate")),
        ([1.0, 2.0, 3.0, INF, INF], "median", Interval(3.0, 1.0, INF, 5, "percentile")),
        ([INF, INF, INF, INF, 5.0], "median", Interval(INF, 5.0, INF, 5, "percentile")),
    ],
)
def test_degenerate_and_infinite_samples(values, statistic, expected):
    found = interval(values, generator=generator_for("x"), statistic=statistic)
    if values[-1] == 5.0:  # the chance that the median of a resample is finite is 6 %
        assert (found.value, found.high, found.method) == (INF, INF, "percentile") and found.low in (5.0, INF)
    else:
        assert found == expected


def test_samples_without_an_interval():
    for values in ([1.0], [INF, -INF, 1.0]):
        found = interval(values, generator=generator_for("x"))
        assert math.isnan(found.low) and math.isnan(found.high) and found.method == "none"
    for values, options, message in (
        ([1.0, math.nan], {}, "1 of 2 values are NaN"),
        ([], {}, "at least one value"),
        ([1.0], {"statistic": "mode"}, "unknown statistic 'mode'; allowed: mean, median"),
        ([1.0], {"confidence": 95}, "confidence 95 is not between 0 and 1"),
    ):
        with pytest.raises(ValueError, match=message):
            interval(values, generator=generator_for("x"), **options)


def test_an_undefined_correction_falls_back_to_the_percentile_interval():
    # every leave-one-out median is 1, so that the acceleration is 0/0
    found = interval([0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], generator=generator_for("x"), statistic="median")
    assert found.low <= 1.0 <= found.high and found.method in ("BCa", "percentile")


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=12))
def test_an_interval_lies_within_the_sample(values):
    found = interval(values, generator=generator_for("x"), resamples=99)
    assert min(values) - 1e-6 <= found.low <= found.high <= max(values) + 1e-6
