"""Leap complexity of a set of monomials on the hypercube.

Leap(S_1, ..., S_P) = min over orders pi of max over i of |S_pi(i) without (S_pi(1) u ... u S_pi(i-1))|, where S is the
set of coordinates of a monomial. Source: Abbe et al. (arXiv 2302.11055). Leap 1 is the merged-staircase property of
Abbe et al. (arXiv 2202.08658): some order adds at most one new coordinate at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def leap_complexity(monomials: Sequence[Collection[int]]) -> int:
    """The leap, at least 0; 0 for no monomials at all.

    Taking the monomial with the fewest new coordinates next is exact. Let its largest step be k, taken when T was the
    set of monomials taken before. Every monomial outside T then had at least k coordinates outside the union of T. In
    any other order, the first monomial outside T comes after members of T alone, and adds at least k coordinates.
    """
    return max((new for _, new in greedy_order(monomials)), default=0)


def greedy_order(monomials: Sequence[Collection[int]]) -> list[tuple[int, int]]:
    """An order of least leap, as pairs of (position in `monomials`, number of coordinates that are new)."""
    waiting = {position: frozenset(monomial) for position, monomial in enumerate(monomials)}
    known: frozenset[int] = frozenset()
    order = []
    while waiting:
        position = min(waiting, key=lambda candidate: len(waiting[candidate] - known))
        monomial = waiting.pop(position)
        order.append((position, len(monomial - known)))
        known |= monomial
    return order


def out_of_reach(monomials: Sequence[Collection[int]], leap: int) -> list[int]:
    """Positions of the monomials that no order with steps of at most `leap` new coordinates arrives at.

    A monomial within reach stays so when others are added, so the set that is reached does not depend on the order.
    """
    order = greedy_order(monomials)
    first = next((step for step, (_, new) in enumerate(order) if new > leap), len(order))
    return sorted(position for position, _ in order[first:])
