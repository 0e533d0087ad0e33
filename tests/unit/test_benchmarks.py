"""The benchmark harness: what it hands to workers, how it limits, tunes and times them, and what it makes of the times."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lazyrich.kernels.empirical_ntk_reference import empirical_ntk

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "benchmarks"))

from harness import measure, results, worker  # noqa: E402
from harness.cases import CASES, FASTEST, Case, Goal, Network, quick  # noqa: E402
from harness.chart import draw  # noqa: E402
from harness.implementations import OURS, lapack, torch_func  # noqa: E402
from harness.implementations.torch_common import network_and_inputs  # noqa: E402
from harness.measure import Bench, CaseResult, Limits, Row  # noqa: E402
from harness.memory import peak_bytes  # noqa: E402
from harness.problems import write_inputs  # noqa: E402
from harness.processes import Failed, WorkerProcess  # noqa: E402
from harness.reference import Errors, Reference, kink_margins  # noqa: E402
from harness.table import markdown  # noqa: E402

MIB = 2**20
NETWORKS = [Network("mlp", 8), Network("cnn", 2, 3), Network("cnn-pooled", 2), Network("resnet18", 1, 2)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cases_survive_the_way_to_a_worker(case):
    assert Case.from_json(json.loads(json.dumps(case.to_json()))) == case
    assert quick(case).n < case.n


# --- the work is the same, and right -------------------------------------------------------------------------------------------


@pytest.fixture
def one_thread():
    """Threads that wait for each other make tiny operations slow on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.kind)
@pytest.mark.parametrize("outputs", ["trace", "full"])
@pytest.mark.parametrize(("columns", "tile", "chunk"), [(None, 5, None), (None, 2, None), (4, 3, 2)])
def test_torch_func_is_the_kernel_with_every_tile(network, outputs, columns, tile, chunk, tmp_path):
    case = Case("tiny", "ntk", 5, network, columns, outputs)
    data = write_inputs(case, tmp_path / "inputs.npz")
    result = torch_func.to_array(case, torch_func.prepare(case, data, {"tile": tile, "chunk": chunk})())
    model, rows, others = network_and_inputs(case, data)
    expected = empirical_ntk(model, rows, others, outputs=outputs, dtype=torch.float64).numpy()
    assert result.dtype == np.float32 and result.shape == expected.shape
    assert np.linalg.norm(result - expected) < 1e-6 * np.linalg.norm(expected)


def test_reference_sees_a_wrong_entry_of_its_rows(tmp_path):
    case = Case("tiny", "ntk", 6, NETWORKS[0], columns=4)
    data = write_inputs(case, tmp_path / "inputs.npz")
    reference = Reference(case, data)
    model, rows, others = network_and_inputs(case, data)
    right = empirical_ntk(model, rows, others).numpy()
    assert max(reference.errors(right)) < 1e-6
    assert min(reference.errors(np.roll(right, 1, axis=0))) > 1e-2
    with pytest.raises(ValueError, match="does not fit"):
        reference.errors(right[..., None])


def test_kink_margin_is_the_least_pre_activation():
    model = torch.nn.Sequential(torch.nn.Identity(), torch.nn.ReLU(), torch.nn.Linear(2, 2), torch.nn.ReLU())
    with torch.no_grad():
        model[2].weight.copy_(torch.eye(2))
        model[2].bias.fill_(1)
    x = torch.tensor([[3.0, -4.0], [0.1, 5.0], [2.0, 2.0]])
    rms = float(x.square().mean().sqrt())
    assert kink_margins(model, x)[1] == pytest.approx(0.1 / rms)
    assert np.argsort(-kink_margins(model, x))[-1] == 1


@pytest.mark.parametrize("problem", ["nested-sizes", "ridge-path", "leading-eigenpairs"])
@pytest.mark.parametrize("library", ["torch", "scipy"])
def test_lapack_solves_the_kernel_problems(problem, library, tmp_path):
    case = Case("tiny", problem, 60, count=4)
    data = write_inputs(case, tmp_path / "inputs.npz")
    result = lapack.to_array(case, lapack.prepare(case, data, {"library": library})())
    assert Reference(case, data).errors(result).error < 1e-11


# --- worker processes ----------------------------------------------------------------------------------------------------------


def worker_process(tmp_path, body: str, memory_limit: int = 2**33) -> WorkerProcess:
    """A worker whose interpreter is a script: `body` runs for each `command`."""
    script = tmp_path / "python"
    lines = ["import json, sys, time", "for line in sys.stdin:", "    command = json.loads(line)['command']"]
    lines += [f"    {line}" for line in body.splitlines()]
    script.write_text("\n".join([f"#!{sys.executable}", *lines, ""]))
    script.chmod(0o755)
    return WorkerProcess("fake", script, 1, memory_limit, tmp_path / "log")


