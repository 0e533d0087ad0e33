"""The scales of a reproduction, from the smallest to the largest. Only the standard library: the plan reads them, too."""

SCALES = ("smoke", "reduced", "full")


def large_enough(scale: str, smallest: str) -> bool:
    """Whether ``scale`` is at least ``smallest``; ``ValueError`` for an unknown scale."""
    for name in (scale, smallest):
        if name not in SCALES:
            raise ValueError(f"unknown scale {name!r}; the scales are {' < '.join(SCALES)}")
    return SCALES.index(scale) >= SCALES.index(smallest)


def larger(first: str, second: str) -> str:
    """The larger of two scales."""
    return first if large_enough(first, second) else second
