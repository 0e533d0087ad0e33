"""The configuration: layers, defaults, overlays, the command line, and what is shipped."""

import ast
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from snakemake.utils import update_config

from lazyrich import plugins
from lazyrich.configuration import load
from lazyrich.configuration_errors import ConfigurationError
from lazyrich.configuration_layers import overlay
from lazyrich.configuration_schema import Schemas, branches
from small_configuration import MEMBERS, PAPER, ROOT, SMOKE, edit, problems

# -- merging and defaults --------------------------------------------------------------------------------------------


def test_merged_whole(root: Path) -> None:
    found = load(root, None, MEMBERS)
    assert found.scale == "smoke"
    assert found.settings == {
        "scale": "smoke", "results": "results", "device": "auto",
        "data": None, "downloads": "resources/downloads", "offline": False,
    }  # fmt: skip
    assert found.papers == {"paper1": {"arxiv": "2507.19680", "title": "A title", "figures": {}}}
    gap = found.experiments["gap"]
    assert gap["paper"] == "paper1"
    assert gap["seeds"] == 2  # the overlay's
    assert gap["model"]["width"] == 16  # what the overlay leaves alone
    assert gap["training"]["learning_rate"] == 0.001 and isinstance(gap["training"]["learning_rate"], float)
    assert gap["training"]["labels"] == "true"
    assert gap["sweep"]["members"]["labels"]["training.labels"] == ["true", "shuffled"]


def test_defaults_are_filled_in_nested_mappings_too(root: Path) -> None:
    edit(root, PAPER, "max_steps: 10\n", "max_steps: 10\n      evaluate: {first: 5}\n")
    found = load(root, None, MEMBERS)
    gap = found.experiments["gap"]
    assert gap["training"]["evaluate"] == {"first": 5, "per_decade": 4}
    assert gap["training"]["checkpoints"] == {"per_decade": 0, "first": 1}
    assert gap["training"]["stop_train_loss"] is None
    assert gap["model"]["hidden_layers"] == 2 and gap["model"]["centered"] is True
    assert gap["kernels"]["ntk"]["shard"] == 1024 and gap["kernels"]["ntk"]["columns"] is None
    assert gap["kernels"]["ntk"]["rows"] == {"probe": 16}
    assert gap["claims"]["moved"]["min_seeds"] == 3
    assert gap["figures"]["learning_curves"] == {"width": 5}
    assert gap["metrics"] == {"test_error": {}, "ntk_strength": {"kernel": "ntk"}}
    assert found.datasets["steps"]["draws"] == 1 and found.datasets["gauss"]["draws"] == 2


def test_truth_values_of_the_command_line_are_truth_values(root: Path) -> None:
    """Snakemake takes `offline=true` for text, and `offline=True` for a truth value."""
    for given in ("true", True):
        assert load(root, {"offline": given}, MEMBERS).settings["offline"] is True


def test_sections_may_be_absent(root: Path) -> None:
    text = (root / PAPER).read_text()
    (root / PAPER).write_text(text[: text.index("    sweep:")])
    gap = load(root, None, MEMBERS).experiments["gap"]
    assert gap["sweep"] == {"runs": {}, "members": {}}
    assert gap["kernels"] == gap["spectra"] == gap["metrics"] == gap["figures"] == gap["claims"] == {}


def test_integral_floats_are_integers_where_integers_are_meant(root: Path) -> None:
    edit(root, PAPER, "max_steps: 10\n", "max_steps: 1e1\n")
    edit(root, PAPER, "[8, 32]", "[8.0, 32]")
    gap = load(root, None, MEMBERS).experiments["gap"]
    assert type(gap["training"]["max_steps"]) is int
    assert [type(value) for value in gap["sweep"]["members"]["size"]["training.train_size"]] == [int, int]


def test_empty_sections_of_an_overlay_remove_nothing(root: Path) -> None:
    assert set(load(root, {"scale": "reduced"}, MEMBERS).experiments) == {"gap"}
    assert set(load(root, {"scale": "full"}, MEMBERS).datasets) == {"steps", "images", "gauss"}


