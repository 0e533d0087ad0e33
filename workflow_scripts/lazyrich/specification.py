"""Read one value out of a plain specification mapping, with an error that names the value and the mend.

The workflow's configuration has been validated against its schemas before it comes here; these checks are for those who
call the library with a mapping of their own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

_MISSING = object()


def _value(spec: Mapping[str, Any], key: str, default: Any) -> Any:
    value = spec.get(key, default)
    if value is _MISSING:
        raise ValueError(f"the key {key!r} is missing from the specification {dict(spec)!r}; add it")
    return value


def whole_number(spec: Mapping[str, Any], key: str, default: Any = _MISSING, *, minimum: int = 1) -> int:
    """The whole number at `key` (an integral float such as 10.0 counts), at least `minimum`; ValueError otherwise."""
    value = _value(spec, key, default)
    integral = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
    if isinstance(value, bool) or not integral or value < minimum:
        raise ValueError(f"{key} is {value!r}; give a whole number of at least {minimum}")
    return int(value)


def positive_number(spec: Mapping[str, Any], key: str, default: Any = _MISSING) -> float:
    """The positive finite number at `key`; ValueError otherwise."""
    value = _value(spec, key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{key} is {value!r}; give a positive finite number")
    return float(value)


def choice(spec: Mapping[str, Any], key: str, allowed: Collection[str], default: Any = _MISSING) -> str:
    """The name at `key`, one of `allowed`; ValueError otherwise."""
    value = _value(spec, key, default)
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{key} is {value!r}; give one of {', '.join(allowed)}")
    return value


def flag(spec: Mapping[str, Any], key: str, default: Any = _MISSING) -> bool:
    """The truth value at `key`; ValueError otherwise."""
    value = _value(spec, key, default)
    if not isinstance(value, bool):
        raise ValueError(f"{key} is {value!r}; give true or false")
    return value


def required(spec: Mapping[str, Any], key: str) -> Any:
    """The value at `key`, whatever it is; ValueError where there is none."""
    return _value(spec, key, _MISSING)


def non_negative_number(spec: Mapping[str, Any], key: str, default: float) -> float:
    """The finite number at `key`, at least 0, or `default` where there is none; ValueError otherwise."""
    value = spec.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{key} is {value!r}; give a finite number of at least 0")
    return float(value)


def number_above(spec: Mapping[str, Any], key: str, bound: float) -> float:
    """The finite number at `key`, above `bound` >= 0; ValueError otherwise."""
    value = positive_number(spec, key)
    if value <= bound:
        raise ValueError(f"{key} is {spec[key]!r}; give a number above {bound:g}")
    return value


def whole_number_up_to(spec: Mapping[str, Any], key: str, maximum: int, default: int | None = None) -> int:
    """The whole number at `key`, from 1 to `maximum`, or `default` where there is none; ValueError otherwise."""
    value = whole_number(spec, key, _MISSING if default is None else default)
    if value > maximum:
        raise ValueError(f"{key} is {value}; give a whole number of at most {maximum}")
    return value
