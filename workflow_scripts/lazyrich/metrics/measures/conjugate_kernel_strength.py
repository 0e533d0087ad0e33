"""Three readings of how far the conjugate kernel has changed: the paper does not state which one it uses."""

from collections.abc import Iterator

from lazyrich.metrics.entropy import effective_dimension
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.strength import ntk_strength
from lazyrich.metrics.utility import cumulative_utility


def measure(member: MemberData, kernel: str, spectrum: str) -> Iterator[Row]:
    """On the probe set, with CK(x, x') = Phi(x).Phi(x'):

    - ``conjugate_kernel_strength``: 1 - CKA(CK_0, CK_t), centred.
    - ``conjugate_kernel_effective_dimension``: exp of the entropy of its normalised eigenvalues.
    - ``conjugate_kernel_utility``: the share of the learned outputs' span carried by its first C eigenvectors, C the number of
      outputs; 1 under neural collapse. At initialisation a centred network's output is 0, and there is no row.

    Source: Goring et al., arXiv 2507.19680; Nam et al., arXiv 2410.04264.
    """
    initial = member.kernel(kernel, "initial")
    probe = member.split("probe").inputs[: len(initial)]
    for stage, step in member.kernel_stages(kernel).items():
        values = member.spectrum(spectrum, stage)
        yield Row("conjugate_kernel_strength", ntk_strength(initial, member.kernel(kernel, stage)), step)
        yield Row("conjugate_kernel_effective_dimension", effective_dimension(values.all_values()), step)
        if step > 0:
            outputs = member.outputs(step, probe)
            leading = min(outputs.shape)
            kept = values.vectors.shape[1]
            if kept < leading:
                raise ValueError(
                    f"the utility needs {leading} eigenvectors, but {kept} were kept; raise `spectra.{spectrum}.vectors`"
                )
            shares = cumulative_utility(values.vectors[:, :leading], outputs.numpy())
            yield Row("conjugate_kernel_utility", float(shares[-1]), step)
