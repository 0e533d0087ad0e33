"""The results as Markdown: the goals, then time, memory and error of every implementation, then what did not run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from harness.implementations import IMPLEMENTATIONS, OURS


def markdown(results: dict[str, Any]) -> str:
    """The whole page; `results` as `harness.results` keeps them."""
    cases = results["cases"]
    sections = [
        _machine(results),
        "## Goals\n\n" + _goals(cases),
        "## Kernels\n\n" + _times({name: case for name, case in cases.items() if case["case"]["network"]}),
        "## Regression and spectra\n\n"
        + _times({name: case for name, case in cases.items() if not case["case"]["network"]}),
        "## Relative errors against float64\n\nOn samples that no kink of a ReLU is near, and on random samples.\n\n"
        + _errors(cases),
        "## Settings that were tried, and what did not run\n\n" + _tried(cases),
    ]
    return "\n\n".join(sections) + "\n"


def _machine(results: dict[str, Any]) -> str:
    machine = results["machine"]
    versions = {name: version for libraries in results["versions"].values() for name, version in libraries.items()}
    peaks = ", ".join(f"{name} {rate / 1e9:.0f}" for name, rate in results["gemm"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB; {machine['threads']} threads, "
        f"float32 (regression and spectra: float64). Python {machine['python']}, "
        f"{', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}. "
        f"Product of two float32 matrices in each process, GFLOP/s: {peaks}."
    )


def _goals(cases: dict[str, Any]) -> str:
    rows = []
    for name, case in cases.items():
        for goal in case["goals"]:
            rival = goal["rival"] if goal["rival"] == goal["against"] else f"{goal['against']}: {goal['rival']}"
            rows.append(
                (name, f"time of {rival} over ours", f"{goal['goal']:g}", _number(goal["reached"]), goal["met"])
            )
        gemm = case.get("gemm")
        if gemm and gemm["goal"]:
            rows.append((name, "part of the GEMM peak", f"{gemm['goal']:.2f}", f"{gemm['fraction']:.2f}", gemm["met"]))
    ours = {name: row for name, case in cases.items() for row in case["rows"] if _ran(row, OURS)}
    networks = [name for name in ours if cases[name]["case"]["network"]]
    if networks:
        largest = max(networks, key=lambda name: ours[name]["peak_bytes"])
        peak, met = f"{ours[largest]['peak_bytes'] / 2**20:.0f}", all(cases[name]["memory_met"] for name in networks)
        rows.append((f"every kernel; most: {largest}", "MiB beyond the result", "< 1024", peak, met))
        worst = max(networks, key=lambda name: ours[name]["error"])
        rows.append(_error(f"every kernel; worst: {worst}", cases[worst], ours[worst]))
    rows.extend(_error(name, cases[name], row) for name, row in ours.items() if name not in networks)
    marks = {True: "met", False: "**missed**", None: "not measured"}
    return _grid(("case", "what", "goal", "reached", ""), ((*row[:-1], marks[row[-1]]) for row in rows))


def _error(title: str, case: dict[str, Any], ours: dict[str, Any]) -> tuple[str, str, str, str, bool]:
    return title, "relative error", f"< {case['case']['agreement']:.0e}", f"{ours['error']:.1e}", case["agreement_met"]


def _times(cases: dict[str, Any]) -> str:
    peers = [name for name in IMPLEMENTATIONS if name != OURS and any(_find(case, name) for case in cases.values())]
    if not cases:
        return "Not measured."
    lines = []
    for name, case in cases.items():
        ours = next((row for row in case["rows"] if _ran(row, OURS)), None)
        gemm = case.get("gemm")
        lines.append(
            (
                name,
                f"{_seconds(ours['median'])} ({_seconds(ours['min'])} to {_seconds(ours['max'])})" if ours else "-",
                f"{gemm['fraction']:.2f}" if gemm else "",
                f"{ours['peak_bytes'] / 2**20:.0f}" if ours else "",
                *(_against(_find(case, peer)) for peer in peers),
            )
        )
    heads = (
        "case",
        "ours: median (range)",
        "part of GEMM peak",
        "MiB",
        *(f"{peer}: time / ours, time, MiB" for peer in peers),
    )
    return _grid(heads, lines)


def _errors(cases: dict[str, Any]) -> str:
    names = [name for name in IMPLEMENTATIONS if any(_find(case, name) for case in cases.values())]
    lines = []
    for title, case in cases.items():
        rows = [_find(case, name) for name in names]
        cells = (f"{row['error']:.1e}, {row['error_at_random']:.1e}" if row and row["seconds"] else "" for row in rows)
        lines.append((title, *cells))
    return _grid(("case", *names), lines)


def _against(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if not row["seconds"]:
        return "did not run"
    ratio = f"**{_number(row['ratio'])}** " if "ratio" in row else ""
    return f"{ratio}{_seconds(row['median'])}, {row['peak_bytes'] / 2**20:.0f}"


def _tried(cases: dict[str, Any]) -> str:
    lines = []
    for name, case in cases.items():
        for row in case["rows"]:
            attempts = "; ".join(_attempt(attempt) for attempt in row["tried"])
            if row["skipped"] or len(row["tried"]) > 1 or "failed" in attempts:
                lines.append((name, row["implementation"], attempts, row["skipped"] or ""))
    return _grid(("case", "implementation", "settings", "why it did not run"), lines)


def _attempt(attempt: dict[str, Any]) -> str:
    setting = ", ".join(
        f"{key} {'all' if value is None else value}"
        for key, value in attempt.items()
        if key not in ("seconds", "failed")
    )
    outcome = attempt.get("failed") or _seconds(attempt["seconds"])
    return f"{setting}: {outcome}" if setting else outcome


def _find(case: dict[str, Any], implementation: str) -> dict[str, Any] | None:
    return next((row for row in case["rows"] if row["implementation"] == implementation), None)


def _ran(row: dict[str, Any], implementation: str) -> bool:
    return row["implementation"] == implementation and bool(row["seconds"])


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _seconds(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"


def _grid(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
