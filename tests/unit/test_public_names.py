"""The public names of the packages."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import lazyrich

PACKAGES = ("datasets", "models", "training", "kernels", "spectra", "metrics", "theory")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_what_it_says(package):
    module = import_module(f"lazyrich.{package}")
    folder = Path(lazyrich.__file__).parent / package
    for name in module.__all__:
        assert not isinstance(getattr(module, name), ModuleType)
        # importing a submodule of that name would put the module in the place of the function
        assert not (folder / f"{name}.py").exists(), name


def test_a_name_that_is_not_there_is_told_with_those_that_are():
    kernels = import_module("lazyrich.kernels")
    with pytest.raises(AttributeError, match="has no attribute 'ntk'; it has .*empirical_ntk"):
        _ = kernels.ntk
