"""Whether the first layer has found the directions that the target depends on."""

from collections.abc import Iterator

from lazyrich.metrics.feature_matrices import (
    average_gradient_outer_product,
    effective_weight,
    linear_layer,
    neural_feature_matrix,
)
from lazyrich.metrics.matrix_correlation import cosine
from lazyrich.metrics.member import MemberData, Row
from lazyrich.plugins import load


def measure(member: MemberData) -> Iterator[Row]:
    """At every checkpoint, against the target's expected gradient outer product EGOP = E[grad f* grad f*^T], in closed form:

    - ``nfm_egop_correlation`` = rho(W^T W, EGOP) of the first layer's weight;
    - ``agop_egop_correlation`` = rho(AGOP, EGOP) of the whole network on its training inputs. This one is high for a lazy network
      that fits well, so it says nothing of the first layer.

    Source: Beaglehole et al., arXiv 2402.05271.
    """
    egop = load("datasets", member.dataset.spec["generator"]).egop(member.dataset.spec)
    inputs = member.train.inputs.double()
    for step in member.steps:
        model = member.model(step)
        first = linear_layer(model, "hidden.0")
        yield Row(
            "nfm_egop_correlation", cosine(neural_feature_matrix(effective_weight(first)), egop), step, "hidden.0"
        )
        yield Row("agop_egop_correlation", cosine(average_gradient_outer_product(model, inputs), egop), step)
