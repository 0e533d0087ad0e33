"""Registration by file."""

import pytest

from lazyrich import plugins


@pytest.mark.parametrize("folder", plugins.FUNCTION)
def test_every_member_can_be_loaded_and_has_its_function(folder):
    assert plugins.names(folder)
    for name in plugins.names(folder):
        assert callable(getattr(plugins.load(folder, name), plugins.FUNCTION[folder]))


def test_helpers_are_no_members():
    assert "reading" not in plugins.names("datasets") and "__init__" not in plugins.names("datasets")
    assert plugins.names("models") == ("cnn", "mlp")


def test_only_a_function_at_the_top_level_makes_a_member(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "PACKAGE", tmp_path)
    plugins.names.cache_clear()
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "b.py").write_text("def build(spec):\n    ...\n\nraise RuntimeError('finding members imports nothing')\n")
    (folder / "a.py").write_text("class Builder:\n    def build(self):\n        ...\n\nbuild = 1\n")
    assert plugins.names("models") == ("b",)
    plugins.names.cache_clear()


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(
        ValueError, match="no 'build' module 'mpl' in lazyrich/models; did you mean 'mlp'. There are: cnn, mlp."
    ):
        plugins.load("models", "mpl")
    with pytest.raises(ValueError, match=r"'transformer' in lazyrich/models\. There are: cnn, mlp\."):
        plugins.load("models", "transformer")
