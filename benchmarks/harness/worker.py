"""A worker process: one implementation, which computes cases when the driver says so and answers how long it took.

    python -m harness.worker <implementation> <threads>

Commands and answers are JSON, one per line, on standard input and output; whatever libraries print goes to standard error.
An answer is {"value": ...} or {"failed": reason}.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import IO, Any

import numpy as np

from harness import data as case_data
from harness.cases import Case, Problem
from harness.implementations import IMPLEMENTATIONS, Unsupported
from harness.memory import peak_bytes

# A call shorter than this is repeated until that has passed, and the median of the calls counts.
LEAST_SECONDS = 0.3
MOST_CALLS = 20
BRIEF_SECONDS = 5.0
PR_SET_PDEATHSIG = 1


class Worker:
    """The commands, each a public method. One computation is prepared at a time."""

    def __init__(self, name: str, threads: int) -> None:
        self._name, self._threads = name, threads
        self._case: Case | None = None
        self._run: Callable[[], Any] | None = None

    def versions(self) -> dict[str, str]:
        return self._module(next(iter(IMPLEMENTATIONS[self._name].sources))).versions()

    def settings(self, case: dict[str, Any]) -> list[dict[str, Any]]:
        """What can be tuned for this case, most promising first."""
        return self._module(case["problem"]).settings(Case.from_json(case))

    def prepare(self, case: dict[str, Any], data: str, setting: dict[str, Any]) -> float:
        """Reads the inputs, builds and compiles; seconds."""
        self._run = None
        self._case = Case.from_json(case)
        module, inputs = self._module(self._case.problem), case_data.read(data)
        start = time.perf_counter()
        self._run = module.prepare(self._case, inputs, setting)
        return time.perf_counter() - start

    def first(self, result: str) -> dict[str, float]:
        """The first call, or the second if they are brief: seconds, peak memory beyond the result, the result in a file.

        The very first call of a process may load libraries, which is memory that no later call takes.
        """
        assert self._case is not None
        raw, seconds, peak = self._measured_call()
        if seconds < BRIEF_SECONDS:
            raw, seconds, peak = self._measured_call()
        array = self._module(self._case.problem).to_array(self._case, raw)
        np.save(result, array)
        return {"seconds": seconds, "peak_bytes": max(0, peak - array.nbytes)}

    def _measured_call(self) -> tuple[Any, float, int]:
        assert self._run is not None
        start = time.perf_counter()
        raw, peak = peak_bytes(self._run)
        return raw, time.perf_counter() - start, peak

    def time(self) -> dict[str, float]:
        """Median wall seconds of a call, and CPU over wall seconds: how many threads were at work."""
        assert self._run is not None
        return _timed(self._run)

    def gemm(self, size: int) -> float:
        """Float32 operations per second of a product of two square matrices, as this framework reaches them."""
        product = self._module("ntk").matrix_product(size)
        product()
        return 2 * size**3 / _timed(product)["seconds"]

    def flops(self, case: dict[str, Any]) -> float | None:
        """Operations that the case needs, where the implementation counts them."""
        return self._module(case["problem"]).flops(Case.from_json(case))

    def _module(self, problem: Problem) -> Any:
        """What solves the problem: a module, or an attribute of one, held to the threads of this worker."""
        module, _, attribute = IMPLEMENTATIONS[self._name].sources[problem].partition(":")
        loaded = importlib.import_module(f"harness.implementations.{module}")
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(self._threads)
        return getattr(loaded, attribute) if attribute else loaded


def _timed(function: Callable[[], Any]) -> dict[str, float]:
    calls: list[float] = []
    cpu_start, wall_start = time.process_time(), time.perf_counter()
    while True:
        start = time.perf_counter()
        result = function()
        calls.append(time.perf_counter() - start)
        del result
        wall = time.perf_counter() - wall_start
        if wall > LEAST_SECONDS or len(calls) == MOST_CALLS:
            return {"seconds": float(np.median(calls)), "cores": (time.process_time() - cpu_start) / wall}


def serve(worker: Worker, commands: IO[str], answers: IO[str]) -> None:
    """Answers commands until the driver closes the pipe."""
    for line in commands:
        request = json.loads(line)
        try:
            answer = {"value": getattr(worker, request.pop("command"))(**request)}
        except Unsupported as reason:
            answer = {"failed": str(reason)}
        except Exception as error:
            traceback.print_exc()
            answer = {"failed": ": ".join([type(error).__name__, *str(error).splitlines()[:1]])}
        print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    # A driver that is killed takes its workers along, and with them the computation that one may be in.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    name, threads = sys.argv[1], int(sys.argv[2])
    # XLA has no other way to say how many threads it may use: it takes as many as the process may run on.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(Worker(name, threads), sys.stdin, answers)


if __name__ == "__main__":
    main()
