"""Kernels and spectra that metrics name, one or several: what the plan makes an input, and what the configuration refuses."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from lazyrich.configuration import load
from lazyrich.configuration_errors import ConfigurationError
from lazyrich.metric_inputs import named
from lazyrich.plan import Plan
from small_configuration import MEMBERS, PAPER, edit

WITH = {**MEMBERS, "metrics": (*MEMBERS["metrics"], "after_kernel", "kernel_theory", "kernel_baselines")}
KERNELS = """ntk: {object: empirical_ntk, at: [initial, final], rows: {probe: 16}}
      a: {object: empirical_ntk, at: [initial, final], rows: {train: 32, test: 16}, columns: {train: 32}}
      b: {object: conjugate_kernel, at: [initial, final], rows: {train: 32, test: 16}}
      c: {object: conjugate_kernel, at: [initial], rows: {train: 32}}
      d: {object: conjugate_kernel, at: [initial], rows: {train: 32, test: 16}, columns: {test: 16}}"""


def with_metrics(root: Path, metrics: str) -> None:
    edit(root, PAPER, "ntk: {object: empirical_ntk, at: [initial, final], rows: {probe: 16}}", KERNELS)
    edit(root, PAPER, "test_error: {}", f"test_error: {{}}\n      {metrics}")


def test_names_come_from_options_of_those_names_alone() -> None:
    options = {"kernel": "a", "kernels": ["b", "a"], "spectrum": None, "spectra": ["s"], "baselines": ["ntk"], "n": 1}
    assert named(options, "kernel") == ["a", "b"] and named(options, "spectrum") == ["s"]
    assert named({"kernel": None}, "kernel") == named({"baselines": ["ntk"]}, "kernel") == []


def test_the_kernels_of_a_list_are_inputs_of_the_metrics_and_no_others(root: Path) -> None:
    with_metrics(root, "after_kernel: {kernels: [b, a]}\n      kernel_baselines: {baselines: [ntk, rbf]}")
    plan = Plan(load(root, None, WITH), root)
    for run in plan.runs["gap"]:
        wildcards = SimpleNamespace(experiment="gap", run=run)
        inputs = [Path(path).stem for path in plan.metrics_kernels(wildcards)]
        assert inputs == ["a", "b", "ntk"] and plan.metrics_spectra(wildcards) == []


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ("after_kernel: {kernels: [a, bb]}", "after_kernel.kernels.1: unknown kernel 'bb'"),
        (
            "after_kernel: {kernels: [c]}",
            "kernels.0: kernel 'c' has no test points in its rows, which regression needs",
        ),
        ("after_kernel: {kernels: [a, d]}", "kernels.1: kernel 'd' has no train points in its columns"),
        (
            "kernel_theory: {kernel: a}",
            "kernel_theory.kernel: kernel 'a' has columns of its own, so it is not symmetric",
        ),
        ("kernel_theory: {window: [9, 3]}", "kernel_theory.window: [9, 3] is empty"),
        ("kernel_baselines: {baselines: [ntk, rfb]}", "kernel_baselines.baselines.1: 'rfb' is not allowed"),
    ],
)
def test_a_kernel_that_will_not_do_is_refused_before_anything_runs(root: Path, metrics: str, message: str) -> None:
    with_metrics(root, metrics)
    with pytest.raises(ConfigurationError) as caught:
        load(root, None, WITH)
    (problem,) = map(str, caught.value.problems)
    assert message in problem.replace("[1]", ".1").replace("[0]", ".0")


def test_kernels_that_will_do_are_taken(root: Path) -> None:
    with_metrics(root, "after_kernel: {kernels: [a, b]}\n      kernel_theory: {kernel: ntk}")
    metrics = load(root, None, WITH).experiments["gap"]["metrics"]
    assert metrics["after_kernel"] == {"kernels": ["a", "b"]}
    assert metrics["kernel_theory"]["points"] == 2048 and metrics["kernel_theory"]["window"] == [10, 200]
