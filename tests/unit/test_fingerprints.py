"""Canonical form and digests: what must change them, and what must not."""

import ast
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazyrich import fingerprints, lazy, plugins
from lazyrich.fingerprints import canonical, code_digest, fingerprint, first_party, imports, module_file, tree_digest

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(PLAIN)
def test_canonical_is_a_fixed_point_of_reading_and_writing(value):
    import json

    assert canonical(json.loads(canonical(value))) == canonical(value)


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_order_of_keys_does_not_matter(mapping):
    assert canonical(mapping) == canonical(dict(reversed(mapping.items())))


def test_integral_floats_are_integers_and_truth_values_are_not():
    assert (
        canonical({"a": 10.0, "b": [1e3, (2.5,)]})
        == canonical({"b": [1000, [2.5]], "a": 10})
        == '{"a":10,"b":[1000,[2.5]]}'
    )
    assert canonical(True) != canonical(1) and canonical("1") != canonical(1) and canonical(None) != canonical("")
    assert canonical(-0.0) == canonical(0)
    assert canonical(0.1) != canonical(0.1 + 1e-16)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(ValueError):
        canonical({"a": value})


@pytest.mark.parametrize("value", [{1, 2}, Path("a"), object(), b"a", 1j])
def test_only_plain_data_is_taken(value):
    with pytest.raises(TypeError, match="no plain configuration value"):
        canonical([value])


def test_fingerprint_keeps_arguments_apart():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert fingerprint(1, [2]) != fingerprint([1, 2])
    assert len(fingerprint("a")) == 64


# -- code --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A house of three modules: script -> a -> b, and c that nothing names."""
    package = tmp_path / "lazyrich"
    (package / "kernels").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "kernels" / "__init__.py").write_text("")
    (tmp_path / "script.py").write_text("from lazyrich.kernels import a\nprint(a.f())\n")
    (package / "kernels" / "a.py").write_text("import lazyrich.kernels.b as b\n\ndef f():\n    return b.g()\n")
    (package / "kernels" / "b.py").write_text("from lazyrich import progress\n\ndef g():\n    return 1\n")
    (package / "kernels" / "c.py").write_text("from lazyrich.kernels.a import f\n")
    (package / "progress.py").write_text("x = 1\n")
    monkeypatch.setattr(fingerprints, "SCRIPTS", tmp_path)

    def write(name, text):
        (tmp_path / name).write_text(text)
        imports.cache_clear()
        tree_digest.cache_clear()
        return code_digest("script.py"), code_digest("script.py", ("lazyrich.kernels.c",))

    yield write
    imports.cache_clear()
    tree_digest.cache_clear()


def test_comments_layout_and_docstrings_do_not_count(house):
    before = house("lazyrich/progress.py", "x = 1\n")
    assert (
        house(
            "lazyrich/kernels/b.py",
            '"""Doc."""\nfrom lazyrich import (\n    progress,\n)\n\n\ndef g():\n    """Doc."""\n    return 1  # one\n',
        )
        == before
    )
    assert house("script.py", '"""A script."""\nfrom lazyrich.kernels import a\n\n\nprint(\n    a.f()\n)\n') == before


def test_a_docstring_alone_equals_a_body_that_does_nothing(house):
    assert house("lazyrich/kernels/b.py", 'def g():\n    "Doc."\n') == house(
        "lazyrich/kernels/b.py", "def g():\n    pass\n"
    )


def test_code_of_what_is_reached_counts_and_nothing_else(house):
    before = house("lazyrich/progress.py", "x = 1\n")
    assert house("lazyrich/progress.py", "x = 2\n") == before  # it cannot influence a result
    indirect = house("lazyrich/kernels/b.py", "def g():\n    return 2\n")
    assert indirect[0] != before[0] and indirect[1] != before[1]
    named = house("lazyrich/kernels/c.py", "from lazyrich.kernels.a import f\n\ny = f()\n")
    assert named[0] == indirect[0] and named[1] != indirect[1]
    assert house("script.py", "from lazyrich.kernels import a\nprint(a.f(), 2)\n")[0] != named[0]


def test_a_constant_string_that_is_no_docstring_counts(house):
    assert house("lazyrich/kernels/b.py", "def g():\n    x = 1\n    return 'a'\n") != house(
        "lazyrich/kernels/b.py", "def g():\n    x = 1\n    return 'b'\n"
    )


def test_circular_imports_end(house):
    house("lazyrich/kernels/b.py", "import lazyrich.kernels.a\n")
    assert set(first_party("script.py")) == {"lazyrich.kernels.a", "lazyrich.kernels.b"}


def test_a_module_that_is_not_there_is_named(house):
    with pytest.raises(FileNotFoundError, match=r"no module 'lazyrich\.kernels\.nothing'"):
        code_digest("script.py", ("lazyrich.kernels.nothing",))
    with pytest.raises(FileNotFoundError, match="does not exist"):
        module_file("lazyrich.nothing")


# -- the shipped code -----------------------------------------------------------------------------------------------------


def test_packages_hold_nothing_but_tables_of_names():
    """Their files are in no digest, so nothing may stand there that can change a result."""
    for path in (fingerprints.SCRIPTS / "lazyrich").rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            is_import = isinstance(node, ast.ImportFrom) and node.module == lazy.__name__
            is_table = (
                isinstance(node, ast.Assign) and getattr(getattr(node.value, "func", None), "id", "") == "exports"
            )
            assert is_docstring or is_import or is_table, f"{path}: line {node.lineno}"


def test_first_party_imports_stand_at_the_top_of_modules():
    """One inside a function would be in the digest, but a reader would not see the direction of the house."""
    for path in fingerprints.SCRIPTS.rglob("*.py"):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and node not in tree.body:
                names = (
                    [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                )
                assert not any(name.startswith("lazyrich") for name in names), f"{path}: line {node.lineno}"


def test_later_stages_do_not_reach_earlier_digests():
    """An edit in a metric must not train anything again."""
    trained = first_party("train.py", ("lazyrich.models.mlp",))
    assert "lazyrich.training.loop" in trained and "lazyrich.datasets.reading" in trained
    later = tuple(f"lazyrich.{folder}." for folder in ("kernels", "spectra", "metrics", "theory", "figures", "claims"))
    assert not [name for name in trained if name.startswith(later)]
    assert "lazyrich.models.cnn" not in trained
    assert not [name for name in first_party("kernel.py") if name.startswith("lazyrich.metrics.")]


def test_a_metric_is_in_its_own_digest_only():
    own = {
        name: first_party("metrics.py", (plugins.module_name("metrics", name),)) for name in plugins.names("metrics")
    }
    for name, modules in own.items():
        others = {plugins.module_name("metrics", other) for other in own if other != name}
        assert not others & set(modules), name
