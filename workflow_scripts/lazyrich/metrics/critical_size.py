"""The critical dataset size over seeds: its median, an interval, and what is known where no crossing is seen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lazyrich.intervals import interval
from lazyrich.metrics.crossing import critical_dataset_size


class CriticalSize(NamedTuple):
    """m* over seeds.

    Attributes:
        value: median over seeds; infinite if at least half of them do not cross.
        low, high: ends of the bootstrap interval of the median. `low` is infinite if no seed can be told to cross, `high` if it
            cannot be excluded that none does; NaN for a single seed.
        crossed: seeds whose ratio falls below epsilon for good within the sizes.
        seeds: how many, without those that have a NaN.
        left_out: seeds with a NaN (a size that diverged).
        smallest, largest: of the sizes.
    """

    value: float
    low: float
    high: float
    crossed: int
    seeds: int
    left_out: int
    smallest: float
    largest: float

    @property
    def bound(self) -> str:
        """What is known where m* is not seen: ``"> largest"``, ``"<= smallest"``, or ``""`` where it lies within the sizes."""
        return self._words(self.value) if self.value > self.largest or self.value <= self.smallest else ""

    def __str__(self) -> str:
        """E.g. ``980 [850, 1100] (5 of 5 seeds)``, or ``> 8192 [7100, > 8192] (2 of 5 seeds)``."""
        ends = "" if np.isnan(self.low) else f" [{self._words(self.low)}, {self._words(self.high)}]"
        return f"{self._words(self.value)}{ends} ({self.crossed} of {self.seeds} seeds)"

    def _words(self, size: float) -> str:
        if size > self.largest:
            return f"> {self.largest:g}"
        return f"<= {self.smallest:g}" if size <= self.smallest else f"{size:.3g}"


def critical_size_interval(
    sizes: ArrayLike,
    ratios: ArrayLike,
    epsilon: float = 0.1,
    *,
    generator: np.random.Generator,
    confidence: float = 0.95,
    resamples: int = 9999,
) -> CriticalSize:
    """The median of `critical_dataset_size` over seeds, with a bootstrap interval, and bounds where it is not seen.

    A seed that does not cross counts as infinite: leaving it out would make m* too small. The median needs no number for it.

    Args:
        sizes: (k,), of all seeds.
        ratios: (seeds, k); a NaN leaves its seed out.
        epsilon, confidence, resamples, generator: as of `critical_dataset_size` and `lazyrich.intervals.interval`.

    Raises:
        ValueError: as these two; for ratios of another shape, or if no seed is without NaN.
    """
    m, r = np.asarray(sizes, dtype=np.float64).ravel(), np.asarray(ratios, dtype=np.float64)
    if r.ndim != 2 or r.shape[1] != m.size:
        raise ValueError(f"ratios have shape {r.shape}; expected (seeds, {m.size}), one for each of the sizes")
    complete = r[~np.isnan(r).any(axis=1)]
    if not len(complete):
        raise ValueError(f"none of the {len(r)} seeds has a ratio at every size; leave out the sizes that diverged")
    found = np.array([critical_dataset_size(m, ratio, epsilon) for ratio in complete])
    over = interval(found, generator=generator, statistic="median", confidence=confidence, resamples=resamples)
    crossed = int(np.isfinite(found).sum())
    smallest, largest = float(m.min()), float(m.max())
    return CriticalSize(over.value, over.low, over.high, crossed, len(found), len(r) - len(found), smallest, largest)
