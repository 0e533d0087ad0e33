"""Read a link function such as "z1 + z1*z2 + z1*z2*z3" or "He2(z1) + z1*z2" into a polynomial.

The grammar: variables z1, z2, ...; numbers; + - * and parentheses; ** with a whole-number exponent; division by a
number; He0, He1, ... of an expression, the probabilists' Hermite polynomials, He2(z1) = z1**2 - 1. The text is
parsed into Python's syntax tree and read node by node; nothing in it is ever evaluated.
"""

from __future__ import annotations

import ast
import math
import re

from lazyrich.datasets.targets.polynomial import Polynomial

MAXIMUM_DEGREE = 16  # beyond it Gaussian moments lose all meaning in practice, and a typing slip would fill the memory
_HERMITE = re.compile(r"He(0|[1-9][0-9]?)")
_VARIABLE = re.compile(r"z([1-9][0-9]{0,5})")


def parse_link(text: str) -> Polynomial:
    """The polynomial that `text` spells, with z1 as coordinate 0. ValueError names the part that is not understood."""
    if not isinstance(text, str):
        raise ValueError(f"link is {text!r}; give a polynomial as text, such as 'z1 + z1*z2'")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"link {text!r} cannot be read ({error}); write a polynomial such as 'z1 + z1*z2'") from error
    return _read(tree.body, text)


def _read(node: ast.expr, text: str) -> Polynomial:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and math.isfinite(value):
            return Polynomial({(): float(value)} if value else {})
        case ast.Name(id=name) if found := _VARIABLE.fullmatch(name):
            return Polynomial({((int(found[1]) - 1, 1),): 1.0})
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _read(operand, text)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _read(operand, text).scaled(-1.0)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _read(left, text) + _read(right, text)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _read(left, text) + _read(right, text).scaled(-1.0)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            return _product(_read(left, text), _read(right, text), text)
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            divisor = _read(right, text)
            if divisor.degree == 0 and divisor.coefficients:
                return _read(left, text).scaled(1.0 / divisor.coefficients[()])
        case ast.BinOp(left=left, op=ast.Pow(), right=ast.Constant(value=int() as exponent)) if (
            not isinstance(exponent, bool) and exponent <= MAXIMUM_DEGREE
        ):
            base, power = _read(left, text), Polynomial({(): 1.0})
            for _ in range(exponent):
                power = _product(power, base, text)
            return power
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if (
            found := _HERMITE.fullmatch(name)
        ) and int(found[1]) <= MAXIMUM_DEGREE:
            return _hermite(int(found[1]), _read(argument, text), text)
    raise ValueError(
        f"link {text!r}: {ast.unparse(node)!r} is not understood; use z1, z2, ..., numbers, + - *, parentheses, "
        f"** with a whole number up to {MAXIMUM_DEGREE}, division by a number, and Hermite polynomials He0(...) to "
        f"He{MAXIMUM_DEGREE}(...)"
    )


def _product(left: Polynomial, right: Polynomial, text: str) -> Polynomial:
    if left.degree + right.degree > MAXIMUM_DEGREE:
        raise ValueError(f"link {text!r} has a degree above {MAXIMUM_DEGREE}; give a polynomial of lower degree")
    return left * right


def _hermite(degree: int, argument: Polynomial, text: str) -> Polynomial:
    """He_degree(argument) by He_{k+1}(x) = x He_k(x) - k He_{k-1}(x)."""
    last, value = Polynomial({}), Polynomial({(): 1.0})
    for order in range(degree):
        last, value = value, _product(argument, value, text) + last.scaled(-order)
    return value
