"""Arithmetic over named quantities, e.g. ``log10(network / kernel)``, without running code from a configuration file.

Allowed: numbers, names, ``+ - * / **``, signs, brackets, and the functions ``abs``, ``log10`` (one argument),
``min``, ``max`` (two or more). Values are float64 arrays, elementwise (one entry per seed), with IEEE rules: x/0 is
infinite, 0/0 and log10(-1) are NaN.
"""

import ast
import difflib
from collections.abc import Mapping
from functools import reduce

import numpy as np

BINARY = {ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power}
UNARY = {ast.UAdd: np.positive, ast.USub: np.negative}
FUNCTIONS = {"abs": np.abs, "log10": np.log10, "min": np.minimum, "max": np.maximum}
SEVERAL = ("min", "max")
ALLOWED = f"numbers, names, + - * / **, brackets and {', '.join(FUNCTIONS)}"


class ExpressionError(ValueError):
    """The expression is not arithmetic over the quantities at hand."""


def names(expression: str) -> set[str]:
    """The quantities that the expression mentions."""
    nodes = list(ast.walk(_parse(expression)))
    called = [node.func for node in nodes if isinstance(node, ast.Call)]
    return {node.id for node in nodes if isinstance(node, ast.Name) and node not in called}


def evaluate(expression: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """The value of ``expression`` with ``values`` for its names; :class:`ExpressionError` if it is not arithmetic."""
    with np.errstate(all="ignore"):
        return np.asarray(_value(_parse(expression), expression, values), dtype=np.float64)


def _parse(expression: str) -> ast.expr:
    # YAML reads `expression: 1` as a number
    if not isinstance(expression, str):
        raise ExpressionError(
            f"the expression {expression!r} is a {type(expression).__name__}; write it as text, e.g. 'rich / lazy'"
        )
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ExpressionError(f"cannot read the expression {expression!r}: {error}; allowed: {ALLOWED}") from None


def _value(node: ast.expr, expression: str, values: Mapping[str, np.ndarray]) -> np.ndarray:
    def inner(part: ast.expr) -> np.ndarray:
        return _value(part, expression, values)

    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return np.asarray(number, dtype=np.float64)
        case ast.Name(id=name):
            if name not in values:
                near = difflib.get_close_matches(name, values, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ExpressionError(
                    f"unknown quantity {name!r} in {expression!r}{hint} There are: {', '.join(values) or 'none'}"
                )
            return np.asarray(values[name], dtype=np.float64)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in BINARY:
            return BINARY[type(operator)](inner(left), inner(right))
        case ast.UnaryOp(op=operator, operand=operand) if type(operator) in UNARY:
            return UNARY[type(operator)](inner(operand))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in FUNCTIONS:
            if (len(arguments) < 2) if name in SEVERAL else (len(arguments) != 1):
                needed = "two arguments or more" if name in SEVERAL else "one argument"
                raise ExpressionError(f"{name} takes {needed}, not {len(arguments)}, in {expression!r}")
            parts = [inner(argument) for argument in arguments]
            return reduce(FUNCTIONS[name], parts) if name in SEVERAL else FUNCTIONS[name](parts[0])
    raise ExpressionError(f"{ast.unparse(node)!r} in {expression!r} is not allowed; allowed: {ALLOWED}")