def test_null_in_an_overlay_removes_the_key(root: Path) -> None:
    edit(
        root, SMOKE, "seeds: 2", "spectra: {ntk_spectrum: null}\n    sweep: {members: {labels: null}}\n    claims: null"
    )
    gap = load(root, None, MEMBERS).experiments["gap"]
    assert gap["spectra"] == {} and gap["claims"] == {}
    assert set(gap["sweep"]["members"]) == {"size"}
    assert set(gap["kernels"]) == {"ntk"}


def test_null_in_an_overlay_removes_an_experiment(root: Path) -> None:
    (root / SMOKE).write_text("experiments: {gap: null}")
    assert load(root, None, MEMBERS).experiments == {}


def test_removing_what_is_not_there_is_a_mistake(root: Path) -> None:
    edit(root, SMOKE, "seeds: 2", "metrics: {tst_error: null}")
    assert "unknown key 'tst_error'; did you mean 'test_error'?" in problems(root)[0]


def test_lists_replace(root: Path) -> None:
    edit(root, SMOKE, "seeds: 2", "sweep: {members: {size: {training.train_size: [16]}}}")
    sweep = load(root, None, MEMBERS).experiments["gap"]["sweep"]
    assert sweep["members"]["size"] == {"training.train_size": [16]}
    assert list(sweep["members"]) == ["labels", "size"]


def test_overlay_adds_an_experiment_that_names_its_paper(root: Path) -> None:
    edit(
        root,
        SMOKE,
        "  gap:\n    seeds: 2",
        "  new: {paper: paper1, question: Q, dataset: gauss, seeds: 1, model: {}, training: {}}",
    )
    found = problems(root)
    assert found and all("experiments.new." in problem and "is missing" in problem for problem in found)
    model = "{architecture: mlp, width: 1, activation: relu, parametrization: ntk}"
    training = "{train_size: 1, loss: mse, optimizer: adam, learning_rate: 1, batch_size: 1, max_steps: 1}"
    edit(root, SMOKE, "model: {}, training: {}", f"model: {model}, training: {training}")
    assert set(load(root, None, MEMBERS).experiments) == {"gap", "new"}


# -- the command line ------------------------------------------------------------------------------------------------


def test_command_line_wins_and_is_named(root: Path) -> None:
    found = load(
        root, {"scale": "smoke", "experiments": {"gap": {"seeds": 7, "training": {"learning_rate": "1e-2"}}}}, MEMBERS
    )
    assert found.experiments["gap"]["seeds"] == 7
    assert found.experiments["gap"]["training"]["learning_rate"] == 0.01  # Snakemake's YAML 1.1 hands it over as text
    assert problems(root, {"scale": "smoke", "experiments": {"gap": {"training": {"optimzer": "sgd"}}}})[0].startswith(
        "the command line: experiments.gap.training.optimzer: unknown key 'optimzer'; did you mean 'optimizer'?"
    )
    assert problems(root, {"devise": "cpu"})[0].startswith(
        "the command line: devise: unknown key 'devise'; did you mean 'device'?"
    )
    assert problems(root, {"scale": "smok"}) == (
        "the command line: scale: 'smok' is not allowed; did you mean 'smoke'? allowed: smoke, reduced or full",
    )


def test_what_the_command_line_only_repeats_keeps_its_file(root: Path) -> None:
    edit(root, "config/config.yaml", "scale: smoke", "scale: smoke\ndevice: gpu")
    # Snakemake hands over config.yaml's own keys together with what the command line sets.
    assert problems(root, {"scale": "smoke", "device": "gpu"})[0].startswith("config/config.yaml:2: device: 'gpu'")


