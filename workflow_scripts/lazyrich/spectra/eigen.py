"""Eigendecomposition of a symmetric kernel matrix, by the method that its size and the number of eigenpairs call for."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch

from lazyrich.seeding import torch_generator
from lazyrich.spectra.decomposition import Eigendecomposition, assess
from lazyrich.spectra.dense import MAXIMAL_SIZE, check_size, dense_eigenpairs
from lazyrich.spectra.lanczos import leading_eigenpairs
from lazyrich.spectra.symmetric import SymmetricProduct

Method = Literal["auto", "dense", "lanczos", "randomized"]
METHODS = ("auto", "dense", "lanczos", "randomized")

#: Up to this size all eigenpairs take less than a tenth of a second.
SMALL = 500
#: Columns that BLAS multiplies in little more time than one: the block of the Lanczos method.
LANCZOS_BLOCK = 16
#: Columns beyond k of a randomized block: they speed up the convergence of the k-th pair.
OVERSAMPLING = 16
TOLERANCE = 1e-10
MAX_PASSES = 300
MEMORY_BUDGET = 2**31


def eigendecompose(
    K: Any,
    k: int | None = None,
    method: Method = "auto",
    *,
    tolerance: float = TOLERANCE,
    max_passes: int = MAX_PASSES,
    memory_budget: int = MEMORY_BUDGET,
    device: torch.device | None = None,
) -> Eigendecomposition:
    """K V = V diag(values) for the `k` largest eigenvalues of a symmetric (n, n) matrix, in float64.

    Methods:

    - "dense": all n eigenpairs by divide and conquer, of which k are returned. 9 n^3 operations, five matrices of memory.
    - "lanczos": k pairs by block Lanczos with a block of 16 vectors; 10 to 20 times faster than "dense" for 50 pairs of
      a kernel of n = 4,000, at equal accuracy.
    - "randomized": k pairs by block Krylov iteration from k + 16 random vectors: a third of the passes over K, each with
      more arithmetic. For stores that do not fit in memory.
    - "auto": "dense" if k is None or n is at most 500 or k is more than n / 10; else "lanczos" if K fits in
      `memory_budget`, else "randomized".

    Args:
        K: numpy array, torch tensor, or anything with `shape`, `dtype` and slices ``K[i:j, :j]``, such as a Zarr array,
            which "lanczos" and "randomized" read in bands of rows if it does not fit.
        k: eigenpairs wanted, 1 to n; None means all, which takes method "dense".
        tolerance: the iterations go on until ||K v - value v|| <= tolerance * value, or round-off, for each pair. The
            error of eigenvalues is of the order of its square over the distance to the next one.
        max_passes: most products with K, at least 2; if they do not suffice, what was reached is returned, with a remark.
        memory_budget: bytes within which K is held in float64.
        device: where to compute; the CPU by default. A tensor is decomposed where it is.

    Raises:
        ValueError: if K is not square, not finite or differs from its transpose by more than 1e-5 of its largest entry;
            if k is not between 1 and n; for an unknown method, "lanczos" or "randomized" without a k, and for "dense"
            with n above 32,766, where LAPACK's integers overflow.

    See `lazyrich.spectra.features.eigendecompose_features` for K = Phi Phi^T with few features, and
    `lazyrich.spectra.nystrom` for what m < n points tell of the spectrum.
    """
    K = K if hasattr(K, "shape") and hasattr(K, "dtype") else np.asarray(K)
    n = K.shape[0] if len(K.shape) else 0
    if method not in METHODS:
        raise ValueError(f"method {method!r} is unknown; allowed: {', '.join(METHODS)}")
    if k is not None and not 1 <= k <= max(n, 1):
        raise ValueError(
            f"k={k} eigenpairs were asked of a matrix with {n}; give a k between 1 and {n}, or None for all"
        )
    if k is None and method in ("lanczos", "randomized"):
        raise ValueError(f"method {method!r} finds leading eigenpairs; say how many with k, or use 'dense' for all {n}")
    if max_passes < 2:
        raise ValueError(
            f"max_passes={max_passes} allows no iteration, as the last pass measures the residuals; give 2"
        )
    chosen = _choose(n, k, memory_budget) if method == "auto" else method
    if chosen == "dense":
        check_size(n)
    budget = max(memory_budget, 8 * n**2) if chosen == "dense" else memory_budget
    product = SymmetricProduct(K, budget, device or torch.device("cpu"))
    if chosen == "dense" or k is None:
        values, vectors, remarks = dense_eigenpairs(product.matrix)
        return assess(product, values[:k], vectors[:k], "dense", least=float(values[-1]), remarks=remarks)
    block = min(LANCZOS_BLOCK if chosen == "lanczos" else k + OVERSAMPLING, n)
    generator = torch_generator("eigendecompose", n, k)
    pairs = leading_eigenpairs(product, k, block, tolerance, max_passes - 1, generator)
    return assess(
        product, pairs.values, pairs.vectors, chosen, least=pairs.least, least_error=pairs.least_error,
        converged=pairs.converged,
    )  # fmt: skip


def _choose(n: int, k: int | None, memory_budget: int) -> Method:
    if k is None or n <= SMALL or (10 * k > n and n <= MAXIMAL_SIZE):
        return "dense"
    return "lanczos" if 8 * n**2 <= memory_budget else "randomized"
