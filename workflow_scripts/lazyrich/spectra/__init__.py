"""Eigendecompositions of kernels."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "eigendecompose": "eigen",
        "eigendecompose_features": "features",
        "feature_eigenfunctions": "nystrom",
        "nystrom_eigendecompose": "nystrom",
        "nystrom_eigenfunctions": "nystrom",
    },
)