def test_command_line_chooses_the_overlay(root: Path) -> None:
    assert load(root, {"scale": "full"}, MEMBERS).experiments["gap"]["seeds"] == 3


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x"])
def test_command_line_takes_plain_data_only(root: Path, value: object) -> None:
    assert problems(root, {"experiments": {"gap": {"seeds": value}}})[0].startswith(
        "the command line: experiments.gap.seeds: "
    )


def test_overrides_are_not_changed_and_not_shared(root: Path) -> None:
    axes = {"labels": {"training.labels": [True]}}
    overrides = {"experiments": {"gap": {"sweep": {"members": axes}}}}
    load(root, overrides, MEMBERS).experiments["gap"]["sweep"]["members"]["labels"]["training.labels"].append("x")
    assert axes == {"labels": {"training.labels": [True]}}


# -- what is shipped -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["smoke", "reduced", "full"])
def test_shipped_configuration_is_valid_at_every_scale(scale: str) -> None:
    found = load(ROOT, {"scale": scale})
    assert found.scale == scale
    assert found.experiments


def test_options_of_each_metric_are_the_parameters_of_its_function() -> None:
    metrics = Schemas(ROOT / "config" / "schemas")["metrics"]["properties"]
    assert set(metrics) == set(plugins.names("metrics"))
    for name, schema in metrics.items():
        tree = ast.parse((plugins.PACKAGE / plugins.place("metrics") / f"{name}.py").read_text(encoding="utf-8"))
        (measure,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "measure")
        parameters = [argument.arg for argument in measure.args.args[1:] + measure.args.kwonlyargs]
        assert parameters == list(schema["properties"]), name


def test_every_key_of_the_schemas_says_what_it_is() -> None:
    schemas = Schemas(ROOT / "config" / "schemas")
    Draft202012Validator.check_schema(schemas.root)
    count = 0

    def walk(schema: dict, path: str) -> None:
        nonlocal count
        required = set(schema.get("required", ()))
        assert required <= set(schema.get("properties", {})), path
        closed = "additionalProperties" in schema or "unevaluatedProperties" in schema or path.endswith("?")
        assert "properties" not in schema or closed, f"{path} is open"
        assert schema.get("additionalProperties") is not True, path
        for key, part in schema.get("properties", {}).items():
            here = f"{path}.{key}"
            count += 1
            assert part.get("description", "").endswith("."), here
            assert part.get("x-unit"), here
            assert key in required or "default" in part or "x-absent" in part, f"{here} is optional without default"
            if "default" in part:
                assert not list(Draft202012Validator(part).iter_errors(part["default"])), here
            assert "x-allowed" in part or "pattern" not in part, here
            walk(part, here)
        if isinstance(schema.get("additionalProperties"), dict):
            walk(schema["additionalProperties"], f"{path}.*")
        for key, choice, added in branches(schema):
            assert choice in schema["properties"][key]["enum"]
            assert added["description"].endswith(".")
            walk(added, f"{path}.{choice}?")

    for section in ("globals", "dataset", "paper", "experiment"):
        walk(schemas[section], section)
    assert count > 80


def test_files_laid_over_each_other_merge_key_by_key_as_snakemake_merges_them(tmp_path: Path) -> None:
    first = {"scale": "smoke", "experiments": {"gap": {"seeds": 2, "training": {"max_steps": 5}}, "other": None}}
    second = {
        "experiments": {"gap": {"training": {"max_steps": 7, "batch_size": 4}, "seeds": None}, "other": {"seeds": 1}}
    }
    paths = [tmp_path / "first.yaml", tmp_path / "second.yaml", tmp_path / "empty.yaml"]
    for path, content in zip(paths, (first, second, None), strict=True):
        path.write_text("" if content is None else yaml.safe_dump(content))
    expected: dict = {}
    for content in (first, second):
        update_config(expected, content)
    assert overlay(paths) == expected
    assert expected["experiments"]["gap"] == {"seeds": None, "training": {"max_steps": 7, "batch_size": 4}}
    paths[2].write_text("- a list")
    with pytest.raises(ConfigurationError, match="a mapping"):
        overlay(paths)
