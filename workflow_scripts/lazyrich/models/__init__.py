"""Architectures and their parametrizations."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "Linear": "layers",
        "Conv2d": "layers",
        "Parametrization": "parametrization",
        "learning_rate_scale": "parametrization",
        "penultimate_features": "features",
        "readout_layer": "features",
        "hidden_features": "hidden",
        "flatten_parameters": "state",
        "load_parameters": "state",
    },
)
