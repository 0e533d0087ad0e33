"""From an interval over seeds to a verdict: reproduced, not reproduced, undecided or needs a larger scale."""

import math
from dataclasses import dataclass

from lazyrich.intervals import Interval

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
UNDECIDED = "undecided"
NEEDS_LARGER_SCALE = "needs a larger scale"
VERDICTS = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NEEDS_LARGER_SCALE)

DEFAULT_SEEDS = 3


@dataclass(frozen=True)
class Range:
    """What a claim expects: the closed interval [low, high], widened on both sides by ``tolerance`` (in one unit)."""

    low: float = -math.inf
    high: float = math.inf
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"expected at_least {self.low:g} is above at_most {self.high:g}")
        if self.low == -math.inf and self.high == math.inf:
            raise ValueError("a claim without bounds can never fail; give expected at_least, at_most or both")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"tolerance {self.tolerance!r} must be a finite number of at least 0")

    @property
    def widened(self) -> tuple[float, float]:
        """The ends with the tolerance applied."""
        return self.low - self.tolerance, self.high + self.tolerance

    def __str__(self) -> str:
        if self.high == math.inf:
            return f"at least {self.low:g}"
        if self.low == -math.inf:
            return f"at most {self.high:g}"
        return f"{self.low:g} to {self.high:g}"


def expected_range(expected: dict[str, float], tolerance: float = 0.0) -> Range:
    """The range of a claim's ``expected``: ``at_least``, ``at_most`` or both; ``ValueError`` for impossible bounds."""
    unknown = set(expected) - {"at_least", "at_most"}
    if unknown:
        raise ValueError(f"unknown keys {', '.join(sorted(unknown))} in expected; allowed: at_least, at_most")
    low, high = expected.get("at_least", -math.inf), expected.get("at_most", math.inf)
    return Range(float(low), float(high), float(tolerance))


def judge(estimate: Interval, expected: Range, *, min_seeds: int = DEFAULT_SEEDS, excluded: int = 0) -> tuple[str, str]:
    """The verdict on a measured interval, and the reason in words.

    - fewer than ``min_seeds`` seeds, more seeds ``excluded`` (diverged) than kept, or no interval -> undecided;
    - interval inside the widened range -> reproduced (the ends count as inside);
    - interval disjoint from it -> not reproduced;
    - else, the interval crosses an end -> undecided: the seeds at hand do not settle it.
    """
    if estimate.count < min_seeds:
        return UNDECIDED, f"only {count(estimate.count, 'seed')}, and the claim asks for at least {min_seeds}"
    if excluded > estimate.count:
        return (
            UNDECIDED,
            f"{excluded} of {estimate.count + excluded} seeds have no value, so the others are a selection",
        )
    if math.isnan(estimate.low) or math.isnan(estimate.high):
        return UNDECIDED, "the seeds give no interval"
    low, high = expected.widened
    widened = " widened by the tolerance" if expected.tolerance else ""
    if low <= estimate.low and estimate.high <= high:
        return REPRODUCED, f"the 95 % interval lies within the expected range{widened}"
    if estimate.low > high or estimate.high < low:
        return (
            NOT_REPRODUCED,
            f"the 95 % interval lies wholly {'above' if estimate.low > high else 'below'} the expected range{widened}",
        )
    return UNDECIDED, f"the 95 % interval crosses an end of the expected range{widened}"


def count(number: int, noun: str) -> str:
    """``count(1, "seed")`` is "1 seed", ``count(2, "seed")`` is "2 seeds"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