def test_a_worker_past_a_limit_is_ended_and_the_next_question_starts_another(tmp_path):
    body = "if command == 'sleep': time.sleep(60)\nprint(json.dumps({'value': command}), flush=True)"
    process = worker_process(tmp_path, body)
    try:
        assert process.ask("hello") == "hello"
        with pytest.raises(Failed, match="more than 0.3 s"):
            process.ask("sleep", 0.3)
        assert process.ask("again") == "again"
    finally:
        process.end()


def test_a_worker_that_takes_too_much_memory_is_ended(tmp_path):
    process = worker_process(tmp_path, "block = bytearray(400 * 2**20)\ntime.sleep(60)", memory_limit=200 * MIB)
    with pytest.raises(Failed, match=r"more than 0\.195 GiB"):
        process.ask("fill", 30)


def test_a_worker_that_dies_or_refuses_says_why(tmp_path):
    body = "if command == 'die': sys.exit('out of luck')\nprint(json.dumps({'failed': 'no such kernel'}), flush=True)"
    process = worker_process(tmp_path, body)
    with pytest.raises(Failed, match="no such kernel"):
        process.ask("compute")
    with pytest.raises(Failed, match="out of luck"):
        process.ask("die")


def test_worker_answers_for_a_case(tmp_path):
    case = Case("tiny", "ntk", 4, NETWORKS[0])
    write_inputs(case, tmp_path / "inputs.npz")
    threads = torch.get_num_threads()
    served = worker.Worker("torch.func", threads)
    settings = served.settings(case.to_json())
    assert settings[0] == {"tile": 4, "chunk": None}
    served.prepare(case.to_json(), str(tmp_path / "inputs.npz"), settings[0])
    first = served.first(str(tmp_path / "result.npy"))
    assert first["seconds"] > 0 and np.load(tmp_path / "result.npy").shape == (4, 4)
    assert 0 < served.time()["seconds"] < 10


