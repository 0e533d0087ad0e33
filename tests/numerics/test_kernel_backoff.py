"""Tiles in halves where memory runs out, simulated; and what counts as running out."""

import gc
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lazyrich.kernels.backoff import Halving, out_of_memory
from small_runs import kernels, silent


@pytest.fixture(autouse=True, scope="module")
def quick_collections():
    """Garbage is collected after each failure; what is there before the tests need not be looked through each time."""
    gc.freeze()
    yield
    gc.unfreeze()


class Machine:
    """Computes a Gram matrix, as long as no more than ``room`` entries are asked for at once."""

    def __init__(self, room: int, error: Exception | None = None) -> None:
        self.room, self.error, self.asked = room, error or torch.OutOfMemoryError("CUDA out of memory"), []

    def __call__(self, rows: torch.Tensor, columns: torch.Tensor | None) -> np.ndarray:
        other = rows if columns is None else columns
        self.asked.append((len(rows), None if columns is None else len(columns)))
        if len(rows) * len(other) > self.room:
            raise self.error
        return (rows @ other.T).numpy()


def points(count: int, seed: int = 0) -> torch.Tensor:
    # Integers, so that sums are exact whatever the shape of a product.
    return torch.randint(-9, 10, (count, 3), generator=torch.Generator().manual_seed(seed)).double()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 40), st.integers(0, 40), st.integers(64, 300))
def test_a_tile_in_halves_is_the_tile(n1: int, n2: int, room: int):
    rows, columns = points(n1), points(n2, 1) if n2 else None
    other = rows if columns is None else columns
    machine = Machine(room)
    found = Halving(machine, silent, minimum=1)(rows, columns)
    assert np.array_equal(found, (rows @ other.T).numpy())
    computed = [(r, c) for r, c in machine.asked if r * (c or r) <= room]
    # Every entry once, those above the diagonal of a symmetric tile not at all: a block off the diagonal stands for two.
    entries = sum(r * r if c is None else r * c * (2 if columns is None else 1) for r, c in computed)
    assert entries == n1 * len(other)


def test_later_tiles_are_halved_at_once_and_it_is_said_once():
    said: list[str] = []
    machine = Machine(16 * 16)
    tile = Halving(machine, said.append)
    tile(points(64), points(64, 1))
    assert machine.asked[:3] == [(64, 64), (32, 32), (16, 16)]
    assert said == [
        "out of memory at 64 samples a side: going on with blocks of 32 (CUDA out of memory)",
        "out of memory at 32 samples a side: going on with blocks of 16 (CUDA out of memory)",
    ]
    machine.asked.clear()
    tile(points(64, 2), points(30, 3))
    assert len(said) == 2 and all(max(asked) <= 16 for asked in machine.asked)


def test_what_fits_is_computed_whole():
    machine = Machine(10**6)
    Halving(machine, silent)(points(64))
    assert machine.asked == [(64, None)]


def test_below_the_minimum_it_gives_up_and_says_what_to_do():
    machine = Machine(0, MemoryError("no room"))
    with pytest.raises(MemoryError, match=r"block of 8 x 8 samples, the smallest.*mem_mb") as caught:
        Halving(machine, silent)(points(32))
    assert caught.value.__cause__ is machine.error
    assert max(machine.asked[-1]) == 8


def test_other_errors_are_not_taken_for_it():
    machine = Machine(0, RuntimeError("shapes do not agree"))
    with pytest.raises(RuntimeError, match="shapes do not agree"):
        Halving(machine, silent)(points(32))
    assert len(machine.asked) == 1


def test_what_the_failed_attempt_held_is_free_before_the_next():
    held: list[weakref.ref] = []

    def compute(rows: torch.Tensor, columns: torch.Tensor | None) -> np.ndarray:
        if len(rows) > 8:
            workspace = torch.zeros(10)
            held.append(weakref.ref(workspace))
            raise torch.OutOfMemoryError("out of memory")
        assert all(reference() is None for reference in held)
        return np.zeros((len(rows), len(rows if columns is None else columns)))

    gc.disable()
    try:
        Halving(compute, silent)(points(16))
    finally:
        gc.enable()
    assert held


def test_what_torch_and_numpy_say_when_memory_runs_out_is_recognised():
    for allocate in (lambda: torch.empty(10**15), lambda: np.empty(10**16)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            allocate()
        assert out_of_memory(caught.value)
    assert out_of_memory(RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"))
    assert not out_of_memory(ValueError("can't allocate memory"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cuda_device_that_is_full_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**13, device="cuda")
    assert out_of_memory(caught.value)


def test_a_kernel_job_goes_on_in_halves(tmp_path, trained, monkeypatch):
    from lazyrich.kernels.objects import empirical_ntk as module

    run, data = trained
    expected = kernels(tmp_path, run, data, "whole").matrix("seed-0", "final")
    compute = module.compute

    def cramped(model, rows, columns, options):
        if len(rows) * len(rows if columns is None else columns) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(model, rows, columns, options)

    monkeypatch.setattr(module, "compute", cramped)
    found = kernels(tmp_path, run, data, "halves").matrix("seed-0", "final")
    assert np.array_equal(found, found.T)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14 * np.abs(expected).max())
