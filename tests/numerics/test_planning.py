"""What a configuration is said to cost: against counts done by hand, and stores that were written."""

import math
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml

from lazyrich.configuration import load
from lazyrich.kernels.plan_report import EFFICIENCY, matrix_product_rate, plan_report
from lazyrich.kernels.planning import plan_kernels
from lazyrich.plan import Plan
from small_configuration import ROOT

LARGE = Path(__file__).parent / "large_kernel.yaml"


@dataclass(frozen=True)
class Cost:
    contraction_flops: float
    pass_flops: float
    bytes_per_sample: float


def pairs(model: torch.nn.Module, shape: tuple[int, ...], n1: int, n2: int, outputs: int, symmetric: bool) -> Cost:
    """A stand-in: one operation a pair that is computed, one pass of as many as there are parameters a sample."""
    assert all(parameter.is_meta for parameter in model.parameters())
    parameters = sum(parameter.numel() for parameter in model.parameters())
    samples, contracted = (n1, n1 * (n1 + 1) / 2) if symmetric else (n1 + n2, n1 * n2)
    return Cost(contracted, float(parameters * samples), 4.0 * outputs * math.prod(shape))


@pytest.fixture(scope="module")
def plan() -> Plan:
    overlay = {"scale": "full", "results": "nowhere", **yaml.safe_load(LARGE.read_text(encoding="utf-8"))}
    return Plan(load(ROOT, overlay), ROOT)


def test_fifty_thousand_points_are_planned_by_hand_and_by_the_plan_alike(plan: Plan):
    found = {kernel.name: kernel for kernel in plan_kernels(plan, pairs)}
    ntk, cross = found["large/base/ntk"], found["large/base/cross"]
    assert (ntk.matrices, ntk.rows, ntk.columns) == (2 * 3, 50_000, 50_000)
    assert (ntk.tiles, ntk.bands, ntk.jobs) == (49 * 50 // 2, 7, 9)
    assert ntk.disk == 6 * 50_000**2 * 4
    # Every tile passes its rows and, off the diagonal, its columns: row i of tiles has i tiles beside the diagonal one.
    parameters = 64 * 1024 + 2 * 1024**2 + 1024
    edges = [1024] * 48 + [50_000 - 48 * 1024]
    passed = sum(edge * (number + 1) + sum(edges[:number]) for number, edge in enumerate(edges))
    assert ntk.operations == pytest.approx(6 * (50_000 * 50_001 / 2 + parameters * passed), rel=1e-12)
    assert 1e9 < ntk.memory < ntk.asked < 8e9

    assert (cross.matrices, cross.tiles, cross.bands, cross.jobs) == (2, 13, 1, 1)
    assert cross.disk == 2 * 1000 * 50_000 * 8
    assert cross.operations == pytest.approx(2 * 2 * (1000 * 50_000 + parameters * (13 * 1000 + 50_000)), rel=1e-12)


def test_times_are_operations_at_the_rates(plan: Plan):
    kernels = [kernel for kernel in plan_kernels(plan, pairs) if kernel.name.startswith("large/")]
    text = plan_report(plan, kernels, cpu_rate=6e10, gpu_rate=5e13)
    (line,) = [line for line in text.splitlines() if line.startswith("large/base/ntk")]
    seconds = kernels[0].operations / (EFFICIENCY * 6e10)
    on_gpu = kernels[0].operations / (EFFICIENCY * 5e13)
    assert line.split()[-4:] == [f"{seconds / 60:.1f}", "min", f"{on_gpu:.2g}", "s"]
    assert "60.0 GB" in line and "50,000 x 50,000" in line
    assert "and 8 more, for kernels that are computed in bands" in text
    assert "60 GF/s a core" in text and "50 TF/s a GPU" in text


def test_every_kernel_of_the_shipped_configuration_is_planned_and_jobs_are_counted():
    plan = Plan(load(ROOT, {"scale": "smoke", "results": "nowhere"}), ROOT)
    kernels = plan_kernels(plan, pairs)
    assert len(kernels) == len(plan.stage("kernels")) == sum(kernel.jobs for kernel in kernels)
    text = plan_report(plan, kernels, 1e9, 1e12)
    assert ["kernels", str(len(kernels))] in [line.split() for line in text.splitlines()]
    assert "more, for kernels" not in text
    assert "There are no kernels." in plan_report(plan, [], 1e9, 1e12)


def test_the_rate_of_this_machine_is_that_of_some_machine():
    assert 1e8 < matrix_product_rate(256, 2) < 1e13
