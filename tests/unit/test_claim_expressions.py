"""Arithmetic over quantities: what is allowed, its values, and the messages for what is not."""

import math

import numpy as np
import pytest

from lazyrich.claims.expression import ExpressionError, names
from lazyrich.claims.expression import evaluate as evaluate_expression

INF = math.inf


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a", [1, 4]),
        ("a + b", [3, 12]),
        ("-a ** 2 + +b", [1, -8]),
        ("(a - b) / (a + b)", [-1 / 3, -1 / 3]),
        ("log10(100 * a)", [2, np.log10(400)]),
        ("abs(a - b)", [1, 4]),
        ("min(a, b, 3)", [1, 3]),
        ("max(a, b) / 2", [1, 4]),
        ("1e-3 * a", [1e-3, 4e-3]),
        ("a / 0", [INF, INF]),
        ("a ** 1000", [1, INF]),
        ("0 * a / 0", [math.nan, math.nan]),
        ("log10(-a)", [math.nan, math.nan]),
    ],
)
def test_expression(expression, expected):
    values = {"a": np.array([1.0, 4.0]), "b": np.array([2.0, 8.0])}
    assert evaluate_expression(expression, values) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("__import__('os').system('true')", "is not allowed"),
        ("a.real", "'a.real' in 'a.real' is not allowed; allowed: numbers"),
        ("a if a else b", "is not allowed"),
        ("a < b", "is not allowed"),
        ("[a]", "is not allowed"),
        ("'a'", "is not allowed"),
        ("True", "is not allowed"),
        ("a % b", "is not allowed"),
        ("sqrt(a)", "is not allowed"),
        ("abs(a, b)", "abs takes one argument, not 2"),
        ("min(a)", "min takes two arguments or more, not 1"),
        ("min(a, key=b)", "is not allowed"),
        ("a +", "cannot read the expression 'a +'"),
        ("rato / b", "unknown quantity 'rato' in 'rato / b'; did you mean 'ratio'?"),
        (3, "write it as text"),
    ],
)
def test_expression_errors(expression, message):
    with pytest.raises(ExpressionError) as error:
        evaluate_expression(expression, {"a": np.ones(1), "b": np.ones(1), "ratio": np.ones(1)})
    assert message in str(error.value)


def test_names_of_an_expression_leave_functions_out():
    assert names("log10(network / kernel) - abs(kernel)") == {"network", "kernel"}
