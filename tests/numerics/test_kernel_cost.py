"""Predicted operations against counts by hand, and predicted memory against what is used."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from lazyrich.kernels.cost import ntk_cost
from lazyrich.kernels.layerwise import memory


def mlp(inputs, width, outputs):
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, outputs)
    )


def test_operations_of_an_mlp_by_hand():
    d, w, c, n = 20, 64, 3, 200
    cost = ntk_cost(mlp(d, w, c), (d,), n, n, outputs=c, symmetric=True)
    # x . x' and, for each output, g . g' of every layer, on half of the pairs.
    assert cost.contraction_flops == n * n / 2 * 2 * ((d + c * w) + (w + c * w) + (w + c * c))
    # Forward through all layers; backward, for each output, through all but the first.
    assert cost.pass_flops == n * (2 * (d * w + w * w + w * c) + c * 2 * (w * w + w * c))
    kept = (d + c * w) + (w + c * w) + (w + c * c)
    assert cost.bytes_per_sample == 4 * max(kept, memory.HELD_IN_PASS * (w + w + c))
    cross = ntk_cost(mlp(d, w, c), (d,), n, 50)
    assert cross.contraction_flops == pytest.approx(2 * 50 / n * cost.contraction_flops)
    assert cross.pass_flops == pytest.approx(1.25 * cost.pass_flops)


def test_convolutions_form_gradients_where_that_takes_fewer_operations():
    o, n = 16, 100
    model = nn.Sequential(
        nn.Conv2d(8, o, 3, padding=1, bias=False), nn.ReLU(), nn.Flatten(), nn.Linear(o * 256, 1, bias=False)
    )
    model[3].requires_grad_(False)
    cost = ntk_cost(model, (8, 16, 16), n, n, symmetric=True)
    assert cost.contraction_flops == n * n / 2 * 2 * (o * 72) + n * 2 * 256 * o * 72


def test_the_model_may_be_on_no_device_at_all():
    with torch.device("meta"):
        model = mlp(20, 64, 3)
    assert ntk_cost(model, (20,), 10, 10) == ntk_cost(mlp(20, 64, 3), (20,), 10, 10)
    assert next(model.parameters()).is_meta
    with pytest.raises(ValueError, match="outputs=4, but Sequential has 3"):
        ntk_cost(model, (20,), 10, 10, outputs=4)


MEASURE = """
import re, sys, torch
from pathlib import Path
from torch import nn
from lazyrich.kernels.layerwise.ntk import empirical_ntk
torch.set_num_threads(1)
budget, n = int(sys.argv[1]), 3000
model = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1))
x = torch.randn(n, 256)
empirical_ntk(model, x[:16])
Path("/proc/self/clear_refs").write_text("5")  # the high-water mark goes down to what is used now
def peak(): return 1024 * int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
kernel = empirical_ntk(model, x, memory_budget=budget)
print(peak() - before - kernel.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads the peak of its memory from /proc")
def test_memory_beyond_the_result_keeps_to_its_budget():
    """Without blocks this kernel keeps 3,000 x 2,305 numbers, 28 MB, and holds twice that in its pass."""

    def beyond(budget: int) -> int:
        run = subprocess.run(
            [sys.executable, "-c", MEASURE, str(budget)],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        return int(run.stdout)

    assert beyond(2**29) > 30e6
    assert beyond(2**24) < 2 * 2**24
