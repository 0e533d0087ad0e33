"""Datasets: synthetic targets with closed forms, and real images."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Dataset": "reading",
        "Split": "reading",
        "training_set": "reading",
    },
)
