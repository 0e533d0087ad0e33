"""At which steps something happens."""


def logarithmic(spec: dict, last: int) -> list[int]:
    """Steps spaced evenly in the logarithm: ``per_decade`` a decade from ``first`` on, up to ``last``; none if it is 0."""
    per_decade, first = spec["per_decade"], spec["first"]
    found: set[int] = set()
    exponent = 0
    while per_decade and (step := round(first * 10 ** (exponent / per_decade))) <= last:
        found.add(step)
        exponent += 1
    return sorted(found)
