"""The bridge from Snakemake to a step: what the job was handed, its log, its errors.

Nothing else knows the ``snakemake`` object, and the package never imports Snakemake. Every job leaves ``<log>.job.json`` beside its
log; ``python workflow_scripts/<script>.py <log>.job.json`` runs just this job again, alone.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TextIO

from lazyrich.fingerprints import canonical, fingerprint, module_file, tree_digest
from lazyrich.guard import end_with
from lazyrich.progress import duration


@dataclass(frozen=True)
class Job:
    """What a step was handed: files by name, and the canonical ``spec`` and ``code`` that decide when it is rerun."""

    rule: str
    script: str
    title: str
    inputs: dict[str, list[str]]
    outputs: dict[str, str]
    spec: str
    code: str
    threads: int
    device: str
    log: str
    places: dict[str, str] = field(default_factory=dict)
    """Where dataset files are looked for and put: ``data``, ``downloads``, ``offline``; of the job that does that alone."""

    def input(self, name: str) -> Path:
        """The one input called ``name``."""
        (path,) = self.inputs[name]
        return Path(path)

    def input_list(self, name: str) -> list[Path]:
        return [Path(path) for path in self.inputs.get(name, [])]

    def output(self, name: str) -> Path:
        return Path(self.outputs[name])

    def parameters(self) -> dict:
        """The configuration of this step, read from its canonical form."""
        return json.loads(self.spec)

    def say(self, text: str) -> None:
        """One line for whoever watches the run."""
        print(f"{self.title}: {text}", file=sys.stderr, flush=True)


def run(main: Callable[[Job], None], snakemake: object | None = None) -> None:
    """Run ``main`` with its job, as handed over by Snakemake or named on the command line; end with status 1 if it fails."""
    job = _from_snakemake(snakemake) if snakemake is not None else _from_file(sys.argv)
    log = Path(job.log)
    log.parent.mkdir(parents=True, exist_ok=True)
    record = log.with_suffix(".job.json")
    _record(job, record)
    workflow = os.environ.get("LAZYRICH_WORKFLOW_PID")
    end_with(int(workflow) if snakemake is not None and workflow else None)
    started = time.monotonic()
    with log.open("w", encoding="utf-8") as handle:
        sys.stderr = _Tee(handle, sys.stderr)  # type: ignore[assignment]
        try:
            main(job)
        except Exception as error:
            _report(job, error)
            _record(job, record)
            sys.stderr.flush()
            os._exit(1)  # the job's own traceback stands above; Snakemake's wrapper would only add its own
        job.say(f"done in {duration(time.monotonic() - started)}")
        _record(job, record)
        sys.stderr = sys.__stderr__


def _from_snakemake(snakemake) -> Job:
    def lists(files) -> dict[str, list[str]]:
        return {
            name: [str(value)] if isinstance(value, str) else [str(item) for item in value]
            for name, value in files.items()
        }

    title = " ".join([snakemake.rule, "/".join(str(value) for value in snakemake.wildcards)]).strip()
    return Job(
        rule=snakemake.rule,
        script=Path(sys.modules["__main__"].__file__ or "").name,
        title=title,
        inputs=lists(snakemake.input),
        outputs={name: str(value) for name, value in snakemake.output.items()},
        spec=snakemake.params.spec,
        code=snakemake.params.code,
        threads=snakemake.threads,
        device=snakemake.resources.get("device", "auto"),
        log=str(snakemake.log[0]),
        places={name: str(snakemake.resources.get(name, "")) for name in ("data", "downloads", "offline")},
    )


def _from_file(arguments: list[str]) -> Job:
    if len(arguments) != 2:
        sys.exit(
            f"usage: python {arguments[0]} results/logs/<rule>/<name>.job.json  (each job of a run leaves such a file)"
        )
    recorded = json.loads(Path(arguments[1]).read_text(encoding="utf-8"))
    job = Job(**recorded["job"])
    changed = {
        name: tree_digest(module_file(name))
        for name, digest in recorded["modules"].items()
        if tree_digest(module_file(name)) != digest
    }
    if not changed:
        return job
    # Under the old digest, what new code computes would later be taken for what the old code computed.
    job.say(f"{', '.join(changed)} changed since: the results are kept apart; the workflow will compute its own")
    return replace(job, code=_apart(job.code, changed))


def _apart(code: str, changed: dict[str, str]) -> str:
    """A code digest, or the JSON mapping of digests that metrics have, made different by ``changed``."""
    if code.startswith("{"):
        return canonical({name: fingerprint(digest, changed) for name, digest in json.loads(code).items()})
    return fingerprint(code, changed)


def _record(job: Job, path: Path) -> None:
    """Write what is needed to run the job again alone, with the digest of each of our modules that it has imported so far."""
    modules = {name: tree_digest(module_file(name)) for name in _first_party_modules()}
    path.write_text(json.dumps({"job": asdict(job), "modules": modules}, indent=1) + "\n", encoding="utf-8")


def _report(job: Job, error: Exception) -> None:
    print(f"\n{job.title}: FAILED", file=sys.stderr)
    if type(error).__module__.startswith("lazyrich."):
        print(f"  {error}", file=sys.stderr)
    else:
        # The frames of this file and of Snakemake's wrapper say nothing about what went wrong.
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        print("".join(traceback.format_exception(type(error), error, trace)), file=sys.stderr)
    print(
        f"  log: {job.log}\n  alone: python workflow_scripts/{job.script} {Path(job.log).with_suffix('.job.json')}",
        file=sys.stderr,
    )


def _first_party_modules() -> list[str]:
    """What the job imported of our own code; a test holds it against what its code digest covers."""
    files = {
        name: getattr(module, "__file__", None) or ""
        for name, module in sys.modules.items()
        if name.startswith("lazyrich.")
    }
    return sorted(name for name, file in files.items() if file and not file.endswith("__init__.py"))


class _Tee:
    """The log file and standard error at once, each line at once in both; the log first, as the terminal may be gone."""

    def __init__(self, *streams: TextIO) -> None:
        self.streams = streams

    def write(self, text: str) -> int:
        for stream in self.streams:
            stream.write(text)
            stream.flush()
        return len(text)

    def flush(self) -> None:
        for stream in self.streams:
            stream.flush()

    def isatty(self) -> bool:
        return False
