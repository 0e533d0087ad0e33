"""What the user sees when something is wrong, and when nothing is."""

import json
import shlex

import pytest
from world import World

pytestmark = pytest.mark.slow

ONE, TWO = "config/experiments/one2024.yaml", "config/experiments/two2024.yaml"
NOT_OURS = ("RuleException", "CalledProcessError", "WorkflowError", "Error in rule", "site-packages/snakemake")


def line_of(world: World, name: str, text: str) -> int:
    lines = (world / name).read_text(encoding="utf-8").splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if text in line]
    return number


def written(world: World) -> list[tuple[str, int]]:
    """When each file of the results was written."""
    return sorted((str(path), path.stat().st_mtime_ns) for path in (world / "results").rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "command", [("workflow_scripts/reproduce.py",), ("-m", "snakemake")], ids=["reproduce", "snakemake"]
)
def test_a_misspelt_key_ends_in_one_message_before_any_job(done_world: World, command: tuple[str, ...]):
    done_world.edit(TWO, "optimizer: sgd", "optimzer: sgd")
    before = written(done_world)
    finished = done_world.python(*command)
    assert finished.status != 0
    where = f"{TWO}:{line_of(done_world, TWO, 'optimzer')}: experiments.ansatz.training.optimzer: "
    assert finished.output.count(where) == 1, finished.output
    assert "did you mean 'optimizer'?" in finished.output
    assert "Traceback" not in finished.output
    assert written(done_world) == before


def test_a_failing_job_shows_its_own_traceback_and_how_to_run_it_alone(done_world: World):
    metric = "workflow_scripts/lazyrich/metrics/measures/feature_quality.py"
    line = "    inputs = member.train.inputs.double()\n"
    broken = (line, line + '    raise ArithmeticError("as the test wants")\n')
    done_world.edit(metric, *broken)
    finished = done_world.run()
    output = finished.output
    assert finished.status != 0
    assert output.count("metrics ansatz/base: FAILED") == 1
    assert output.count("Traceback (most recent call last)") == 1
    assert output.count("ArithmeticError: as the test wants") == 1
    assert '    raise ArithmeticError("as the test wants")' in output, output
    assert [word for word in NOT_OURS if word in output] == []
    assert "log: results/logs/metrics/ansatz/base.log" in output
    assert "ArithmeticError: as the test wants" in done_world.log("metrics/ansatz/base")
    assert "Not finished" in output.splitlines()[-1]

    (alone,) = [line.split("alone: python ")[1] for line in output.splitlines() if "alone: python " in line]
    again = done_world.python(*shlex.split(alone))
    assert again.status == 1
    assert again.output.count("ArithmeticError: as the test wants") == 1
    done_world.edit(metric, *reversed(broken))
    mended = done_world.python(*shlex.split(alone))
    assert mended.status == 0, mended.output


def test_a_diverged_training_is_recorded_and_does_not_fail_the_run(done_world: World):
    done_world.edit(ONE, "training.learning_rate: [0.2, 0.125]", "training.learning_rate: [0.2, 1e12]")
    finished = done_world.run()
    assert finished.status == 0, finished.output
    assert "4 diverged" in finished.output
    trained = json.loads((done_world / "results/runs/labels/network-cnn/run.json").read_text(encoding="utf-8"))
    assert {unit["info"]["status"] for unit in trained["units"].values()} == {"diverged"}
    kernels = json.loads((done_world / "results/kernels/labels/network-cnn/conjugate.json").read_text(encoding="utf-8"))
    assert kernels["kernels"] == [] and kernels["units"] == {}
    rows = json.loads((done_world / "results/metrics/labels/network-cnn.json").read_text(encoding="utf-8"))
    assert {row["status"] for row in rows} == {"diverged"}
    assert (
        {"test_error"}
        <= {row["metric"] for row in rows}
        <= {"test_error", "train_error", "test_accuracy", "train_accuracy"}
    )
    assert (done_world / "results/figures/one2024/labels-strength_by_labels.png").exists()


def test_a_second_run_says_that_there_is_nothing_to_do(done_world: World):
    finished = done_world.run()
    assert finished.status == 0, finished.output
    assert "Nothing to be done" in finished.output
    assert "gap.a_ratio" in finished.output
    assert "Figures and claims: results/" in finished.output
    assert finished.seconds < 30


def test_a_truncated_manifest_says_what_to_do(done_world: World):
    manifest = done_world / "results/datasets/chain.json"
    whole = manifest.read_text(encoding="utf-8")
    manifest.write_text(whole[:100], encoding="utf-8")
    finished = done_world.python("workflow_scripts/train.py", "results/logs/train/ansatz/base.job.json")
    assert finished.status == 1
    assert "results/datasets/chain.json is no valid manifest" in finished.output
    assert "delete it and rerun" in finished.output
    assert "Traceback" not in finished.output
    # ... and that is what helps.
    manifest.unlink()
    mended = done_world.run("datasets")
    assert mended.status == 0, mended.output
    assert manifest.read_text(encoding="utf-8") == whole, "the store was not used again"


@pytest.mark.parametrize("damage", ["gone", "another"])
def test_a_manifest_without_its_store_says_what_to_do(done_world: World, damage: str):
    unit = done_world / "results/datasets/chain.zarr/draw-0"
    if damage == "gone":
        unit.rename(done_world / "elsewhere")
    else:
        attributes = unit / "zarr.json"
        content = json.loads(attributes.read_text(encoding="utf-8"))
        content["attributes"]["fingerprint"] = "0" * 64
        attributes.write_text(json.dumps(content), encoding="utf-8")
    # Every measurement is there already, so that nothing would be read; with another option something is.
    record = done_world / "results/logs/metrics/ansatz/base.job.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    content["job"]["spec"] = content["job"]["spec"].replace('"null_rotations":1', '"null_rotations":2')
    record.write_text(json.dumps(content), encoding="utf-8")
    finished = done_world.python("workflow_scripts/metrics.py", "results/logs/metrics/ansatz/base.job.json")
    assert finished.status == 1
    said = "which is not there" if damage == "gone" else "has fingerprint 000000000000"
    assert said in finished.output and "delete the manifest and rerun" in finished.output
    assert "Traceback" not in finished.output
