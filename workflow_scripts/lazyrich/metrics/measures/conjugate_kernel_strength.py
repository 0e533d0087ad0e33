"""Three readings of how far the conjugate kernel has changed: the paper does not state which one it uses."""

from collections.abc import Iterator

from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.power import cumulative_power
from lazyrich.metrics.strength import ntk_strength
from lazyrich.metrics.utility import cumulative_utility


def measure(member: MemberData, kernel: str, spectrum: str) -> Iterator[Row]:
    """On the probe set, with CK(x, x') = Phi(x).Phi(x'):

    - ``conjugate_kernel_strength``: 1 - CKA(CK_0, CK_t), centred, and ``conjugate_kernel_strength_uncentered``.
    - ``conjugate_kernel_effective_dimension``: exp of the entropy of its normalised eigenvalues, before and after training.
    - ``conjugate_kernel_utility``: the share of the learned outputs' span carried by its first C eigenvectors, C the number of
      outputs; 1 under neural collapse. ``conjugate_kernel_power``: the share of the learned outputs' squared norm that they carry,
      where a direction counts by how much of the outputs lies in it. At initialisation a centred network's output is 0, and there is no row of either.

    Source: Goring et al., arXiv 2507.19680; Nam et al., arXiv 2410.04264.
    """
    initial = member.kernel(kernel, "initial")
    probe = member.split("probe").inputs[: len(initial)]
    for stage, step in member.kernel_stages(kernel).items():
        values = member.spectrum(spectrum, stage)
        current = member.kernel(kernel, stage)
        yield Row("conjugate_kernel_strength", ntk_strength(initial, current), step)
        yield Row("conjugate_kernel_strength_uncentered", ntk_strength(initial, current, centered=False), step)
        yield Row("conjugate_kernel_effective_dimension", effective_dimension(values.all_values()), step)
        if step > 0 or not member.model_spec["centered"]:
            outputs = member.outputs(step, probe).numpy()
            leading = min(outputs.shape)
            kept = values.vectors.shape[1]
            if kept < leading:
                raise ValueError(
                    f"the utility needs {leading} eigenvectors, but {kept} were kept; raise `spectra.{spectrum}.vectors`"
                )
            vectors = values.vectors[:, :leading]
            yield Row("conjugate_kernel_utility", float(cumulative_utility(vectors, outputs)[-1]), step)
            yield Row("conjugate_kernel_power", float(cumulative_power(vectors, outputs)[-1]), step)
