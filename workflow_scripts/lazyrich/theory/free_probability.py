"""Moments of products of free matrices, and with them the early-time C-NFA of wide networks with quadratic activation.

tau = tr/d is the normalised trace of d x d matrices. If a random matrix M is free of fixed matrices b_1, ..., b_n and has
free cumulants kappa_m, then as d -> infinity

    tau(M b_1 M b_2 ... M b_n) = sum over non-crossing partitions pi of {1, ..., n} of
                                 prod_{V in pi} kappa_|V| * tau_{Kr(pi)}[b_1, ..., b_n],

with Kr(pi) the Kreweras complement and tau_{Kr(pi)} the product, over its blocks, of tau of the product of the b_i of the
block in their order. A matrix whose law no rotation changes is free of all fixed ones in this limit.

Sources: Nica and Speicher, Lectures on the Combinatorics of Free Probability (2006), Theorem 14.4; Beaglehole, Mitliagkas
and Agarwala, arXiv 2402.05271, for the prediction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache, reduce
from itertools import combinations, pairwise, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Blocks in the order of their first elements, each sorted, of the elements 0, ..., n - 1.
Partition = tuple[tuple[int, ...], ...]


@cache
def noncrossing_partitions(n: int) -> tuple[Partition, ...]:
    """All partitions of {0, ..., n - 1} without i < j < k < l of which i, k are in one block and j, l in another.

    There are Catalan(n) = (2n)! / (n! (n + 1)!) of them: 132 for n = 6. ValueError for negative n.
    """
    if n < 0:
        raise ValueError(f"n={n} must not be negative")
    return tuple(_noncrossing(tuple(range(n))))


def _noncrossing(elements: tuple[int, ...]) -> list[Partition]:
    """The block of the first element splits the others into gaps, which are partitioned each for itself."""
    if not elements:
        return [()]
    found: list[Partition] = []
    for size in range(len(elements)):
        for others in combinations(range(1, len(elements)), size):
            places = (0, *others, len(elements))
            gaps = [_noncrossing(elements[left + 1 : right]) for left, right in pairwise(places)]
            block = tuple(elements[place] for place in places[:-1])
            found.extend(tuple(sorted((block, *(b for part in parts for b in part)))) for parts in product(*gaps))
    return found


def kreweras_complement(partition: Partition) -> Partition:
    """The coarsest partition of 0', ..., (n-1)' that together with `partition` is non-crossing on 0, 0', 1, 1', ...

    As permutations whose cycles are the blocks in order it is pi^-1 (0 1 ... n-1). Of a non-crossing partition with b blocks
    it has n + 1 - b. ValueError if the blocks are not a non-crossing partition of 0, ..., n - 1.
    """
    ordered = tuple(sorted(tuple(sorted(block)) for block in partition))
    n = sum(len(block) for block in ordered)
    if ordered not in noncrossing_partitions(n):
        raise ValueError(f"{partition} is no non-crossing partition of 0, ..., {n - 1}")
    before = {block[i]: block[i - 1] for block in ordered for i in range(len(block))}
    left, blocks = set(range(n)), []
    while left:
        block = [min(left)]
        while (following := before[(block[-1] + 1) % n]) != block[0]:
            block.append(following)
        left.difference_update(block)
        blocks.append(tuple(block))
    return tuple(blocks)


def mixed_moment(cumulants: Sequence[float] | NDArray[np.float64], matrices: Sequence[ArrayLike]) -> float:
    """tau(M b_1 M b_2 ... M b_n), in the limit of large d, of M with the given free cumulants and free of the b_i.

    E.g. tau(M B M B) = kappa_2 tau(B)^2 + kappa_1^2 tau(B^2). Corrections at finite d are of relative order 1/d.

    Args:
        cumulants: kappa_1, kappa_2, ..., at least n of them, in units of M, M^2, ...
        matrices: b_1, ..., b_n, (d, d) each.

    Raises:
        ValueError: if there are no matrices, these are not square and of one shape, or there are fewer than n cumulants.

    Work: sums over the Catalan(n) non-crossing partitions, with one product of matrices for each block that occurs.
    """
    parts = [np.asarray(matrix, dtype=np.float64) for matrix in matrices]
    n = len(parts)
    if not parts or any(part.ndim != 2 or part.shape != (len(parts[0]),) * 2 for part in parts):
        raise ValueError(f"matrices have shapes {[part.shape for part in parts]}; they must be square and of one shape")
    if len(cumulants) < n:
        raise ValueError(f"{len(cumulants)} cumulants for a moment of order {n}; it needs as many")

    @cache
    def trace(block: tuple[int, ...]) -> float:
        return float(np.trace(reduce(np.matmul, (parts[i] for i in block)))) / len(parts[0])

    return math.fsum(
        math.prod(float(cumulants[len(block) - 1]) for block in partition)
        * math.prod(trace(block) for block in kreweras_complement(partition))
        for partition in noncrossing_partitions(n)
    )


def quadratic_network_cumulants(readout: ArrayLike, inputs: int, order: int = 4) -> NDArray[np.float64]:
    """Free cumulants kappa_m = (k/d) mean_j (4 a_j^2)^m, m = 1, ..., order, of M = 4 W^T diag(a^2) W with W_ij ~ N(0, 1/d).

    M is what the gradients grad_h f = 2 a o h of f(x) = a^T (W x)^{o2}, o entry by entry, give in P = X M X^T; it is a sum
    of k independent 4 a_j^2 w_j w_j^T, free compound Poisson in the limit k, d -> infinity. Another variance s/d of W gives
    kappa_m s^m, and correlations are blind to s, as to factors of the activation.

    Args:
        readout: a, (k,), weights of the readout, with their multiplier or without. Give the network's own: of a drawn from
            N(0, 1) the mean tends to 4^m (2m - 1)!!, but so slowly for m = 4 that the predicted C-NFA is 0.02 lower with
            these at k = 200, and 0.06 at k = 50.
        inputs: d.

    Raises:
        ValueError: if the readout is empty or not a vector, or `inputs` or `order` not positive.
    """
    a = np.asarray(readout, dtype=np.float64)
    if a.ndim != 1 or not len(a) or inputs < 1 or order < 1:
        raise ValueError(f"readout {a.shape}, {inputs} inputs, order {order}: expected (k,) and numbers of at least 1")
    jumps = 4 * a**2
    return len(a) / inputs * np.array([np.mean(jumps**m) for m in range(1, order + 1)])


def random_matrix_correlation(inputs: ArrayLike, residuals: ArrayLike, cumulants: ArrayLike) -> float:
    """Early-time C-NFA of the first layer of f(x) = a^T (W x)^{o2}: the prediction for random W, given data.

    With A = X^T diag(r) X / n, S = X^T X / n, B = A^2 and P = X M X^T (see `lazyrich.theory.early_time`),

        rho(A M A, A M S M A) ~ tau(M B M B M S) / sqrt( tau(M B M B) tau(M S M B M S M B) ),

    each moment by `mixed_moment`. That M is free of A and S needs residuals that do not depend on W: r = y, so a centred
    network, or one whose outputs at initialisation are small against y.

    Errors: moments are replaced by their limits, which misses one draw of W by about 0.01 for d = 200, k = 50 to 200 and
    white inputs, and on average by less than 0.003. With covariance k^-1, where few directions carry the trace of B, it is
    0.02, and the prediction is too low by 0.015 on average. Residuals y - f_0 of a network that is not centred, f_0 as large
    as y: too low by 0.01 (k = 200) to 0.04 (k = 50).

    Args:
        inputs: X, (n, d).
        residuals: r, (n,) or (n, 1), in any unit.
        cumulants: kappa_1, ..., kappa_4 of M, e.g. from `quadratic_network_cumulants`, in any unit.

    Returns:
        The prediction; NaN if residuals, inputs or cumulants vanish.

    Raises:
        ValueError: if the shapes do not fit or there are fewer than 4 cumulants.
    """
    X, r, kappa = (np.asarray(part, dtype=np.float64) for part in (inputs, residuals, cumulants))
    if X.ndim != 2 or r.shape not in ((len(X),), (len(X), 1)) or not len(X):
        raise ValueError(f"inputs {X.shape} and residuals {r.shape} do not fit; expected (n, d) and (n,)")
    A, S = X.T @ (r.reshape(-1, 1) * X) / len(X), X.T @ X / len(X)
    B = A @ A
    norms = mixed_moment(kappa, [B, B]) * mixed_moment(kappa, [S, B, S, B])
    return mixed_moment(kappa, [B, B, S]) / math.sqrt(norms) if norms > 0 else float("nan")
