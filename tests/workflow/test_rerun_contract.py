"""Exactly what a change invalidates is run again, and nothing that was computed before is computed again."""

import ast
import json
import os
from types import SimpleNamespace

import pytest
import yaml
from world import World

from lazyrich import plan as plan_module
from lazyrich import plan_datasets
from lazyrich.configuration import load
from lazyrich.fingerprints import WITHOUT_INFLUENCE, first_party, imports, module_file
from lazyrich.plan import Plan

pytestmark = pytest.mark.slow

ONE, TWO = "config/experiments/one2024.yaml", "config/experiments/two2024.yaml"
LIBRARY = "workflow_scripts/lazyrich"

#: What follows from new metrics of any run of a paper, beside the figure of its experiment.
END_ONE = {"metrics_table one2024", "claims one2024", "claims_table"}
END_TWO = {"metrics_table two2024", "claims two2024", "claims_table"}
GAP_FIGURE, LABELS_FIGURE = "figure one2024/gap-learning_curves", "figure one2024/labels-strength_by_labels"
ANSATZ_FIGURE = "figure two2024/ansatz-alignment_over_training"


# -- changes without meaning ------------------------------------------------------------------------------------------------


def test_what_is_done_is_not_done_again(first_run: World):
    assert first_run.dry_run() == set()


def test_touching_every_file_runs_nothing(done_world: World):
    for path in done_world.root.rglob("*"):
        if path.is_file() and not {".snakemake", "results"} & set(path.relative_to(done_world.root).parts):
            os.utime(path)
    assert done_world.dry_run() == set()


def test_comments_docstrings_and_layout_run_nothing(done_world: World):
    changed = 0
    for path in (done_world / "workflow_scripts").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        path.write_text(
            "# A comment at the top.\n" + ast.unparse(_with_other_docstrings(tree)) + "\n# And one at the end.\n"
        )
        changed += 1
    assert changed > 80
    for path in [done_world / "Snakefile", *(done_world / "rules").glob("*.smk")]:
        path.write_text("# A comment.\n" + path.read_text(encoding="utf-8"))
    assert done_world.dry_run() == set()


def _with_other_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:]
            node.body.insert(0, ast.Expr(ast.Constant("Another docstring.")))
    return ast.fix_missing_locations(tree)


def test_key_order_and_spelling_of_numbers_run_nothing(done_world: World):
    for name in ("config/datasets.yaml", ONE, TWO):
        path = done_world / name
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump(_rewritten(content), sort_keys=False), encoding="utf-8")
    assert "max_steps: 20.0" in (done_world / ONE).read_text()
    assert done_world.dry_run() == set()


