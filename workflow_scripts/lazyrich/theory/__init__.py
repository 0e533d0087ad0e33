"""Predictions in closed form of what metrics measure."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "early_time_correlation": "early_time",
        "early_time_correlation_from_kernel": "early_time",
        "weight_velocities": "early_time",
        "kreweras_complement": "free_probability",
        "mixed_moment": "free_probability",
        "noncrossing_partitions": "free_probability",
        "quadratic_network_cumulants": "free_probability",
        "random_matrix_correlation": "free_probability",
    },
)
