"""A world: a copy of the product with a tiny configuration, in which a test can change, run and kill whatever it likes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("Snakefile", "rules", "workflow_scripts", "profiles", "report")
TINY = Path(__file__).parent / "tiny"

#: Seconds after which a run that should have ended is taken for hanging.
PATIENCE = 240


@dataclass(frozen=True)
class Finished:
    """How a command ended, and all that it printed."""

    status: int
    output: str
    seconds: float


class Command(subprocess.Popen):
    """A command in a process group of its own, all of which is killed at the end of a ``with`` block."""

    def __init__(self, command: list[str], folder: Path, environment: dict[str, str]) -> None:
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the command is known
        super().__init__(
            command, cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._printed, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def __exit__(self, *exception: object) -> None:
        self.kill_all()

    @property
    def output(self) -> str:
        """What the command printed so far."""
        return os.pread(self._printed.fileno(), 2**24, 0).decode()

    def kill_all(self) -> None:
        """SIGKILL to the whole process group at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.wait()


class World:
    """A folder with the product and its results."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @classmethod
    def new(cls, root: Path) -> "World":
        """The product as it stands, the tiny configuration, and no results yet."""
        root.mkdir(parents=True)
        for name in PRODUCT:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(ROOT / name, root / name)
        shutil.copytree(TINY, root / "config", ignore=shutil.ignore_patterns("reference"))
        shutil.copytree(ROOT / "config" / "schemas", root / "config" / "schemas")
        shutil.copytree(TINY / "reference", root / "resources" / "reference")
        shutil.copy2(ROOT / "resources" / "sources.yaml", root / "resources")
        return cls(root)

    def copy(self, root: Path) -> "World":
        """The same world elsewhere, results, times of change and Snakemake's records included."""
        shutil.copytree(self.root, root, symlinks=True)
        return World(root)

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    # -- changing it ----------------------------------------------------------------------------------------------------

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace ``old`` in a file, in which it must stand exactly once."""
        path = self / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")

    # -- running it -----------------------------------------------------------------------------------------------------

    def start(self, *command: str) -> "Command":
        """Start ``python <command>`` in this world, in a process group of its own."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "SNAKEMAKE", "LAZYRICH"))
        }
        environment |= {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
        return Command([sys.executable, *command], self.root, environment)

    def python(self, *command: str) -> Finished:
        """Run ``python <command>`` to its end."""
        started = time.monotonic()
        with self.start(*command) as process:
            status = process.wait(PATIENCE)
        return Finished(status, process.output, time.monotonic() - started)

    def run(self, *options: str) -> Finished:
        """``make reproduce``, less the installation."""
        return self.python("workflow_scripts/reproduce.py", *options)

    def dry_run(self, *options: str) -> set[str]:
        """The jobs that Snakemake would run, each as ``rule wildcards``: ``train gap/base``. The target ``all`` is left out."""
        finished = self.python("-m", "snakemake", "--dry-run", *options)
        assert finished.status == 0, finished.output
        return jobs(finished.output)

    def log(self, name: str) -> str:
        """The log of a job, such as ``train/gap/base``."""
        return (self / "results" / "logs" / f"{name}.log").read_text(encoding="utf-8")


def jobs(output: str) -> set[str]:
    """The jobs in what a dry run prints: a line ``rule <name>:`` and below it, indented, ``wildcards: a=x, b=y`` if there are any."""
    found: list[str] = []
    for line in output.splitlines():
        rule = re.match(r"(?:local)?rule (\w+):$", line)
        wildcards = re.match(r"    wildcards: (.*)$", line)
        if rule:
            found.append(rule[1])
        elif wildcards:
            found[-1] += " " + "/".join(part.partition("=")[2] for part in wildcards[1].split(", "))
    assert found or "Nothing to be done" in output, output
    assert len(found) == len(set(found)), output
    return set(found) - {"all"}


# -- watching and killing ---------------------------------------------------------------------------------------------------


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60) -> None:
    """Look every 20 ms until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain: {what}"
        time.sleep(0.02)


def family(process: Command) -> list[psutil.Process]:
    """A process and all its living descendants."""
    try:
        parent = psutil.Process(process.pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def job_process(process: Command, script: str) -> psutil.Process:
    """The Python process, below ``process``, that executes ``workflow_scripts/<script>``."""
    found = [child for child in family(process) if _executes(child, script)]
    assert len(found) == 1, [child.cmdline() for child in family(process)]
    return found[0]


def _executes(process: psutil.Process, script: str) -> bool:
    """Snakemake runs ``python <copy of the script with a preamble>``, whose name ends as the script's does; not a shell around it."""
    command = process.cmdline()
    return len(command) == 2 and Path(command[0]).name.startswith("python") and command[1].endswith(f".{script}")
