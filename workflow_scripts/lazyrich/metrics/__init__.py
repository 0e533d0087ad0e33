"""Measures of feature learning: strength, quality, alignment."""

from lazyrich.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "ntk_strength": "strength",
        "critical_dataset_size": "crossing",
        "critical_size_interval": "critical_size",
        "cumulative_power": "power",
        "power_spectrum": "kernel_theory",
        "predicted_learning_curve": "kernel_theory",
        "power_law_exponent": "power_law",
        "cumulative_quality": "utility",
        "cumulative_utility": "utility",
        "effective_dimension": "entropy",
        "neural_feature_matrix": "feature_matrices",
        "average_gradient_outer_product": "feature_matrices",
        "ptk_feature_covariance": "feature_matrices",
        "uncentered_correlation": "ansatz",
        "centered_correlation": "ansatz",
        "rotated_covariance_null": "ansatz",
        "class_means": "superposition",
        "feature_dimensionality": "superposition",
        "sample_dimensionality": "superposition",
        "weight_change": "movement",
        "squared_norm_ratio": "movement",
        "fisher_eigenvalues": "fisher",
        "fisher_output_traces": "fisher",
        "participation_ratio": "participation",
        "paired_effect_size": "effect_size",
        "ranking_probability": "effect_size",
        "separation": "effect_size",
    },
)
