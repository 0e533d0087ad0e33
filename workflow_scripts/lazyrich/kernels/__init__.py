"""Kernels of any torch.nn.Module, kernel regression and alignment."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "empirical_ntk": "layerwise.ntk",
        "layer_ntk": "layerwise.ntk",
        "stacked_empirical_ntk": "layerwise.ntk",
        "ntk_cost": "cost",
        "conjugate_kernel": "features",
        "preactivation_tangent_kernel": "preactivation",
        "relu_ntk": "closed_form",
        "relu_nngp": "closed_form",
        "relu_ntk_diagonal": "closed_form",
        "rbf_kernel": "radial",
        "laplace_kernel": "radial",
        "median_bandwidth": "radial",
        "kernel_regression": "regression",
        "nested_kernel_regression": "nested_regression",
        "learning_curve": "nested_regression",
        "ridge_path": "regularization_path",
        "leave_one_out_regression": "leave_one_out",
        "centered_kernel_alignment": "alignment",
        "centered_kernel_distance": "alignment",
        "hilbert_schmidt_independence_criterion": "alignment",
        "centered_kernel_alignment_from_features": "feature_alignment",
        "centered_kernel_distance_from_features": "feature_distance",
        "StoredKernels": "store",
    },
)
