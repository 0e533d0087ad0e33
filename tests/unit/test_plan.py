"""What the plan makes of experiments that need a larger scale, and of figures of a whole paper."""

import itertools
import json
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from lazyrich.claims.evaluate import evaluate
from lazyrich.claims.verdict import NEEDS_LARGER_SCALE, REPRODUCED
from lazyrich.configuration import load
from lazyrich.fingerprints import code_digest
from lazyrich.plan import Plan
from lazyrich.plugins import module_name
from lazyrich.scales import SCALES, large_enough, larger
from small_configuration import MEMBERS, PAPER, ROOT, edit

STAGES = ("downloads", "datasets", "training", "kernels", "spectra", "metrics", "figures", "claims")
FIGURES = {**MEMBERS, "figures": ("learning_curves", "strength_against_quality")}
WHOLE = SimpleNamespace(paper="paper1", figure="learning_curves")


@pytest.fixture(autouse=True)
def registry(root: Path) -> None:
    """The registry of files, which the plan of downloads reads."""
    (root / "resources").symlink_to(ROOT / "resources")


def two_experiments(root: Path, smallest: str = "reduced") -> None:
    """`gap`, and `later`, which is the same on another dataset and from another scale on."""
    path = root / PAPER
    text = path.read_text(encoding="utf-8")
    block = text[text.index("  gap:\n") :]
    block = block.replace("  gap:\n", f"  later:\n    smallest_scale: {smallest}\n").replace(
        "dataset: steps", "dataset: images"
    )
    path.write_text(f"{text.rstrip()}\n{block}", encoding="utf-8")


def planned(root: Path, scale: str = "smoke") -> Plan:
    return Plan(load(root, {"scale": scale}, FIGURES), root)


def everything(plan: Plan, papers: list[str] | None = None) -> list[str]:
    return [path for stage in STAGES for path in plan.stage(stage, papers)]


def test_scales_are_ordered() -> None:
    for (i, scale), (j, smallest) in itertools.product(enumerate(SCALES), repeat=2):
        assert large_enough(scale, smallest) == (i >= j)
        assert larger(scale, smallest) == SCALES[max(i, j)]
    assert SCALES == ("smoke", "reduced", "full")
    for names in (("smok", "full"), ("full", "smok")):
        with pytest.raises(ValueError, match="unknown scale 'smok'; the scales are smoke < reduced < full"):
            large_enough(*names)


# -- experiments that need a larger scale ------------------------------------------------------------------------------


def test_nothing_of_an_experiment_is_planned_below_its_scale(root: Path) -> None:
    before = everything(planned(root)), everything(planned(root), ["paper1"])
    two_experiments(root)
    plan = planned(root)
    assert set(plan.experiments) == set(plan.runs) == {"gap"} and plan.papers == {"paper1": ["gap"]}
    assert (everything(plan), everything(plan, ["paper1"])) == before
    assert not [path for path in everything(plan) if "later" in path or "images" in path]
    assert {paper for paper, _ in plan.figures} == {"paper1"} and len(plan.figures) == 1
    assert not [path for path in plan.paper_metrics(SimpleNamespace(paper="paper1")) if "later" in path]


@pytest.mark.parametrize("scale", ["reduced", "full"])
def test_from_its_scale_on_all_of_it_is_planned(root: Path, scale: str) -> None:
    two_experiments(root)
    plan = planned(root, scale)
    assert set(plan.experiments) == {"gap", "later"}
    for stage in STAGES[1:]:
        paths = plan.stage(stage)
        if stage not in ("metrics", "claims"):  # which are of the paper
            assert [path for path in paths if "later" in path or "images" in path], stage
    assert ("paper1", "later-learning_curves") in plan.figures
    assert [path for path in plan.paper_metrics(SimpleNamespace(paper="paper1")) if "later" in path]


def test_an_overlay_may_lower_the_scale(root: Path) -> None:
    two_experiments(root)
    overlay = {"scale": "smoke", "experiments": {"later": {"smallest_scale": "smoke"}}}
    assert set(Plan(load(root, overlay, FIGURES), root).experiments) == {"gap", "later"}


def test_an_experiment_is_computed_at_every_scale_unless_it_says_otherwise(root: Path) -> None:
    assert load(root, None, MEMBERS).experiments["gap"]["smallest_scale"] == SCALES[0]


