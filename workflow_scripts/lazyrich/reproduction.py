"""``make reproduce``: run the workflow from wherever it stands, show how far it is, and end with the table of claims.

Snakemake does the work, as a process of its own. What this adds: one run at a time, recovery after any kill, a plain line when a
job ends, the reason of a failure without Snakemake's own traceback, and the verdicts at the end.
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from lazyrich import paths as paths_of
from lazyrich.claims.table import to_terminal
from lazyrich.configuration import ConfigurationError, load
from lazyrich.configuration_layers import overlay
from lazyrich.guard import exclusive
from lazyrich.progress import duration

#: What Snakemake prints between jobs that says nothing to whoever waits for a result.
NOISE = re.compile(
    r"^(\[\w{3} \w{3} .*\]|Using .*|Elapsed time:.*|Config file .* is extended.*|Assuming unrestricted.*|(Error in|Finished|localrule|rule) .*"
    r"|RuleException:.*|CalledProcessError in file.*|Command '.*|Removing output files.*|Shutting down.*|Complete log.*|Building DAG.*"
    r"|Exiting because.*|Provided .*|Rules claiming.*|Select jobs.*|Execute \d+.*|WorkflowError:|At least one job did not.*|Job stats.*|    .*|\s*)$"
)
STEPS = re.compile(r"^(\d+) of (\d+) steps \((\d+)%\) done")


def main(root: Path, arguments: Sequence[str]) -> int:
    """Parse the command line, run, and return the exit status."""
    options, extra = _parser().parse_known_args(arguments)
    settings = [*([f"scale={options.scale}"] if options.scale else []), *options.config]
    try:
        configuration = load(root, _overrides(root, options.configfile, settings))
    except ConfigurationError as error:
        print(f"The configuration is not valid:\n{error}", file=sys.stderr)
        return 2
    papers = [_paper(options.paper, configuration.papers)] if options.paper else list(configuration.papers)
    results = Path(configuration.settings["results"])
    configured = [
        *(["--configfile", *options.configfile] if options.configfile else []),
        *(["--config", *settings] if settings else []),
    ]
    run = Reproduction(root, results, papers, papers if options.paper else [], extra, configured)
    try:
        with exclusive(results / ".reproduce.lock", wait=0) as lock:
            return run.go(lock)
    except BlockingIOError:
        print(
            f"Another run is writing {results}/. Wait for it, or stop it first; nothing was changed.", file=sys.stderr
        )
        return 4


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Run the whole reproduction, or what of it is not up to date. Other options go to Snakemake.",
        allow_abbrev=False,
    )
    parser.add_argument("--scale", default="", help="smoke, reduced or full; default: the one of config/config.yaml")
    parser.add_argument("--paper", default="", help="one paper only, by its name or its arXiv number")
    parser.add_argument(
        "--config",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="settings, as Snakemake takes them: results=elsewhere",
    )
    parser.add_argument("--configfile", nargs="+", default=[], metavar="FILE", help="YAML files laid over config/")
    return parser


def _overrides(root: Path, files: list[str], settings: list[str]) -> dict[str, object]:
    """What Snakemake would hand over: config.yaml, the files laid over it, and the settings of the command line."""
    overrides: dict[str, object] = overlay([root / "config" / "config.yaml", *map(Path, files)])
    for setting in settings:
        key, _, value = setting.partition("=")
        overrides[key] = yaml.safe_load(value)
    return overrides


def _paper(wanted: str, papers: dict[str, dict[str, str]]) -> str:
    """The paper with this name or arXiv number; ends the program if there is none."""
    for name, paper in papers.items():
        if wanted in (name, paper["arxiv"]):
            return name
    near = difflib.get_close_matches(wanted, papers, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    known = ", ".join(f"{name} (arXiv {paper['arxiv']})" for name, paper in papers.items())
    sys.exit(f"There is no paper {wanted!r}{hint} There are: {known}.")


@dataclass
class Reproduction:
    """One run of the workflow."""

    root: Path
    results: Path
    papers: list[str]
    """The papers whose claims are shown at the end."""
    targets: list[str]
    extra: list[str]
    """Options for Snakemake."""
    configured: list[str]

    def go(self, lock: int) -> int:
        """Run, and show the verdicts if all is well. ``lock`` is the descriptor of the lock held on the results folder."""
        snakemake = [sys.executable, "-m", "snakemake", "--snakefile", str(self.root / "Snakefile")]
        blocker = _release_stale_lock(snakemake, self.configured)
        if blocker:
            print(f"{blocker}; wait for it, or stop it first. Nothing was changed.", file=sys.stderr)
            return 4
        started = time.monotonic()
        command = [*snakemake, *self.targets, *self.extra, "--quiet", "rules", "host", "reason", *self.configured]
        # The lock is inherited: if this process is killed, it is held for as long as Snakemake lives.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, pass_fds=(lock,)
        )
        try:
            assert process.stdout is not None
            reporting = False
            for line in process.stdout:
                reporting = _show(line.rstrip("\n"), started, reporting)
            status = process.wait()
        except KeyboardInterrupt:
            status = process.wait() or 130
            print("\nStopped. The same command goes on from here.", file=sys.stderr)
        if status != 0:
            print(
                f"\nNot finished (status {status}): the reason stands above. The same command goes on from here.",
                file=sys.stderr,
            )
        elif not {"-n", "--dry-run", "--dryrun"} & set(self.extra):
            self._show_verdicts()
            print(f"\nFigures and claims: {self.results}/. Took {duration(time.monotonic() - started)}.")
        return status

    def _show_verdicts(self) -> None:
        paths = [self.results / paths_of.claims(paper) for paper in self.papers]
        records = [record for path in paths if path.exists() for record in json.loads(path.read_text(encoding="utf-8"))]
        print("\n" + to_terminal(records))


def _show(line: str, started: float, reporting: bool) -> bool:
    """Print what of Snakemake's output says something. Returns whether the line stands in a job's report of its failure, of which all
    is printed: its traceback is indented like what Snakemake prints of a rule.
    """
    steps = STEPS.match(line)
    if line.endswith(": FAILED"):
        reporting = True
    if reporting:
        print(line, flush=True)
        return not line.startswith("  alone: ")
    if steps:
        done, total, percent = map(int, steps.groups())
        elapsed = time.monotonic() - started
        left = f", about {duration(elapsed * (total - done) / done)} left" if 0 < done < total else ""
        print(f"-- {done} of {total} jobs ({percent} %) after {duration(elapsed)}{left}", flush=True)
    elif not NOISE.match(line):
        print(line, flush=True)
    return False


def _release_stale_lock(snakemake: list[str], configured: list[str]) -> str:
    """Unlock the folder if the run that locked it is gone; returns who holds it if one is alive."""
    locks = Path(".snakemake", "locks")
    if not locks.exists() or not any(locks.iterdir()):
        return ""
    alive = _other_snakemake(Path.cwd())
    if alive is not None:
        return f"Snakemake is running in this folder (process {alive.pid}, since {time.strftime('%H:%M', time.localtime(alive.create_time()))})"
    print("An earlier run was killed; taking up its work.", flush=True)
    subprocess.run(
        [*snakemake, "--unlock", "--quiet", "all", *configured],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
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
