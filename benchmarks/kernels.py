"""Times `lazyrich.kernels` and its peers on equal work, interleaved, and writes a table, a chart and JSON.

    python benchmarks/kernels.py                    every case (about an hour; keep the machine otherwise idle)
    python benchmarks/kernels.py --quick            tiny sizes of all of it, to test the harness
    python benchmarks/kernels.py --only mlp-512     cases whose names contain the word; the rest of the results stays
    python benchmarks/kernels.py --render           table and chart again, from the JSON

See benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
sys.path[:0] = [str(BENCHMARKS), str(ROOT / "workflow_scripts")]

import torch  # noqa: E402
from harness import results as store  # noqa: E402
from harness.cases import CASES, Case, quick  # noqa: E402
from harness.chart import draw  # noqa: E402
from harness.measure import CaseResult, Limits, measure_case  # noqa: E402
from harness.processes import Failed, WorkerProcess, environments, start_workers  # noqa: E402
from harness.table import markdown  # noqa: E402

QUICK = Limits(rounds=2, tuning_seconds=0, gemm_sizes=(512,))


def main() -> None:
    options = _options()
    if not options.render:
        _measure(options)
    results = store.read(options.output)
    if not results["cases"]:
        raise SystemExit(f"{options.output} has no results to draw; measure first, without --render")
    options.output.with_suffix(".md").write_text(markdown(results))
    draw(results, options.chart)
    say(f"{options.output}, {options.output.with_suffix('.md')}, {options.chart}")


def say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


def _measure(options: argparse.Namespace) -> None:
    cases, limits = _chosen(options)
    results = store.read(options.output) if options.only else {"cases": {}}
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory(prefix="lazyrich-benchmark-") as name:
        folder = Path(name)
        python = environments(ROOT) | {
            kind: path for kind, path in vars(options).items() if kind in ("peers", "jax") and path
        }
        workers = start_workers(python, options.threads, round(options.memory * 2**30), folder)
        try:
            results |= {"machine": store.machine(options.threads)}
            results |= _libraries(workers, limits)
            done: list[CaseResult] = []
            for number, case in enumerate(cases, start=1):
                say(f"{number}/{len(cases)} {case.name}")
                done.append(measure_case(case, workers, limits, folder, say, done))
                results["cases"][case.name] = store.case_record(done[-1])
                store.save(options.output, results)
        finally:
            for worker in workers.values():
                worker.end()


def _chosen(options: argparse.Namespace) -> tuple[list[Case], Limits]:
    cases = [case for case in CASES if not options.only or any(word in case.name for word in options.only)]
    if not cases:
        raise SystemExit(f"no case has {options.only} in its name; there are {', '.join(case.name for case in CASES)}")
    if not options.quick:
        return cases, Limits(options.rounds, options.seconds, options.tuning, options.timing)
    return list({small.work: small for small in map(quick, reversed(cases))}.values())[::-1], QUICK


def _libraries(workers: dict[str, WorkerProcess], limits: Limits) -> dict[str, dict]:
    """Versions, and the rate of a matrix product in each process, of all workers; those that cannot start are left out."""
    versions, rates = {}, {}
    for name in list(workers):
        try:
            versions[name] = workers[name].ask("versions")
            if name != "LAPACK":
                rates[name] = max(workers[name].ask("gemm", size=size) for size in limits.gemm_sizes)
        except Failed as failure:
            say(f"{name} does not start and is left out: {failure}")
            del workers[name]
    return {"versions": versions, "gemm": rates}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="tiny sizes; writes into results/benchmarks/quick")
    parser.add_argument("--only", nargs="+", metavar="WORD", help="cases whose names contain one of these words")
    parser.add_argument("--render", action="store_true", help="measure nothing; table and chart from the JSON")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="of each implementation")
    parser.add_argument("--rounds", type=int, default=Limits.rounds, help="timed rounds per case (%(default)s)")
    parser.add_argument("--seconds", type=float, default=Limits.call_seconds, help="limit of a call (%(default)g)")
    parser.add_argument("--tuning", type=float, default=Limits.tuning_seconds, help="of each in a case (%(default)g s)")
    parser.add_argument("--timing", type=float, default=Limits.timing_seconds, help="of each in a case (%(default)g s)")
    parser.add_argument("--memory", type=float, default=8.0, help="limit of a process in GiB (%(default)g)")
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="interpreter with nngeometry, if not .venv-peers")
    parser.add_argument("--jax", type=Path, metavar="PYTHON", help="interpreter with neural-tangents, if not .venv-jax")
    parser.add_argument("--output", type=Path, help="JSON; the table stands beside it (benchmarks/results.json)")
    parser.add_argument("--chart", type=Path, help="PNG (docs/images/benchmark-kernels.png)")
    options = parser.parse_args()
    tiny = ROOT / "results" / "benchmarks" / "quick"
    options.output = options.output or (tiny / "kernels.json" if options.quick else BENCHMARKS / "results.json")
    options.chart = options.chart or (tiny if options.quick else ROOT / "docs" / "images") / "benchmark-kernels.png"
    return options


if __name__ == "__main__":
    main()
