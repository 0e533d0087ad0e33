"""Leap complexity against all orders, and what a staircase of given monomials accepts."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.datasets import staircase
from lazyrich.datasets.targets.leap import greedy_order, leap_complexity, out_of_reach

FAMILIES = st.lists(st.frozensets(st.integers(1, 7), min_size=1, max_size=5), min_size=1, max_size=6, unique=True)


def largest_step(order):
    known, steps = set(), []
    for monomial in order:
        steps.append(len(monomial - known))
        known |= monomial
    return max(steps)


@settings(max_examples=150, deadline=None)
@given(FAMILIES)
def test_the_leap_is_the_least_over_all_orders(monomials):
    assert leap_complexity(monomials) == min(map(largest_step, itertools.permutations(monomials)))


@settings(max_examples=150, deadline=None)
@given(FAMILIES)
def test_the_greedy_order_is_an_order_with_its_steps(monomials):
    order = greedy_order(monomials)
    assert sorted(position for position, _ in order) == list(range(len(monomials)))
    assert largest_step([monomials[position] for position, _ in order]) == max(new for _, new in order)


@settings(max_examples=100, deadline=None)
@given(FAMILIES, st.integers(1, 3))
def test_out_of_reach_is_what_no_order_arrives_at(monomials, leap):
    reached = set()
    for order in itertools.permutations(range(len(monomials))):
        known = set()
        for position in order:
            if len(monomials[position] - known) > leap:
                break
            known |= monomials[position]
            reached.add(position)
    assert out_of_reach(monomials, leap) == sorted(set(range(len(monomials))) - reached)


@pytest.mark.parametrize(
    ("monomials", "leap"),
    [
        ([{1}, {1, 2}, {1, 2, 3}], 1),
        ([{1, 2, 3}, {1, 2}, {1}], 1),
        ([{1}, {2}, {1, 2}], 1),
        ([{1}, {1, 2, 3}], 2),
        ([{1, 2, 3, 4}], 4),
        ([{1, 2}, {2, 3}, {1, 3, 4, 5}], 2),
        ([], 0),
    ],
)
def test_known_leaps(monomials, leap):
    assert leap_complexity(monomials) == leap


# --- the keys of the staircase --------------------------------------------------------------------------------------


def target(**spec):
    return staircase.target({"dimension": 5, **spec})


def test_order_is_short_for_its_monomials():
    assert target(order=3) == target(monomials=[[1], [1, 2], [1, 2, 3]])


def test_the_order_of_coordinates_and_an_unused_leap_change_nothing():
    assert target(monomials=[[1], [3, 1]]) == target(monomials=[(1.0,), [1, 3]], leap=4, coefficients=[2, 2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"monomials": [[1], [1, 2, 3], [2, 4, 5]]},
            "monomials leap to x1 x2 x3, x2 x4 x5: every order somewhere adds at least 2 new coordinates "
            "at once, and leap is 1; give leap: 2 to allow it, or add monomials between",
        ),
        (
            {"monomials": [[1], [1, 2, 3, 4]], "leap": 2},
            "monomials leap to x1 x2 x3 x4: every order somewhere adds at least 3",
        ),
        ({"monomials": [[1], [1, 2, 1]]}, "monomials holds [1, 2, 1], which repeats a coordinate"),
        ({"monomials": [[1, 2], [1], [2, 1]]}, "monomials holds x1 x2 twice; give each monomial once"),
        (
            {"monomials": [[1], [6]]},
            "monomials holds [6] with coordinate 6; give whole numbers from 1 to the dimension 5",
        ),
        ({"monomials": [[0]]}, "coordinate 0"),
        ({"monomials": [[1.5]]}, "coordinate 1.5"),
        ({"monomials": [[True]]}, "coordinate True"),
        ({"monomials": [["x1"]]}, "coordinate 'x1'"),
        ({"monomials": []}, "monomials is []; give a list of at least one"),
        ({"monomials": "x1"}, "monomials is 'x1'"),
        ({"monomials": [1, 2]}, "monomials holds 1; give each monomial as a list"),
        ({"monomials": [[1], []]}, "monomials holds [], the constant"),
        ({"monomials": [[1]], "coefficients": [0]}, "coefficients holds 0; give finite numbers that are not zero"),
        ({"monomials": [[1]], "coefficients": [float("nan")]}, "coefficients holds nan"),
        ({"monomials": [[1]], "coefficients": [1, 2]}, "coefficients is [1, 2]; give a list of 1 numbers"),
        ({"monomials": [[1]], "coefficients": 1}, "coefficients is 1; give a list"),
        ({"monomials": [[1]], "leap": 0}, "leap is 0; give a whole number of at least 1"),
        ({"monomials": [[1]], "order": 1}, "order is 1 and monomials is [[1]]; give one of the two"),
        ({}, "the key 'order' is missing"),
        ({"order": 2, "leap": 2}, "leap is 2 and there are no monomials that it belongs to"),
        ({"order": 2, "coefficients": [1, 1]}, "coefficients is [1, 1] and there are no monomials"),
    ],
)
def test_a_wrong_staircase_is_explained(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        target(**change)
