"""Kernels of any torch.nn.Module, kernel regression and alignment."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "empirical_ntk": "empirical_ntk_reference",
        "conjugate_kernel": "features",
        "relu_ntk": "closed_form",
        "relu_nngp": "closed_form",
        "kernel_regression": "regression",
        "centered_kernel_alignment": "alignment",
        "centered_kernel_distance": "alignment",
        "centered_kernel_alignment_from_features": "alignment",
    },
)
