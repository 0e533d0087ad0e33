"""How far the features of each hidden layer have moved from those at initialisation."""

from collections.abc import Iterator

from lazyrich.kernels.feature_distance import centered_kernel_distance_from_features
from lazyrich.metrics.member import MemberData, Row
from lazyrich.models.hidden import hidden_features


def measure(member: MemberData, samples: int | None = None) -> Iterator[Row]:
    """``layer_alignment_distance`` = 1 - CKA(Phi_l(0) Phi_l(0)^T, Phi_l(t) Phi_l(t)^T), centred, at every checkpoint and for
    each hidden layer l, on the first ``samples`` probe points; 0 lazy, at most 1.

    Phi_l is what the layer hands on to the next linear or convolutional layer: post-activations, pooled where the network pools
    (see `lazyrich.models.hidden`). Of the last hidden layer it is the ``conjugate_kernel_strength`` of the same points.
    Source: Kornblith et al., arXiv 1905.00414; Goring et al., arXiv 2507.19680.
    """
    inputs = member.split("probe").inputs[:samples].double()
    initial = hidden_features(member.model(member.steps[0]), inputs)
    for step in member.steps:
        for layer, features in hidden_features(member.model(step), inputs).items():
            distance = centered_kernel_distance_from_features(initial[layer].numpy(), features.numpy())
            yield Row("layer_alignment_distance", distance, step, layer)