def test_peak_memory_counts_what_is_freed_again():
    def work():
        block = np.ones(100 * MIB // 8)
        return float(block[::1000].sum())

    for _ in range(2):
        _, peak = peak_bytes(work)
        assert 95 * MIB < peak < 130 * MIB
    assert peak_bytes(lambda: None)[1] < 5 * MIB


# --- tuning and rounds ---------------------------------------------------------------------------------------------------------


class FakeWorker:
    """Answers at once that a call takes the seconds of its setting; None fails."""

    def __init__(self, name: str, seconds: list[float | None], diary: list[str] | None = None) -> None:
        self.name, self.choices, self.diary = name, seconds, diary if diary is not None else []
        self.current = -1

    def ask(self, command, limit=None, **arguments):
        if command == "settings":
            return [{"tile": number} for number in range(len(self.choices))]
        if command == "prepare":
            self.current = arguments["setting"]["tile"]
            if self.choices[self.current] is None:
                raise Failed("more than 8 GiB")
            return 0.5
        seconds = self.choices[self.current]
        if command == "first":
            np.save(arguments["result"], np.zeros(1))
            return {"seconds": seconds, "peak_bytes": 1.0 * self.current}
        self.diary.append(self.name)
        return {"seconds": seconds, "cores": 1.0}


def tune(worker, tmp_path, **limits) -> Row:
    row = Row("peer")
    reference = SimpleNamespace(errors=lambda result: Errors(1e-7, 1e-6))
    measure.tune(Bench(worker, CASES[0], tmp_path / "inputs.npz", reference, Limits(**limits)), row)
    return row


def test_tuning_leaves_the_fastest_setting_prepared(tmp_path):
    fake = FakeWorker("peer", [9.0, None, 6.0, 7.0])
    row = tune(fake, tmp_path)
    assert (row.setting, row.skipped, row.peak_bytes, fake.current) == ({"tile": 2}, None, 2.0, 2)
    assert [attempt.get("seconds", attempt.get("failed")) for attempt in row.tried] == [
        9.0,
        "more than 8 GiB",
        6.0,
        7.0,
    ]


def test_tuning_ends_when_its_time_is_spent(tmp_path):
    row = tune(FakeWorker("peer", [9.0, 1.0]), tmp_path, tuning_seconds=-1)
    assert row.setting == {"tile": 0} and len(row.tried) == 1


def test_an_implementation_that_fails_with_every_setting_is_skipped_with_the_reason(tmp_path):
    row = tune(FakeWorker("peer", [None, None]), tmp_path)
    assert row.skipped == "more than 8 GiB" and not row.setting


def test_what_took_too_long_is_not_tried_on_more_samples(tmp_path):
    first = CaseResult(CASES[0], [Row("torch.func", skipped="more than 120 s", too_long=True)])
    second = measure.measure_case(replace(CASES[0], n=1200), {}, Limits(), tmp_path, lambda text: None, [first])
    reasons = {row.implementation: row.skipped for row in second.rows}
    assert reasons["torch.func"] == "more than 120 s on 1000 samples"
    assert reasons["nngeometry"] == "its environment is missing (make peers)"


def test_rounds_are_interleaved_in_rotating_order_and_slow_ones_sit_out(monkeypatch):
    monkeypatch.setattr(measure, "SETTLE_SECONDS", 0.0)
    diary: list[str] = []
    workers = {name: FakeWorker(name, [seconds], diary) for name, seconds in [("a", 1.0), ("b", 40.0), ("c", 2.0)]}
    for fake in workers.values():
        fake.current = 0
    rows = [Row(name) for name in workers]
    measure.time_in_turn(CASES[0], workers, rows, Limits(rounds=4, timing_seconds=60))
    assert "".join(diary) == "abcbcacaac"
    assert [len(row.seconds) for row in rows] == [4, 2, 4]


# --- what is reported ----------------------------------------------------------------------------------------------------------


def row(name: str, *seconds: float, **values) -> Row:
    return Row(
        name,
        seconds=list(seconds),
        cores=[2.0] * len(seconds),
        peak_bytes=3.0 * MIB,
        error=2e-7,
        error_at_random=1e-5,
        **values,
    )


def measured() -> CaseResult:
    goals = (Goal(FASTEST, 3.0), Goal("torch.func", 10.0), Goal("nngeometry", 2.0))
    case = replace(CASES[1], goals=goals, gemm_fraction=0.6)
    rows = [row(OURS, 1.0, 3.0, 2.0), row("torch.func", 30.0, 10.0), row("neural-tangents structured", 5.0)]
    rows.append(Row("nngeometry", skipped="more than 8 GiB", tried=[{"batch": 10, "failed": "more than 8 GiB"}]))
    return CaseResult(case, rows, flops=1.4e11, gemm_peak=1e11)


def test_goals_compare_medians_with_the_fastest_peer_or_the_one_named():
    record = results.case_record(measured())
    assert [(goal["rival"], goal["reached"], goal["met"]) for goal in record["goals"]] == [
        ("neural-tangents structured", 2.5, False),
        ("torch.func", 10.0, True),
        (None, None, None),
    ]
    assert record["gemm"]["fraction"] == pytest.approx(0.7) and record["gemm"]["met"]
    assert record["agreement_met"] and record["memory_met"]


def test_nothing_is_claimed_where_ours_did_not_run():
    result = measured()
    result.rows[0] = Row(OURS, skipped="more than 120 s")
    record = results.case_record(result)
    assert [goal["met"] for goal in record["goals"]] == [None] * 3
    assert "gemm" not in record and "agreement_met" not in record


@pytest.fixture
def report() -> dict:
    cases = {"a case": results.case_record(measured())}
    solver = CaseResult(CASES[-1], [row(OURS, 1.0), row("LAPACK", 9.0)])
    cases["another"] = results.case_record(solver)
    versions = {OURS: {"torch": "2.13.0"}}
    return {"cases": cases, "machine": results.machine(2), "versions": versions, "gemm": {OURS: 1e11}}


def test_table_shows_goals_ratios_and_reasons(report):
    page = markdown(json.loads(json.dumps(report)))
    assert "| a case | time of fastest peer: neural-tangents structured over ours | 3 | 2.50 | **missed** |" in page
    assert "| a case | time of torch.func over ours | 10 | 10.0 | met |" in page
    assert "| a case | nngeometry | batch 10: more than 8 GiB | more than 8 GiB |" in page
    assert "| a case | 2.0e-07, 1.0e-05 | 2.0e-07, 1.0e-05 |  |" in page
    assert "| another | time of LAPACK over ours | 8 | 9.00 | met |" in page


def test_chart_is_drawn_with_and_without_times(report, tmp_path):
    draw(report, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 10_000


def test_results_of_other_cases_stay_when_one_is_measured_again(report, tmp_path):
    path = tmp_path / "deep" / "results.json"
    assert results.read(path) == {"cases": {}}
    results.save(path, report)
    assert results.read(path)["cases"].keys() == {"a case", "another"}
    assert list(path.parent.iterdir()) == [path]
