"""docs/configuration.md is what the schemas say."""

import shutil
from pathlib import Path

import pytest

from lazyrich.configuration_docs import PAGE, ROOT, main, render
from lazyrich.configuration_schema import Schemas


def test_page_has_not_drifted() -> None:
    assert main([]) == 0, "run: PYTHONPATH=workflow_scripts python -m lazyrich.configuration_docs --fix"


def test_fix_writes_the_page_and_drift_is_seen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "config" / "schemas", tmp_path / "config" / "schemas")
    assert main([], tmp_path) == 1
    assert main(["--fix"], tmp_path) == 0
    assert main([], tmp_path) == 0
    schema = tmp_path / "config" / "schemas" / "model.yaml"
    schema.write_text(schema.read_text().replace("default: 2", "default: 3"))
    capsys.readouterr()
    assert main([], tmp_path) == 1
    assert "+| `hidden_layers` | an integer of at least 1 | `3` | layers |" in capsys.readouterr().out
    assert "`2`" in (tmp_path / PAGE).read_text()


def test_every_key_has_a_row() -> None:
    schemas = Schemas(ROOT / "config" / "schemas")
    page = render(schemas)
    for section in ("globals", "dataset", "paper", "experiment", "model", "training", "claims"):
        for key in schemas[section]["properties"]:
            assert f"| `{key}` |" in page
    for metric, part in schemas["metrics"]["properties"].items():
        assert f"### `{metric}`" in page
        assert all(f"| `{option}` |" in page for option in part["properties"])
