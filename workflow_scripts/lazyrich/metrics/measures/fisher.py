"""Trace and effective rank of the Fisher information, before and after training."""

from collections.abc import Iterator

from lazyrich.kernels.layerwise.ntk import empirical_ntk
from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.fisher import fisher_eigenvalues, fisher_output_traces
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.participation import participation_ratio


def measure(member: MemberData, samples: int = 128) -> Iterator[Row]:
    """At initialisation and at the end of training, of F = (1/n) sum_a J_a^T J_a over the first ``samples`` probe points:

    - ``fisher_trace`` = tr F, and ``fisher_output_trace`` of each output alone (``argument`` is its number, from 0);
    - ``fisher_effective_rank``: exp of the entropy of the normalised eigenvalues; and ``fisher_participation_ratio`` =
      (tr F)^2 / tr(F^2).

    The Fisher information of the outputs as means of unit Gaussians, so of the MSE (see `lazyrich.metrics.fisher`); of a network
    trained with cross-entropy it is J^T J all the same. The ranks are at most n times the outputs, so they depend on n. The
    gradients are by raw parameters, and centring a network does not change them.
    """
    inputs = member.split("probe").inputs[:samples].double()
    for step in dict.fromkeys((member.steps[0], member.steps[-1])):
        kernel = empirical_ntk(member.model(step), inputs, outputs="full")
        traces, eigenvalues = fisher_output_traces(kernel), fisher_eigenvalues(kernel)
        yield Row("fisher_trace", float(traces.sum()), step)
        for output, trace in enumerate(traces.tolist()):
            yield Row("fisher_output_trace", trace, step, argument=output)
        yield Row("fisher_effective_rank", effective_dimension(eigenvalues), step)
        yield Row("fisher_participation_ratio", participation_ratio(eigenvalues), step)
