"""Measuring every member of a run with every metric of its experiment, into tidy rows."""

import math
from collections.abc import Callable

from lazyrich.artifacts import Store
from lazyrich.fingerprints import fingerprint
from lazyrich.metric_inputs import named
from lazyrich.metrics.member import MemberData, Row, TableRow
from lazyrich.plugins import load
from lazyrich.progress import Progress


def measure_run(
    metrics: dict[str, dict],
    code: dict[str, str],
    members: list[MemberData],
    store: Store,
    say: Callable[[str], None],
    title: str,
) -> list[TableRow]:
    """The rows of all members, then what the metrics that define ``summarize`` make of all rows together.

    One unit a (member, metric): a new metric, or an edit in one, leaves the others' results alone. A diverged member has its
    errors up to where it diverged, and no other metric: what a network of NaNs "measures" is no result.
    """
    work = [
        (member, name)
        for member in members
        for name in metrics
        if member.run.status(member.name) != "diverged" or name == "test_error"
    ]
    units = {
        (member.name, name): store.unit(f"{member.name}/{name}", _fingerprint(member, name, metrics[name], code[name]))
        for member, name in work
    }
    todo = [(member, name) for member, name in work if not units[member.name, name].complete]
    say(f"{len(todo)} measurements to make, {len(work) - len(todo)} made before")
    progress = Progress(title, max(1, len(todo)), "measurements")
    for member, name in todo:
        unit = units[member.name, name]
        unit.begin()
        unit.finish("cpu", rows=[_plain(row) for row in load("metrics", name).measure(member, **metrics[name])])
        progress.advance()
    table = [
        row for member, name in work for row in _table_rows(member, units[member.name, name].attributes["info"]["rows"])
    ]
    for name, options in metrics.items():
        summarize = getattr(load("metrics", name), "summarize", None)
        if summarize is not None:
            table.extend(_summary_row(row) for row in summarize(table, **options))
    return table


def _fingerprint(member: MemberData, name: str, options: dict, code: str) -> str:
    """Everything a measurement depends on: the network, its data, and the kernels and spectra that the metric's options name."""
    read: list[str] = []
    if member.run.status(member.name) != "diverged":
        manifests = [
            *(member.kernels[kernel].manifest for kernel in named(options, "kernel")),
            *(member.spectra[spectrum].manifest for spectrum in named(options, "spectrum")),
        ]
        for manifest in manifests:
            used = [entry["unit"] for entry in manifest["kernels"] if entry["member"] == member.name]
            read.extend(manifest["units"][unit]["fingerprint"] for unit in used)
    return fingerprint(name, options, code, member.run.fingerprint(member.name), read)


def _plain(row: Row) -> list:
    """A row as JSON, which has no infinities and no NaN."""
    value = float(row.value)
    plain = [row.metric, value if math.isfinite(value) else str(value), int(row.step), row.layer]
    return plain if row.argument is None else [*plain, float(row.argument)]


def _table_rows(member: MemberData, rows: list[list]) -> list[TableRow]:
    common = {
        "experiment": member.experiment,
        "run": member.run.manifest["spec"]["run"],
        **member.run.axes(member.name),
    }
    stages = {member.steps[-1]: "final", member.steps[0]: "initial"}
    return [
        {
            **common, "seed": member.seed, "status": member.run.status(member.name), "step": step, "stage": stages.get(step, ""),
            "layer": layer, "metric": metric, "value": float(value), **({"argument": argument[0]} if argument else {}),
        }
        for metric, value, step, layer, *argument in rows
    ]  # fmt: skip


def _summary_row(row: TableRow) -> TableRow:
    return {**row, "status": "", "step": None, "stage": ""}
