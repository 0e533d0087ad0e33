"""Registration by file: dataset ``g`` is ``lazyrich/datasets/g.py``, architecture ``a`` is ``lazyrich/models/a.py``, and so on.

Kernel objects and metrics have a folder of their own, ``kernels/objects`` and ``metrics/measures``, because the packages
``lazyrich.kernels`` and ``lazyrich.metrics`` offer functions of the same names.

There is no table to edit, and so nothing that ties one member's results to another's code. A module is a member of its folder
if it defines the folder's function; other modules of the folder are helpers.
"""

import ast
import difflib
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

#: The function that makes a module of the folder a member.
FUNCTION = {"datasets": "generate", "models": "build", "kernels": "compute", "metrics": "measure", "figures": "draw"}

#: A second function that makes a module a member: a dataset whose samples exist already reads them, and leaves drawing to the library.
ALTERNATIVE = {"datasets": "read"}

#: Where a kind's modules lie, if not in the package of its name.
SUBFOLDER = {"kernels": "objects", "metrics": "measures"}

PACKAGE = Path(__file__).parent


@cache
def names(folder: str) -> tuple[str, ...]:
    """The members of ``folder``, found without importing them."""

    files = sorted((PACKAGE / place(folder)).glob("*.py"))
    functions = {FUNCTION[folder], ALTERNATIVE.get(folder, FUNCTION[folder])}
    return tuple(path.stem for path in files if any(defines(folder, path.stem, name) for name in functions))


@cache
def defines(folder: str, name: str, function: str) -> bool:
    """Whether module ``name`` of ``folder`` defines ``function``, found without importing it."""
    tree = ast.parse((PACKAGE / place(folder) / f"{name}.py").read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef) and node.name == function for node in tree.body)


def module_name(folder: str, name: str) -> str:
    """The import name of member ``name`` of ``folder``."""
    return f"lazyrich.{place(folder).replace('/', '.')}.{name}"


def place(folder: str) -> str:
    """The path of a kind's modules inside the package: ``datasets``, ``kernels/objects``."""
    return f"{folder}/{SUBFOLDER[folder]}" if folder in SUBFOLDER else folder


def load(folder: str, name: str) -> ModuleType:
    """Import member ``name`` of ``folder``; ``ValueError`` with the nearest name if there is none."""
    if name not in names(folder):
        near = difflib.get_close_matches(name, names(folder), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(
            f"no {FUNCTION[folder]!r} module {name!r} in lazyrich/{place(folder)}{hint} There are: {', '.join(names(folder))}."
        )
    return import_module(module_name(folder, name))
