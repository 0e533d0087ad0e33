"""Worker processes as the driver sees them: started, asked, and ended when they take too long or too much memory."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from harness.implementations import IMPLEMENTATIONS

BENCHMARKS = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
WATCH_SECONDS = 0.05


class Failed(Exception):
    """The worker could not do what it was asked; the message says why."""


def environments(root: Path) -> dict[str, Path]:
    """Interpreters of the environments that exist; `make peers` makes those of the peers."""
    found = {"main": Path(sys.executable)}
    for name in ("peers", "jax"):
        python = root / f".venv-{name}" / "bin" / "python"
        if python.exists():
            found[name] = python
    return found


class TooLong(Failed):
    """The worker passed its limit of time."""


class WorkerProcess:
    """One `harness.worker`, started when it is first asked and again after it had to be ended."""

    def __init__(self, name: str, python: Path, threads: int, memory_limit: int, log: Path) -> None:
        self.name = name
        self._python, self._threads, self._memory_limit, self._log = python, threads, memory_limit, log
        self._process: subprocess.Popen[str] | None = None

    def ask(self, command: str, seconds: float = START_SECONDS, **arguments: Any) -> Any:
        """The worker's answer. Raises Failed if it says so, dies, or passes one of its limits, which ends it."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        try:
            print(json.dumps({"command": command, **arguments}), file=process.stdin, flush=True)
            self._watch(process, seconds)
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.end()
            raise Failed(f"ended unexpectedly: {self._last_words()}")
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(answer["failed"])
        return answer["value"]

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        threads = str(self._threads)
        pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = os.environ | dict.fromkeys(pools, threads) | {
            "PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(BENCHMARKS.parent / "workflow_scripts")]),
            "PYTHONWARNINGS": "ignore",
            "JAX_PLATFORMS": "cpu",
        }  # fmt: skip
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [str(self._python), "-m", "harness.worker", self.name, threads],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
            )  # fmt: skip
        return self._process

    def _watch(self, process: subprocess.Popen[str], seconds: float) -> None:
        """Returns when there is something to read; ends the worker if it passes a limit first."""
        deadline = time.monotonic() + seconds
        resident = psutil.Process(process.pid).memory_info
        with selectors.DefaultSelector() as selector:
            assert process.stdout is not None
            selector.register(process.stdout, selectors.EVENT_READ)
            while not selector.select(WATCH_SECONDS):
                if time.monotonic() > deadline:
                    self.end()
                    raise TooLong(f"more than {seconds:g} s")
                if resident().rss > self._memory_limit:
                    self.end()
                    raise Failed(f"more than {self._memory_limit / 2**30:.3g} GiB")

    def _last_words(self) -> str:
        lines = self._log.read_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def start_workers(python: dict[str, Path], threads: int, memory_limit: int, logs: Path) -> dict[str, WorkerProcess]:
    """One worker, not yet started, for each implementation whose environment exists."""
    return {
        name: WorkerProcess(name, python[kind.environment], threads, memory_limit, logs / f"{number}.log")
        for number, (name, kind) in enumerate(IMPLEMENTATIONS.items())
        if kind.environment in python
    }