def _rewritten(value: object) -> object:
    """Mappings with their keys in reverse, integers as floats. The order of axes names runs, and so has a meaning: it stays."""
    if isinstance(value, dict):
        if "sweep" in value:
            sweep = value.pop("sweep")
            return {"sweep": sweep, **_rewritten(value)}
        return {key: _rewritten(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return [_rewritten(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


# -- changes with a meaning -------------------------------------------------------------------------------------------------

CHANGES = {
    "title of a figure": ((ONE, "title: The gap", "title: Another"), {GAP_FIGURE}),
    "palette of a figure": ((ONE, "{title: Labels}", "{title: Labels, palette: deep}"), {LABELS_FIGURE}),
    "tolerance of a claim": (
        (TWO, "tolerance: 0\n", "tolerance: 0.5\n"),
        {"claims two2024", "claims_table"},
    ),
    "learning rate of one experiment": (
        (ONE, "learning_rate: 0.25", "learning_rate: 0.125"),
        {"train gap/base", "kernel gap/base/ntk", "metrics gap/base", GAP_FIGURE, *END_ONE},
    ),
    "width of one experiment, with kernels and spectra below": (
        (ONE, "width: 8\n", "width: 9\n"),
        {
            *(f"{rule} labels/{run}" for rule in ("train", "metrics") for run in ("base", "network-cnn")),
            *(f"{rule} labels/{run}/conjugate" for rule in ("kernel", "spectrum") for run in ("base", "network-cnn")),
            LABELS_FIGURE, *END_ONE,
        },
    ),
    "options of a metric": (
        (TWO, "null_rotations: 1", "null_rotations: 2"),
        {"metrics ansatz/base", ANSATZ_FIGURE, *END_TWO},
    ),
    "a new value on a run axis": (
        (TWO, "{model.init_scale: [1]}", "{model.init_scale: [1, 0.25]}"),
        {"train ansatz/init_scale-0.25", "metrics ansatz/init_scale-0.25", ANSATZ_FIGURE, *END_TWO},
    ),
    "code of the NTK": (
        (f"{LIBRARY}/kernels/empirical_ntk_reference.py", "MEMORY_BUDGET = 256 * 2**20", "MEMORY_BUDGET = 128 * 2**20"),
        {"kernel gap/base/ntk", "metrics gap/base", GAP_FIGURE, *END_ONE},
    ),
    "code of a metric": (
        (f"{LIBRARY}/metrics/measures/feature_quality.py", "for step in member.steps:", "for step in sorted(member.steps):"),
        {"metrics ansatz/base", ANSATZ_FIGURE, *END_TWO},
    ),
    "code of an architecture": (
        (f"{LIBRARY}/models/cnn.py", "def build(", "_UNUSED = 0\n\n\ndef build("),
        {
            "train labels/network-cnn", "kernel labels/network-cnn/conjugate", "spectrum labels/network-cnn/conjugate",
            "metrics labels/network-cnn", LABELS_FIGURE, *END_ONE,
        },
    ),
    "code of a figure": (
        (f"{LIBRARY}/figures/learning_curves.py", "def draw(", "_UNUSED = 0\n\n\ndef draw("),
        {GAP_FIGURE},
    ),
    "parameters of a dataset": (
        ("config/datasets.yaml", "rank: 3", "rank: 4"),
        {"dataset chain", "train ansatz/base", "metrics ansatz/base", ANSATZ_FIGURE, *END_TWO, "dataset_gallery"},
    ),
    "code of the figure of the datasets": (
        (f"{LIBRARY}/figures/dataset_gallery.py", "def draw_gallery(", "_UNUSED = 0\n\n\ndef draw_gallery("),
        {"dataset_gallery"},
    ),
    "published numbers of a paper": (
        ("resources/reference/two2024.yaml", "numbers: {}", "numbers: {a: {text: one, certainty: stated}}"),
        {"claims two2024", "claims_table"},
    ),
    "code without influence on results": ((f"{LIBRARY}/progress.py", "interval: float = 10.0", "interval: float = 5.0"), set()),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_runs_exactly_what_depends_on_it(done_world: World, change: str):
    edit, expected = CHANGES[change]
    done_world.edit(*edit)
    assert done_world.dry_run() == expected


# -- what is computed in a real run -----------------------------------------------------------------------------------------

#: Three changes at once, in experiments that do not touch each other.
THREE = (
    (ONE, "check_every: 10\n    seeds: 2", "check_every: 10\n    seeds: 3"),
    (ONE, "learning_rate: 0.2\n", "learning_rate: 0.3\n"),
    (ONE, "training.learning_rate: [0.2, 0.125]", "training.learning_rate: [0.3, 0.125]"),
    (
        f"{LIBRARY}/metrics/measures/feature_quality.py",
        "for step in member.steps:",
        "for step in sorted(member.steps):",
    ),
)


@pytest.fixture(scope="module")
def changed(first_run: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A third seed for `gap`, another learning rate for the MLPs of `labels`, an edit in one metric of `ansatz`; run."""
    world = first_run.copy(tmp_path_factory.mktemp("changed") / "world")
    for name, old, new in THREE:
        world.edit(name, old, new)
    finished = world.run()
    assert finished.status == 0, finished.output
    return world


@pytest.fixture(scope="module")
def restored(changed: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """All of it taken back; run."""
    world = changed.copy(tmp_path_factory.mktemp("restored") / "world")
    for name, old, new in THREE:
        world.edit(name, new, old)
    finished = world.run()
    assert finished.status == 0, finished.output
    return world


def units(world: World, manifest: str) -> dict[str, dict]:
    return json.loads((world / f"results/{manifest}.json").read_text(encoding="utf-8"))["units"]


def test_a_new_seed_trains_and_measures_only_its_own_networks(first_run: World, changed: World):
    assert "2 networks to train, 4 trained before" in changed.log("train/gap/base")
    assert "1 kernels to compute, 2 computed before" in changed.log("kernel/gap/base/ntk")
    assert "4 measurements to make, 8 made before" in changed.log("metrics/gap/base")
    before, after = units(first_run, "runs/gap/base/run"), units(changed, "runs/gap/base/run")
    assert len(before) == 4 and len(after) == 6
    assert {name: after[name] for name in before} == before


def test_another_learning_rate_trains_anew_from_the_same_initialisation(first_run: World, changed: World):
    assert "4 networks to train, 0 trained before" in changed.log("train/labels/base")
    # The kernels at initialisation are those of before: one for each of two seeds, whatever the labels.
    assert "4 kernels to compute, 2 computed before" in changed.log("kernel/labels/base/conjugate")
    before, after = units(first_run, "runs/labels/base/run"), units(changed, "runs/labels/base/run")
    assert all(after[name]["arrays"]["parameters"] != before[name]["arrays"]["parameters"] for name in before)
    untouched = "runs/labels/network-cnn/run"
    assert units(changed, untouched) == units(first_run, untouched)


def test_an_edit_in_a_metric_measures_only_that_metric(changed: World):
    assert "2 measurements to make, 4 made before" in changed.log("metrics/ansatz/base")


def test_going_back_computes_nothing(first_run: World, restored: World):
    for run, number in (("gap/base", 4), ("labels/base", 4)):
        assert f" 0 networks to train, {number} trained before" in restored.log(f"train/{run}")
    assert " 0 kernels to compute" in restored.log("kernel/gap/base/ntk")
    assert " 0 kernels to compute" in restored.log("kernel/labels/base/conjugate")
    for run in ("gap/base", "labels/base", "ansatz/base"):
        assert " 0 measurements to make" in restored.log(f"metrics/{run}")
    for manifest in (
        "runs/gap/base/run",
        "runs/labels/base/run",
        "kernels/labels/base/conjugate",
        "spectra/labels/base/conjugate",
    ):
        assert units(restored, manifest) == units(first_run, manifest)
    for table in ("metrics/one2024.csv", "metrics/two2024.csv", "claims.csv"):
        assert (restored / f"results/{table}").read_bytes() == (first_run / f"results/{table}").read_bytes()
    assert restored.dry_run() == set()


# -- digests cover what is executed -----------------------------------------------------------------------------------------

WILDCARDS = {
    "dataset": ("dataset",), "train": ("experiment", "run"), "kernel": ("experiment", "run", "kernel"),
    "spectrum": ("experiment", "run", "spectrum"), "metrics": ("experiment", "run"), "metrics_table": ("paper",),
    "figure": ("paper", "figure"), "dataset_gallery": (), "claims": ("paper",), "claims_table": (),
}  # fmt: skip


#: What `lazyrich.jobs` takes to record a job. A step whose results depend on it imports it itself.
RECORDING = {"lazyrich.fingerprints"}


def test_the_code_digest_of_every_job_covers_all_that_the_job_imported(
    first_run: World, monkeypatch: pytest.MonkeyPatch
):
    plan = Plan(load(first_run.root), first_run.root)
    digests: list[tuple[str, tuple[str, ...]]] = []
    for module in (plan_module, plan_datasets):
        monkeypatch.setattr(module, "code_digest", lambda script, modules=(): digests.append((script, modules)) or "")
    of_rule = {
        "dataset": plan.datasets.code, "dataset_gallery": plan.datasets.gallery_code, "train": plan.training_code, "kernel": plan.kernel_code, "metrics": plan.metrics_code,
        "figure": plan.figure_code,
    }  # fmt: skip
    seen = set()
    for path in (first_run / "results" / "logs").rglob("*.job.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        rule, _, title = record["job"]["title"].partition(" ")
        wildcards = dict(zip(WILDCARDS[rule], title.split("/"), strict=True)) if title else {}
        digests.clear()
        if rule in of_rule:
            of_rule[rule](SimpleNamespace(**wildcards))
        else:
            plan.code(record["job"]["script"])
        covered = {name for script, modules in digests for name in first_party(script, modules)}
        assert set(record["modules"]) - covered - WITHOUT_INFLUENCE - RECORDING == set(), path.relative_to(
            first_run.root
        )
        seen.add(rule)
    assert seen == set(WILDCARDS)


def test_no_module_without_influence_imports_one_that_has_some():
    """Otherwise code that matters could hide behind one that is left out of the digests."""
    for name in sorted(WITHOUT_INFLUENCE):
        assert imports(module_file(name)) <= WITHOUT_INFLUENCE | RECORDING, name
