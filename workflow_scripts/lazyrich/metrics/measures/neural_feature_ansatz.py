"""The neural feature ansatz over training, with the null that a random rotation gives."""

from collections.abc import Iterator

import numpy as np
from torch import nn

from lazyrich.metrics import ansatz
from lazyrich.metrics.feature_matrices import effective_weight, feature_moments, linear_layer
from lazyrich.metrics.member import MemberData, Row


def measure(member: MemberData, layers: list[int], null_rotations: int, samples: int | None = None) -> Iterator[Row]:
    """At every checkpoint and for each hidden layer of ``layers`` (numbered from 0), over the training inputs (or the first ``samples``):

    - ``uncentered_nfa`` = rho(W^T W, W^T K W) and ``centered_nfa`` = rho(Wbar^T Wbar, Wbar^T K Wbar), cosines, and both as
      Pearson correlations of the entries (``_pearson``), which is what the authors' released code computes;
    - ``nfa_ratio`` = tr(Fbar Gbar) / tr(F G);
    - ``uncentered_nfa_null`` and ``centered_nfa_null``: the mean over ``null_rotations`` random rotations of K.

    The centered ones are 0/0 at initialisation and have no row there. Source: Beaglehole et al., arXiv 2402.05271.
    """
    inputs = member.train.inputs[:samples].double()
    names = [f"hidden.{number}" for number in layers]
    initial = _weights(member.model(member.steps[0]), names)
    for step in member.steps:
        model = member.model(step)
        generator = member.generator(f"rotation of K, step {step}")
        moments = feature_moments(model, inputs, [linear_layer(model, name) for name in names])
        for name, weight, moment in zip(names, _weights(model, names).values(), moments, strict=True):
            covariance, change = moment.covariance, weight - initial[name]
            yield Row("uncentered_nfa", ansatz.uncentered_correlation(weight, covariance), step, name)
            yield Row(
                "uncentered_nfa_pearson", ansatz.uncentered_correlation(weight, covariance, "pearson"), step, name
            )
            null = ansatz.rotated_covariance_null(weight, covariance, generator, null_rotations)
            yield Row("uncentered_nfa_null", float(null.mean()), step, name)
            if not change.any():
                continue
            yield Row("centered_nfa", ansatz.uncentered_correlation(change, covariance), step, name)
            yield Row("centered_nfa_pearson", ansatz.uncentered_correlation(change, covariance, "pearson"), step, name)
            null = ansatz.rotated_covariance_null(change, covariance, generator, null_rotations)
            yield Row("centered_nfa_null", float(null.mean()), step, name)
            yield Row("nfa_ratio", ansatz.centered_ratio(weight, initial[name], covariance), step, name)


def _weights(model: nn.Module, names: list[str]) -> dict[str, np.ndarray]:
    return {name: effective_weight(linear_layer(model, name)) for name in names}
