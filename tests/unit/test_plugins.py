"""Registration by file."""

import pytest

from lazyrich import plugins


@pytest.mark.parametrize("folder", plugins.FUNCTION)
def test_every_member_can_be_loaded_and_has_its_function(folder):
    assert plugins.names(folder)
    for name in plugins.names(folder):
        module = plugins.load(folder, name)
        functions = [
            plugins.FUNCTION[folder],
            *([plugins.ALTERNATIVE[folder]] if folder in plugins.ALTERNATIVE else []),
        ]
        assert sum(callable(getattr(module, function, None)) for function in functions) == 1


def test_helpers_are_no_members():
    assert "reading" not in plugins.names("datasets") and "__init__" not in plugins.names("datasets")
    assert plugins.names("models") == ("cnn", "mlp", "resnet", "vit")


def test_what_a_member_defines_is_found_without_importing_it():
    assert plugins.defines("datasets", "staircase", "picture") and not plugins.defines("datasets", "digits", "picture")
    assert plugins.defines("datasets", "digits", "read") and not plugins.defines("datasets", "staircase", "read")


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
        ValueError,
        match="no 'build' module 'mpl' in lazyrich/models; did you mean 'mlp'. There are: cnn, mlp, resnet, vit.",
    ):
        plugins.load("models", "mpl")
    with pytest.raises(ValueError, match=r"'transformer' in lazyrich/models\. There are: cnn, mlp, resnet, vit\."):
        plugins.load("models", "transformer")
