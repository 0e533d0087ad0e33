"""What a result depends on, as a digest: the parameters in canonical form, and the code that computes it.

Snakemake compares parameters by ``repr`` and does not see an edit in a module that a script imports. Every rule therefore
carries two parameters: ``spec`` (:func:`canonical` form of the configuration the step reads) and ``code`` (:func:`code_digest`).
"""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent

#: Modules that decide how a job reports, waits and logs, not what it computes: an edit there invalidates nothing.
WITHOUT_INFLUENCE = frozenset(
    f"lazyrich.{name}" for name in ("jobs", "progress", "provenance", "guard", "plugins", "lazy")
)


def canonical(value: object) -> str:
    """JSON with sorted keys and integral floats written as integers, so that ``10`` and ``10.0`` are one value.

    ``ValueError`` for NaN and infinities, which JSON cannot hold; ``TypeError`` for what is no plain data.
    """
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} is no plain configuration value")


def fingerprint(*values: object) -> str:
    """SHA-256, as 64 hexadecimal digits, of the canonical form of ``values``."""
    return hashlib.sha256(canonical(list(values)).encode()).hexdigest()


def code_digest(script: str, modules: tuple[str, ...] = ()) -> str:
    """Digest of what ``workflow_scripts/<script>`` and ``modules`` can execute of our own code.

    Covers the abstract syntax trees, without comments, docstrings or layout, of the script, of ``modules`` (the members that the
    configuration names) and of every first-party module that these import, directly or not.
    """
    parts = {name: tree_digest(path) for name, path in first_party(script, modules).items()}
    parts[script] = tree_digest(SCRIPTS / script)
    return fingerprint(parts)


def first_party(script: str, modules: tuple[str, ...] = ()) -> dict[str, Path]:
    """Import name -> file of every first-party module that ``script`` or ``modules`` reach and that can influence a result."""
    found: dict[str, Path] = {}
    waiting = list(imports(SCRIPTS / script)) + list(modules)
    while waiting:
        name = waiting.pop()
        if name in found or name in WITHOUT_INFLUENCE:
            continue
        found[name] = module_file(name)
        waiting.extend(imports(found[name]))
    return dict(sorted(found.items()))


def module_file(name: str) -> Path:
    """The source file of first-party module ``name``; ``FileNotFoundError`` if there is none."""
    path = SCRIPTS / (name.replace(".", "/") + ".py")
    if not path.is_file():
        raise FileNotFoundError(f"no module {name!r}: {path} does not exist")
    return path


@cache
def imports(path: Path) -> frozenset[str]:
    """The first-party modules that the file imports by an ``import`` statement, wherever it stands.

    ``from lazyrich.kernels import x`` counts as the module ``lazyrich.kernels.x`` where there is one. Packages' ``__init__``
    files are left out: they hold nothing but lazy tables of names (see :mod:`lazyrich.lazy`; a test checks it).
    """
    names: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(
        name
        for name in names
        if name.startswith("lazyrich.") and (SCRIPTS / (name.replace(".", "/") + ".py")).is_file()
    )


@cache
def tree_digest(path: Path) -> str:
    """Digest of the file's syntax tree without docstrings; comments and layout are not in the tree to begin with."""
    tree = _tree(path)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
