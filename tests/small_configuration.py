"""The small configuration that the tests of the configuration edit."""

from pathlib import Path

import pytest

from lazyrich.configuration import load
from lazyrich.configuration_errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = Path(__file__).parent / "unit" / "example_configuration"

MEMBERS = {
    "datasets": ("staircase", "multi_index", "chain_monomial", "digits", "mnist"),
    "models": ("mlp", "cnn", "resnet", "vit"),
    "kernels": ("empirical_ntk", "conjugate_kernel"),
    "metrics": ("test_error", "feature_learning_gap", "ntk_strength"),
    "figures": ("learning_curves",),
}

PAPER, SMOKE = "config/experiments/paper1.yaml", "config/scales/smoke.yaml"


def edit(root: Path, name: str, old: str, new: str) -> int:
    """Replace ``old`` in a file, in which it stands once; the line where it stood."""
    path = root / name
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return text[: text.index(old)].count("\n") + 1


def problems(root: Path, overrides: dict | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(root, overrides, MEMBERS)
    return tuple(map(str, caught.value.problems))
