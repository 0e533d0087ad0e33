"""NTK distance between initialisation and the end of training."""

from collections.abc import Iterator

from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.strength import ntk_strength


def measure(member: MemberData, kernel: str) -> Iterator[Row]:
    """``ntk_strength`` S_NT = 1 - CKA(K_0, K_t), centred, and ``ntk_strength_uncentered``; 0 lazy, 1 unrelated.

    Source: Goring et al., arXiv 2507.19680.
    """
    initial = member.large_kernel(kernel, "initial")
    for stage, step in member.kernel_stages(kernel).items():
        current = member.large_kernel(kernel, stage)
        yield Row("ntk_strength", ntk_strength(initial, current), step)
        yield Row("ntk_strength_uncentered", ntk_strength(initial, current, centered=False), step)
