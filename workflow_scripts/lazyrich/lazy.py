"""Public names of a package, imported on first use.

A package's ``__init__`` that imported its modules eagerly would tie every module to every other: importing one kernel would load
all of them, and an edit in one would invalidate the results of all. So ``__init__`` files hold only a table of names (PEP 562).
"""

from collections.abc import Callable
from importlib import import_module


def exports(package: str, table: dict[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of ``package`` from ``table``: public name -> submodule that defines it."""

    def __getattr__(name: str) -> object:
        if name in table:
            return getattr(import_module(f"{package}.{table[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(sorted(table))}")

    def __dir__() -> list[str]:
        return sorted(table)

    return __getattr__, __dir__, sorted(table)
