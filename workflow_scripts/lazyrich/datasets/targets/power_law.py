"""The power law k^{-exponent}, the same bits on every machine."""

from __future__ import annotations

from decimal import Context, Decimal
from functools import lru_cache

import numpy as np

_CONTEXT = Context(prec=28)  # software arithmetic: a processor's pow may differ from another's in the last bit


def power_law(count: int, exponent: float) -> np.ndarray:
    """k^{-exponent} for k = 1..count, shape (count,), float64, rounded to nearest."""
    return np.array(_power_law(count, float(exponent)))


@lru_cache(maxsize=16)
def _power_law(count: int, exponent: float) -> tuple[float, ...]:
    power = -Decimal(exponent)
    return tuple(float(_CONTEXT.power(Decimal(k), power)) for k in range(1, count + 1))