def measured(experiment: str) -> pd.DataFrame:
    rows = [
        {"experiment": experiment, "run": "base", "rate": 0.1, "size": 8, "labels": "true", "seed": seed, "status": "finished",
         "step": 9, "stage": "final", "layer": "", "metric": "ntk_strength", "value": 0.8 + seed / 100}
        for seed in range(4)
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("claims_from", ["smoke", "full"])
def test_claims_of_an_experiment_that_is_not_computed_stand_and_need_a_larger_scale(
    root: Path, claims_from: str
) -> None:
    """Whatever scale the claims themselves ask for: one of an experiment that has no rows at a scale cannot be judged there."""
    edit(root, PAPER, "smallest_scale: smoke", f"smallest_scale: {claims_from}")
    two_experiments(root)
    edit(root, PAPER, "  gap:", "  gap:\n    smallest_scale: smoke")

    def judged(scale: str, *experiments: str) -> dict:
        spec = json.loads(planned(root, scale).claims_spec(SimpleNamespace(paper="paper1")))
        assert spec["paper"] == "paper1" and spec["scale"] == scale and set(spec["claims"]) == {"gap", "later"}
        table = pd.concat([measured(name) for name in experiments])
        return {record["claim"]: record for record in evaluate("paper1", spec["claims"], table, scale=scale)}

    found = judged("smoke", "gap")
    own = REPRODUCED if claims_from == "smoke" else NEEDS_LARGER_SCALE
    assert {name: record["verdict"] for name, record in found.items()} == {
        "gap.moved": own, "later.moved": NEEDS_LARGER_SCALE,
    }  # fmt: skip
    needed = "reduced" if claims_from == "smoke" else "full"
    assert found["later.moved"]["reason"] == f"can be judged from scale '{needed}' on; this is 'smoke'"
    assert found["later.moved"]["n_seeds"] == 0
    assert judged(needed, "gap", "later")["later.moved"]["verdict"] == REPRODUCED


# -- figures of a whole paper ----------------------------------------------------------------------------------------


def with_figure(root: Path, options: str = "{width: 4}") -> None:
    edit(root, PAPER, "title: A title", f"title: A title\nfigures:\n  learning_curves: {options}")


def test_a_figure_of_a_whole_paper_shows_the_metrics_of_all_its_experiments(root: Path) -> None:
    two_experiments(root, "smoke")
    with_figure(root)
    plan = planned(root)
    assert set(plan.figures) == {
        ("paper1", "learning_curves"), ("paper1", "gap-learning_curves"), ("paper1", "later-learning_curves"),
    }  # fmt: skip
    assert "results/figures/paper1/learning_curves.png" in plan.stage("figures")
    assert "results/figures/paper1/learning_curves.png" in plan.stage("figures", ["paper1"])
    every = [f"results/metrics/{name}/{run}.json" for name in ("gap", "later") for run in plan.runs[name]]
    assert plan.figure_metrics(WHOLE) == every == plan.paper_metrics(WHOLE) and len(every) == 4
    of_gap = SimpleNamespace(paper="paper1", figure="gap-learning_curves")
    assert plan.figure_metrics(of_gap) == [path for path in every if "/gap/" in path]


def test_it_shows_those_that_are_computed_at_the_scale(root: Path) -> None:
    two_experiments(root)
    with_figure(root)
    small, large = planned(root).figure_metrics(WHOLE), planned(root, "reduced").figure_metrics(WHOLE)
    assert len(small) == 2 and not [path for path in small if "later" in path]
    assert small == large[:2] and len(large) == 4


def test_its_digests_are_those_of_its_options_and_of_its_module(root: Path) -> None:
    with_figure(root)
    plan = planned(root)
    of_gap = SimpleNamespace(paper="paper1", figure="gap-learning_curves")
    whole, single = (json.loads(plan.figure_spec(which)) for which in (WHOLE, of_gap))
    assert whole["figure"] == single["figure"] == "learning_curves" and (whole["width"], single["width"]) == (4, 5)
    expected = code_digest("figure.py", (module_name("figures", "learning_curves"),))
    assert plan.figure_code(WHOLE) == plan.figure_code(of_gap) == expected
    edit(root, PAPER, "learning_curves: {width: 4}", "learning_curves: {width: 6}\n  strength_against_quality: {}")
    other = planned(root)
    assert json.loads(other.figure_spec(WHOLE)) == {**whole, "width": 6}
    assert other.figure_spec(of_gap) == plan.figure_spec(of_gap) and other.figure_metrics(WHOLE) == plan.figure_metrics(
        WHOLE
    )
    quality = SimpleNamespace(paper="paper1", figure="strength_against_quality")
    assert json.loads(other.figure_spec(quality))["figure"] == "strength_against_quality"
    assert other.figure_code(quality) != expected


def test_a_paper_without_experiments_at_this_scale_has_no_figures(root: Path) -> None:
    with_figure(root)
    edit(root, PAPER, "  gap:", "  gap:\n    smallest_scale: full")
    plan = planned(root)
    assert plan.papers == {} and plan.figures == {} and plan.stage("training") == []
    assert ("paper1", "learning_curves") in planned(root, "full").figures
