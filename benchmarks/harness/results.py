"""From measurements to what is reported: ratios, goals, the part of the GEMM peak; kept in one JSON file."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from harness.cases import FASTEST, Case
from harness.implementations import OURS
from harness.measure import CaseResult, Row

# Beyond the result, at any number of samples.
MEMORY_GOAL = 2**30


def case_record(result: CaseResult) -> dict[str, Any]:
    """One case as it stands in the JSON file. `ratio` is median time over our median time, so above 1 we are faster."""
    ours = result.row(OURS)
    record: dict[str, Any] = {
        "case": result.case.to_json(),
        "rows": [_row(row, ours) for row in result.rows],
        "goals": [_goal(result, goal.against, goal.ratio) for goal in result.case.goals],
    }
    if ours is not None:
        assert ours.peak_bytes is not None and ours.error is not None
        record["memory_met"] = ours.peak_bytes < MEMORY_GOAL
        record["agreement_met"] = ours.error < result.case.agreement
        if result.flops and result.gemm_peak:
            record["gemm"] = _gemm(result.case, result.flops, result.flops / ours.median, result.gemm_peak)
    return record


def _row(row: Row, ours: Row | None) -> dict[str, Any]:
    record = asdict(row)
    if row.seconds:
        record |= {"median": row.median, "min": min(row.seconds), "max": max(row.seconds)}
        record["cores"] = statistics.median(row.cores)
        if ours is not None:
            record["ratio"] = row.median / ours.median
    return record


def _goal(result: CaseResult, against: str, ratio: float) -> dict[str, Any]:
    """What was reached against a peer, or against the fastest that ran; `reached` is None where either has no time."""
    rivals = [row for row in result.rows if row.seconds and row.implementation != OURS]
    if against != FASTEST:
        rivals = [row for row in rivals if row.implementation == against]
    rival = min(rivals, key=lambda row: row.median, default=None)
    ours = result.row(OURS)
    reached = rival.median / ours.median if rival is not None and ours is not None else None
    return {
        "against": against,
        "rival": None if rival is None else rival.implementation,
        "goal": ratio,
        "reached": reached,
        "met": None if reached is None else reached >= ratio,
    }


def _gemm(case: Case, flops: float, rate: float, peak: float) -> dict[str, Any]:
    fraction = rate / peak
    met = None if case.gemm_fraction is None else fraction >= case.gemm_fraction
    return {"flops": flops, "peak": peak, "fraction": fraction, "goal": case.gemm_fraction, "met": met}


def machine(threads: int) -> dict[str, Any]:
    """What the times depend on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def read(path: Path) -> dict[str, Any]:
    """What an earlier run left, or nothing."""
    return json.loads(path.read_text()) if path.exists() else {"cases": {}}


def save(path: Path, results: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".partial")
    temporary.write_text(json.dumps(results, indent=1) + "\n")
    temporary.replace(path)
