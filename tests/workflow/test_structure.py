"""The rules of the house that tools do not know: which way imports go, what packages and rules consist of."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from world import ROOT

SCRIPTS = ROOT / "workflow_scripts"
LIBRARY = SCRIPTS / "lazyrich"
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")
PACKAGES = sorted(LIBRARY.rglob("__init__.py"))

#: The way of the data. A stage may import those before it, and `theory` the functions of `metrics`; what is measured may import
#: both.
STAGES = (
    "datasets",
    "models",
    "training",
    "kernels",
    "spectra",
    "metrics",
    "theory",
    "metrics.measures",
    "figures",
    "claims",
)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SCRIPTS).with_suffix("").parts)


def imported(path: Path) -> Iterator[tuple[str, str | None]]:
    """(module, name) of every import statement: ``from module import name``, or ``import module`` with None."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}:{node.lineno}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def first_party(path: Path) -> set[str]:
    """The first-party modules that a file imports; ``AssertionError`` if it imports anything else first-party."""
    found = set()
    for module, name in imported(path):
        if module.split(".")[0] != "lazyrich":
            continue
        defining = module if name is None or is_module(module) else f"{module}.{name}"
        assert is_module(defining), (
            f"{path.relative_to(ROOT)}: {module} is a package; import from the module that defines {name}"
        )
        found.add(defining)
    return found


def rank_of(module: str) -> int:
    """The place of a module's stage, the innermost of those that it lies in; -1 if it belongs to none."""
    parts = module.removeprefix("lazyrich.").split(".")
    stages = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return max((STAGES.index(stage) for stage in stages if stage in STAGES), default=-1)


def is_module(name: str) -> bool:
    return (SCRIPTS / f"{name.replace('.', '/')}.py").is_file()


@pytest.mark.parametrize("path", PACKAGES, ids=name_of)
def test_packages_hold_only_a_docstring_and_lazy_names(path: Path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree)
    for node in tree.body[1:]:
        lazy_import = isinstance(node, ast.ImportFrom) and node.module == "lazyrich.lazy"
        table = (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "exports"
        )
        assert lazy_import or table, f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_imports_name_defining_modules_and_have_no_circles():
    graph = {name_of(path): first_party(path) for path in MODULES}
    assert len(graph) > 70
    graphlib.TopologicalSorter(graph).prepare()
    for script in SCRIPTS.glob("*.py"):
        first_party(script)


def test_imports_follow_the_way_of_the_data():
    for path in MODULES:
        name = name_of(path)
        if name == "lazyrich.reproduction":  # the command above all stages
            continue
        for module in first_party(path):
            assert rank_of(module) <= rank_of(name), f"{name} imports {module}"


def test_every_stage_has_modules():
    assert {rank_of(name_of(path)) for path in MODULES} == {-1, *range(len(STAGES))}


def test_first_party_imports_stand_at_the_top_of_modules():
    for path in [*MODULES, *SCRIPTS.glob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        top = {id(node) for node in tree.body}
        for node in ast.walk(tree):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [a.name for a in node.names]
                if isinstance(node, ast.Import)
                else []
            )
            if any(name.split(".")[0] == "lazyrich" for name in names):
                assert id(node) in top, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_the_library_never_imports_snakemake():
    for path in [*MODULES, *PACKAGES, *SCRIPTS.glob("*.py")]:
        assert not [module for module, _ in imported(path) if module.split(".")[0] == "snakemake"], path.relative_to(
            ROOT
        )


def test_what_the_snakefile_imports_is_light():
    text = "".join(path.read_text(encoding="utf-8") for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")])
    modules = sorted(set(re.findall(r"^(?:from|import) (lazyrich[\w.]*)", text, re.MULTILINE)))
    assert modules == ["lazyrich.configuration", "lazyrich.plan"]
    heavy = ("torch", "numpy", "pandas", "scipy", "zarr", "matplotlib", "sklearn", "psutil")
    code = f"import sys, {', '.join(modules)}; print([name for name in {heavy} if name in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


# -- rules ------------------------------------------------------------------------------------------------------------------


def rules() -> dict[str, str]:
    """Rule name -> its text, for all that have a name and make files; collections (collect.smk, `all`) do not."""
    found = {}
    for path in sorted((ROOT / "rules").glob("*.smk")):
        if path.name != "collect.smk":
            for block in re.split(r"^(?=rule \w+:)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
                found[block.split(":")[0].removeprefix("rule ")] = block
    return found


def test_every_rule_says_what_it_does_and_leaves_a_log_and_a_benchmark():
    assert {
        "dataset",
        "train",
        "kernel",
        "kernel_store",
        "kernel_band",
        "spectrum",
        "metrics",
        "metrics_table",
        "figure",
        "claims",
        "claims_table",
    } <= set(rules())
    for name, text in rules().items():
        assert re.match(rf'rule {name}:\n    """.+"""\n', text), f"rule {name} has no docstring of one line"
        for keyword in ("input", "output", "params", "log", "benchmark", "resources", "script"):
            assert f"\n    {keyword}:\n" in text or (name, keyword) == ("dataset", "input"), (
                f"rule {name} has no `{keyword}`"
            )
        for parameter in ("spec", "code"):
            assert f"\n        {parameter}=" in text, (
                f"rule {name} has no parameter {parameter!r}, by which it would be rerun"
            )
        for keyword in ("run", "message", "group", "shell"):
            assert f"\n    {keyword}:" not in text, f"rule {name} has `{keyword}`"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.name)
def test_scripts_are_thin(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 30
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.slow
def test_snakemake_lint_finds_only_what_we_chose():
    allowed = (
        # One pinned environment for the whole workflow; it is made before Snakemake starts.
        "Specify a conda environment or container for each rule.",
        # Set by the Snakefile itself, for its jobs.
        "Environment variable LAZYRICH_WORKFLOW_PID used but not asserted with envvars directive",
    )
    out = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True)
    found = re.findall(r"^    \* (.*):$", out.stdout + out.stderr, re.MULTILINE)
    assert found, "nothing found, not even what is known: has the form of the report changed?"
    assert [title for title in found if not title.startswith(allowed)] == []
