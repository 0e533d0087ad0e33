"""``make reproduce``: run the workflow from wherever it stands, show how far it is, and end with the table of claims.

Snakemake does the work, as a process of its own. What this adds: one run at a time, recovery after any kill, a plain line when a
job ends, the reason of a failure without Snakemake's own traceback, and the verdicts at the end.
"""

import argparse
import csv
import difflib
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import yaml

from lazyrich.claims.table import to_terminal
from lazyrich.configuration import ConfigurationError, load
from lazyrich.guard import exclusive
from lazyrich.progress import duration

#: What Snakemake prints between jobs that says nothing to whoever waits for a result.
NOISE = re.compile(
    r"^(\[\w{3} \w{3} .*\]|Using .*profile.*|Config file .* is extended.*|Assuming unrestricted.*|(Error in|Finished|localrule|rule) .*"
    r"|RuleException:.*|CalledProcessError in file.*|Command '.*|Removing output files.*|Shutting down.*|Complete log.*|Building DAG.*"
    r"|Exiting because.*|Provided .*|Rules claiming.*|Select jobs.*|Execute \d+.*|WorkflowError:|At least one job did not.*|Job stats.*|    .*|\s*)$"
)
STEPS = re.compile(r"^(\d+) of (\d+) steps \((\d+)%\) done")


def main(root: Path, arguments: Sequence[str]) -> int:
    """Parse the command line, run, and return the exit status."""
    options, extra = _parser().parse_known_args(arguments)
    overrides = {"scale": options.scale} if options.scale else {}
    try:
        configuration = load(root, {**yaml.safe_load((root / "config" / "config.yaml").read_text(encoding="utf-8")), **overrides})
    except ConfigurationError as error:
        print(f"The configuration is not valid:\n{error}", file=sys.stderr)
        return 2
    targets = [_paper(options.paper, configuration.papers)] if options.paper else []
    results = Path(configuration.settings["results"])
    try:
        with exclusive(results / ".reproduce.lock", wait=0) as lock:
            return _run(root, results, targets, overrides, extra, lock)
    except BlockingIOError:
        print(f"Another run is writing {results}/. Wait for it, or stop it first; nothing was changed.", file=sys.stderr)
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Run the whole reproduction, or what of it is not up to date.", allow_abbrev=False)
    parser.add_argument("--scale", default="", help="smoke, reduced or full; default: the one of config/config.yaml")
    parser.add_argument("--paper", default="", help="one paper only, by its name or its arXiv number")
    return parser


def _paper(wanted: str, papers: dict[str, dict[str, str]]) -> str:
    """The paper with this name or arXiv number; ends the program if there is none."""
    for name, paper in papers.items():
        if wanted in (name, paper["arxiv"]):
            return name
    near = difflib.get_close_matches(wanted, papers, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    known = ", ".join(f"{name} (arXiv {paper['arxiv']})" for name, paper in papers.items())
    sys.exit(f"There is no paper {wanted!r}{hint} There are: {known}.")


def _run(root: Path, results: Path, targets: list[str], overrides: dict[str, str], extra: list[str], lock: int) -> int:
    snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(root / "Snakefile")]
    configured = ["--config", *(f"{key}={value}" for key, value in overrides.items())] if overrides else []
    blocker = _release_stale_lock(snakemake, configured)
    if blocker:
        print(f"{blocker}; wait for it, or stop it first. Nothing was changed.", file=sys.stderr)
        return 4
    started = time.monotonic()
    command = [*snakemake, *targets, "--quiet", "rules", "host", "reason", *extra, *configured]
    # The lock is inherited: if this process is killed, it is held for as long as Snakemake lives.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=(lock,))
    try:
        assert process.stdout is not None
        for line in process.stdout:
            _show(line.rstrip("\n"), started)
        status = process.wait()
    except KeyboardInterrupt:
        status = process.wait() or 130
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
    table = results / "claims.csv"
    if status == 0 and table.exists() and "-n" not in extra:
        with table.open(newline="", encoding="utf-8") as handle:
            print("\n" + to_terminal([_numbers(record) for record in csv.DictReader(handle)]))
        print(f"\nFigures: {results}/figures/   Claims: {table}   Took {duration(time.monotonic() - started)}.")
    elif status != 0:
        print(f"\nNot finished (status {status}): the reason stands above. The same command goes on from here.", file=sys.stderr)
    return status


def _numbers(record: dict[str, str]) -> dict[str, object]:
    """A line of claims.csv with its numbers as numbers."""
    numeric = ("measured", "ci_low", "ci_high", "tolerance")
    return {key: float(value or "nan") if key in numeric else value for key, value in record.items()}


def _show(line: str, started: float) -> None:
    steps = STEPS.match(line)
    if steps:
        done, total, percent = map(int, steps.groups())
        elapsed = time.monotonic() - started
        left = f", about {duration(elapsed * (total - done) / done)} left" if 0 < done < total else ""
        print(f"-- {done} of {total} jobs ({percent} %) after {duration(elapsed)}{left}", flush=True)
    elif not NOISE.match(line):
        print(line, flush=True)


def _release_stale_lock(snakemake: list[str], configured: list[str]) -> str:
    """Unlock the folder if the run that locked it is gone; returns who holds it if one is alive."""
    locks = Path(".snakemake", "locks")
    if not locks.exists() or not any(locks.iterdir()):
        return ""
    alive = _other_snakemake(Path.cwd())
    if alive is not None:
        return f"Snakemake is running in this folder (process {alive.pid}, since {time.strftime('%H:%M', time.localtime(alive.create_time()))})"
    print("An earlier run was killed; taking up its work.", flush=True)
    subprocess.run([*snakemake, "--unlock", "--quiet", "all", *configured], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ""


def _other_snakemake(folder: Path) -> psutil.Process | None:
    """A living Snakemake that works in ``folder``."""
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            is_snakemake = any(Path(part).name == "snakemake" for part in command[:3]) and process.pid != os.getpid()
            if is_snakemake and Path(process.cwd()) == folder and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except (psutil.Error, OSError):
            continue
    return None
