"""Training of many networks at once, and reading what was trained."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Training": "loop",
        "Network": "loop",
        "SpeedLimitedSGD": "speed_limited",
        "TrainedRun": "reading",
        "speed_groups": "speed_limited",
    },
)
