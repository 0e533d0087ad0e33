"""Read the monomials of a staircase, such as [[1], [1, 2], [1, 2, 3]], and check that they climb in small steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lazyrich.datasets.targets.leap import leap_complexity, out_of_reach
from lazyrich.specification import whole_number

Coordinates = tuple[int, ...]


def read_monomials(spec: Mapping[str, Any], dimension: int) -> dict[Coordinates, float]:
    """Sorted coordinates, counted from 1 -> coefficient, from the keys `monomials`, `coefficients` and `leap`.

    ValueError, naming the value and the mend, unless the monomials are distinct, not constant, made of distinct
    coordinates from 1 to `dimension`, have finite coefficients that are not zero, and can be ordered so that each adds
    at most `leap` (default 1) coordinates to those before it. Also when there is an `order` beside them.
    """
    if "order" in spec:
        raise ValueError(f"order is {spec['order']!r} and monomials is {spec['monomials']!r}; give one of the two")
    monomials = spec["monomials"]
    if not isinstance(monomials, list | tuple) or not monomials:
        raise ValueError(f"monomials is {monomials!r}; give a list of at least one monomial, such as [[1], [1, 2]]")
    read = [_coordinates(monomial, dimension) for monomial in monomials]
    for position, monomial in enumerate(read):
        if monomial in read[:position]:
            raise ValueError(f"monomials holds {_spell(monomial)} twice; give each monomial once")
    _check_leap(read, whole_number(spec, "leap", 1))
    return dict(zip(read, _coefficients(spec, len(read)), strict=True))


def _coordinates(monomial: Any, dimension: int) -> Coordinates:
    if not isinstance(monomial, list | tuple):
        raise ValueError(f"monomials holds {monomial!r}; give each monomial as a list of coordinates, such as [1, 2]")
    if not monomial:
        raise ValueError("monomials holds [], the constant; give every monomial at least one coordinate")
    for index in monomial:
        if isinstance(index, bool) or not isinstance(index, int | float) or index not in range(1, dimension + 1):
            raise ValueError(
                f"monomials holds {monomial!r} with coordinate {index!r}; "
                f"give whole numbers from 1 to the dimension {dimension}"
            )
    read = tuple(sorted(int(index) for index in monomial))
    if len(set(read)) < len(read):
        raise ValueError(
            f"monomials holds {monomial!r}, which repeats a coordinate; x^2 = 1, so name each at most once"
        )
    return read


def _coefficients(spec: Mapping[str, Any], count: int) -> list[float]:
    values = spec.get("coefficients", [1.0] * count)
    if not isinstance(values, list | tuple) or len(values) != count:
        raise ValueError(f"coefficients is {values!r}; give a list of {count} numbers, one for each monomial")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value == 0:
            raise ValueError(f"coefficients holds {value!r}; give finite numbers that are not zero")
    return [float(value) for value in values]


def _check_leap(monomials: list[Coordinates], allowed: int) -> None:
    beyond = [_spell(monomials[position]) for position in out_of_reach(monomials, allowed)]
    if beyond:
        found = leap_complexity(monomials)
        raise ValueError(
            f"monomials leap to {', '.join(beyond)}: every order somewhere adds at least {found} new coordinates "
            f"at once, and leap is {allowed}; give leap: {found} to allow it, or add monomials between"
        )


def _spell(monomial: Coordinates) -> str:
    return " ".join(f"x{index}" for index in monomial)
