"""Strength of feature learning: how far a kernel has moved from where it was at initialisation."""

from __future__ import annotations

from lazyrich.kernels.alignment import MEMORY_BUDGET, Matrix, centered_kernel_distance


def ntk_strength(K0: Matrix, Kt: Matrix, centered: bool = True, *, memory_budget: int = MEMORY_BUDGET) -> float:
    """S_NT = 1 - CKA(K_0, K_t): 0 for a lazy network, whose NTK stays as it was up to a factor; at most 1.

    Args:
        K0, Kt: (n, n) Gram matrices at initialisation and at time t, of the same probe samples: arrays, or what gives
            bands of rows, such as a Zarr array larger than memory.
        centered: the paper does not say whether its CKA is centred; we centre by default.
        memory_budget: bytes of working memory.

    The same number of two conjugate kernels is one reading of the conjugate-kernel strength S_CK. Exact to round-off
    also where the kernel moves by 1e-15. NaN if a kernel is constant. Source: Goring et al., arXiv 2507.19680.
    """
    return centered_kernel_distance(K0, Kt, centered=centered, memory_budget=memory_budget)
