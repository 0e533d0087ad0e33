"""The stamp that every computed piece carries."""

import importlib.metadata
import json
import platform
import time

import numpy as np
import scipy
import sklearn
import torch
import zarr

from lazyrich import provenance


def test_versions_are_those_of_the_packages_that_compute():
    found = provenance.versions()
    assert set(found) == set(provenance.PACKAGES) == {"numpy", "scipy", "torch", "zarr", "scikit-learn"}
    modules = {"numpy": np, "scipy": scipy, "torch": torch, "zarr": zarr, "scikit-learn": sklearn}
    for name, module in modules.items():
        assert found[name].split("+")[0] == str(module.__version__).split("+")[0]
        assert found[name] == importlib.metadata.version(name)


def test_versions_are_looked_up_once(monkeypatch):
    asked = []
    monkeypatch.setattr(provenance, "version", lambda name: asked.append(name) or "1.2.3")
    provenance.versions.cache_clear()
    try:
        assert provenance.versions() == provenance.versions() == dict.fromkeys(provenance.PACKAGES, "1.2.3")
        assert asked == list(provenance.PACKAGES)
    finally:
        provenance.versions.cache_clear()


def test_the_stamp_says_what_where_and_how_long():
    started = time.time() - 5
    stamp = provenance.stamp("cpu (1 threads)", started)
    assert stamp["packages"] == provenance.versions() and stamp["python"] == platform.python_version()
    assert stamp["device"] == "cpu (1 threads)" and stamp["git"] == provenance.git_state()
    assert 5 <= stamp["wall_seconds"] < 60
    assert stamp["started"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started))
    assert json.loads(json.dumps(stamp)) == stamp
