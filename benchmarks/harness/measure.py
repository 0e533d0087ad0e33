"""One case, all implementations: tuning, checking, then rounds in which each is timed once, in rotating order."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.cases import Case
from harness.implementations import IMPLEMENTATIONS, OURS
from harness.problems import write_inputs
from harness.processes import Failed, TooLong, WorkerProcess
from harness.reference import Errors, Reference

# Threads of the worker that ran before spin for a fifth of a second before they sleep.
SETTLE_SECONDS = 0.3
# A first call shorter than this is timed again for the tuning: it paid for pages and caches that later ones find.
BRIEF_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """What an implementation may use.

    Attributes:
        rounds: timed rounds. After the second, one sits out whose calls have taken `timing_seconds` in sum.
        call_seconds: for one call; building and compiling may take as long again.
        tuning_seconds: once these are spent, no further setting is tried.
        gemm_sizes: matrices that measure the peak, one size a round.
    """

    rounds: int = 7
    call_seconds: float = 120.0
    tuning_seconds: float = 60.0
    timing_seconds: float = 60.0
    gemm_sizes: tuple[int, ...] = (2048, 4096)


@dataclass
class Row:
    """What one implementation did in one case; `skipped` says why there are no times.

    Attributes:
        setting: the fastest of `tried`, each with its seconds or the reason why it failed.
        seconds, cores: wall time of a call in each round, and CPU time over wall time.
        prepare_seconds: building and compiling, which `seconds` leave out.
        peak_bytes: peak resident memory of the first call beyond the result.
        error, error_at_random: against the float64 reference, see `harness.reference`.
        too_long: a setting passed the limit of time.
    """

    implementation: str
    setting: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    prepare_seconds: float | None = None
    peak_bytes: float | None = None
    error: float | None = None
    error_at_random: float | None = None
    tried: list[dict[str, Any]] = field(default_factory=list)
    skipped: str | None = None
    too_long: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclass
class CaseResult:
    """All rows of a case; `flops` that it needs and `gemm_peak`, flops per second, both None where not counted."""

    case: Case
    rows: list[Row]
    flops: float | None = None
    gemm_peak: float | None = None

    def row(self, implementation: str) -> Row | None:
        """The row of an implementation that has times."""
        return next((row for row in self.rows if row.implementation == implementation and row.seconds), None)


def measure_case(
    case: Case,
    workers: Mapping[str, WorkerProcess],
    limits: Limits,
    folder: Path,
    say: Callable[[str], None],
    earlier: Sequence[CaseResult] = (),
) -> CaseResult:
    """Tunes and checks every implementation that solves the problem, then times them in turn.

    What took too long on fewer samples, in one of the `earlier` cases, is not tried.
    """
    inputs = folder / "inputs.npz"
    reference = Reference(case, write_inputs(case, inputs))
    result = CaseResult(case, [])
    for name, implementation in IMPLEMENTATIONS.items():
        if case.problem in implementation.sources:
            row = Row(name)
            result.rows.append(row)
            row.skipped = _too_long_before(case, name, earlier)
            if row.skipped is None and name in workers:
                tune(Bench(workers[name], case, inputs, reference, limits), row)
            elif row.skipped is None:
                row.skipped = "its environment is missing (make peers)"
            say(f"  {name}: {row.skipped or row.tried}")
    rates = time_in_turn(case, workers, [row for row in result.rows if not row.skipped], limits)
    result.gemm_peak = max(rates, default=None)
    if result.row(OURS) and case.network is not None:
        result.flops = workers[OURS].ask("flops", case=case.to_json())
    return result


def _too_long_before(case: Case, name: str, earlier: Sequence[CaseResult]) -> str | None:
    for result in earlier:
        if result.case.work == case.work and result.case.n <= case.n:
            for row in result.rows:
                if row.implementation == name and row.skipped and row.too_long:
                    return f"{row.skipped} on {result.case.n} samples"
    return None


@dataclass(frozen=True)
class Bench:
    """One implementation's worker with the inputs of one case."""

    worker: WorkerProcess
    case: Case
    inputs: Path
    reference: Reference
    limits: Limits

    def prepare(self, setting: dict[str, Any]) -> float:
        """Builds and compiles; seconds."""
        arguments = {"case": self.case.to_json(), "data": str(self.inputs), "setting": setting}
        return self.worker.ask("prepare", self.limits.call_seconds, **arguments)

    def first_call(self) -> tuple[float, float, Errors]:
        """Seconds, peak bytes and errors of the prepared computation."""
        path = self.inputs.with_name("result.npy")
        first = self.worker.ask("first", self.limits.call_seconds, result=str(path))
        seconds = first["seconds"]
        if seconds < BRIEF_SECONDS:
            seconds = self.worker.ask("time", self.limits.call_seconds)["seconds"]
        return seconds, first["peak_bytes"], self.reference.errors(np.load(path, mmap_mode="r"))


def tune(bench: Bench, row: Row) -> None:
    """Leaves the worker ready with its fastest setting, or the reason in `row.skipped` why none worked."""
    deadline = time.monotonic() + bench.limits.tuning_seconds
    best = math.inf
    try:
        for setting in bench.worker.ask("settings", case=bench.case.to_json()):
            if not row.tried or time.monotonic() < deadline:
                best = min(best, _try(bench, setting, row, best))
        if best == math.inf:
            row.skipped = row.tried[0]["failed"]
        elif row.tried[-1].get("seconds") != best:
            bench.prepare(row.setting)
    except Failed as failure:
        row.skipped = str(failure)


def _try(bench: Bench, setting: dict[str, Any], row: Row, best: float) -> float:
    """Seconds with this setting, which goes into the row if it is faster than `best`; infinite if it fails."""
    row.tried.append(dict(setting))
    try:
        prepare_seconds = bench.prepare(setting)
        seconds, peak_bytes, errors = bench.first_call()
    except Failed as failure:
        row.tried[-1]["failed"] = str(failure)
        row.too_long |= isinstance(failure, TooLong)
        return math.inf
    row.tried[-1]["seconds"] = seconds
    if seconds < best:
        row.setting, row.prepare_seconds, row.peak_bytes = setting, prepare_seconds, peak_bytes
        row.error, row.error_at_random = errors
    return seconds


def time_in_turn(case: Case, workers: Mapping[str, WorkerProcess], rows: Sequence[Row], limits: Limits) -> list[float]:
    """Adds the times of each round to the rows; the GEMM rates of our framework, measured in the same rounds."""
    rates = []
    for turn in range(limits.rounds):
        shift = turn % max(1, len(rows))
        for row in [*rows[shift:], *rows[:shift]]:
            if row.skipped or (len(row.seconds) >= 2 and sum(row.seconds) > limits.timing_seconds):
                continue
            worker = workers[row.implementation]
            time.sleep(SETTLE_SECONDS)
            try:
                timed = worker.ask("time", 2 * limits.call_seconds)
                if row.implementation == OURS and case.network is not None:
                    rates.append(worker.ask("gemm", size=limits.gemm_sizes[turn % len(limits.gemm_sizes)]))
            except Failed as failure:
                row.skipped, row.seconds = str(failure), []
            else:
                row.seconds.append(timed["seconds"])
                row.cores.append(timed["cores"])
    return rates
