"""The plan of a configuration in words: jobs of every stage, and what its kernels take."""

from collections.abc import Sequence
from time import perf_counter

import torch

from lazyrich.kernels.planning import KernelPlan
from lazyrich.plan import Plan

STAGES = ("downloads", "datasets", "training", "kernels", "spectra", "metrics", "figures", "claims")

#: Share of the peak rate of matrix products that kernels reach, their forward and backward passes included.
EFFICIENCY = 0.5

HEAD = (
    "kernel", "matrices", "size", "tiles", "bands", "jobs", "memory a job", "asked for", "disk", "operations",
    "core time", "GPU time",
)  # fmt: skip


def plan_report(plan: Plan, kernels: Sequence[KernelPlan], cpu_rate: float, gpu_rate: float) -> str:
    """Jobs by stage, then a line a kernel; times at :data:`EFFICIENCY` of the rates (float32 operations a second)."""
    jobs = {stage: len(plan.stage(stage)) for stage in STAGES}
    lines = [f"Jobs at scale {plan.scale}:", *_aligned([(stage, f"{count:,}") for stage, count in jobs.items()])]
    extra = sum(kernel.jobs - 1 for kernel in kernels)
    if extra:
        lines.append(f"and {extra:,} more, for kernels that are computed in bands")
    if not kernels:
        return "\n".join([*lines, "", "There are no kernels."])
    rates = tuple(EFFICIENCY * rate for rate in (cpu_rate, gpu_rate))
    rows = [_row(kernel, *rates) for kernel in kernels]
    return "\n".join(
        [
            *lines, "", "Kernels, at most:", *_aligned([HEAD, *rows, _total(kernels, *rates)]), "",
            f"Times of the arithmetic alone, at {EFFICIENCY:g} of {cpu_rate / 1e9:,.0f} GF/s a core, or of "
            f"{gpu_rate / 1e12:,.0f} TF/s a GPU, in float32; an operation in float64 counts twice.",
        ]
    )  # fmt: skip


def matrix_product_rate(size: int = 1024, repeats: int = 5) -> float:
    """Float32 operations a second of matrix products on one thread of this machine, the best of ``repeats``."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        left, right = torch.ones((size, size)), torch.ones((size, size))
        seconds = []
        for _ in range(1 + repeats):
            started = perf_counter()
            torch.mm(left, right)
            seconds.append(perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    return 2 * size**3 / min(seconds[1:])


def _row(kernel: KernelPlan, cpu_rate: float, gpu_rate: float) -> tuple[str, ...]:
    return (
        kernel.name, f"{kernel.matrices:,}", f"{kernel.rows:,} x {kernel.columns:,}", f"{kernel.tiles:,}", f"{kernel.bands:,}",
        f"{kernel.jobs:,}", _bytes(kernel.memory), _bytes(kernel.asked), _bytes(kernel.disk), f"{kernel.operations:.1e}",
        _time(kernel.hours(cpu_rate)), _time(kernel.hours(gpu_rate)),
    )  # fmt: skip


def _total(kernels: Sequence[KernelPlan], cpu_rate: float, gpu_rate: float) -> tuple[str, ...]:
    return (
        "together", f"{sum(kernel.matrices for kernel in kernels):,}", "",
        f"{sum(kernel.tiles * kernel.matrices for kernel in kernels):,}", "", f"{sum(kernel.jobs for kernel in kernels):,}",
        _bytes(max(kernel.memory for kernel in kernels)), _bytes(max(kernel.asked for kernel in kernels)),
        _bytes(sum(kernel.disk for kernel in kernels)), f"{sum(kernel.operations for kernel in kernels):.1e}",
        _time(sum(kernel.hours(cpu_rate) for kernel in kernels)), _time(sum(kernel.hours(gpu_rate) for kernel in kernels)),
    )  # fmt: skip


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines, the first column to the left and the others, which are numbers, to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _bytes(count: float) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e8 else f"{count / 1e6:,.1f} MB"


def _time(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} h"
    return f"{60 * hours:.1f} min" if hours >= 1 / 60 else f"{3600 * hours:.2g} s"
