"""What a job's process is set to before it computes: in a process of its own, as all of it is global."""

import json
import os
import subprocess
import sys

import pytest
import torch

from lazyrich.devices import describe

#: Other defaults first, so that what is found afterwards was set.
SCRIPT = """
import json, sys
from lazyrich import devices
import torch
torch.set_num_threads(1)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
assert not torch.are_deterministic_algorithms_enabled()
device = devices.prepare("cpu", 2)
print(json.dumps({
    "device": str(device), "words": devices.describe(device), "threads": torch.get_num_threads(),
    "deterministic": torch.are_deterministic_algorithms_enabled(),
    "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(), "mode": torch.get_deterministic_debug_mode(),
    "loose": [torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark],
    "compiler": "torch._dynamo" in sys.modules,
}))
"""


@pytest.fixture(scope="module")
def found():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_algorithms_are_deterministic_and_those_that_cannot_be_warn(found):
    assert found["deterministic"] is True and found["warn_only"] is True and found["mode"] == 1


def test_threads_and_numerics_are_set(found):
    assert found["threads"] == 2 and found["device"] == "cpu" and found["words"] == "cpu (2 threads)"
    assert found["loose"] == [False, False, False]


def test_no_compiler_is_imported(found):
    """It takes longer than many a job; `torch.use_deterministic_algorithms` would import it."""
    assert found["compiler"] is False


def test_a_device_that_is_not_there_is_an_error(monkeypatch):
    from lazyrich import devices

    class Recorded:
        """Keeps what `prepare` would set from the process of the tests."""

        def __getattr__(self, name):
            return getattr(torch, name)

        backends = type("", (), {name: type("", (), {"matmul": type("", (), {})}) for name in ("cuda", "cudnn")})

        def set_num_threads(self, threads):
            pass

        def set_deterministic_debug_mode(self, mode):
            pass

        cuda = type("", (), {"is_available": staticmethod(lambda: False)})

    monkeypatch.setattr(devices, "torch", Recorded())
    with pytest.raises(RuntimeError, match="torch finds no CUDA device; set `device: auto` or `device: cpu`"):
        devices.prepare("cuda", 1)
    assert devices.prepare("auto", 1) == devices.prepare("cpu", 1) == torch.device("cpu")


def test_the_device_with_the_most_free_memory_is_taken(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: ([5, 9, 7][index], 10))
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(torch, "set_deterministic_debug_mode", lambda mode: None)
    from lazyrich.devices import prepare

    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    try:
        assert prepare("auto", 1) == prepare("cuda", 1) == torch.device("cuda", 1)
        assert prepare("cpu", 1) == torch.device("cpu")
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    assert describe(torch.device("cuda", 1)) == "cuda:1 (a GPU)"
