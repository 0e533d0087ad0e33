"""One clear message for every kind of mistake in the configuration."""

import shutil
from pathlib import Path

import pytest

from lazyrich.configuration import load
from lazyrich.configuration_errors import SHOWN, ConfigurationError
from small_configuration import MEMBERS, PAPER, SMOKE, edit, problems

# File, what to replace, by what, and what the one message says after "<file>:<line>: ".
MISTAKES = {
    "key": (PAPER, "optimizer: sgd", "optimzer: sgd", None, ["gap.training.optimzer: unknown key 'optimzer'; did you mean 'optimizer'? Allowed: batch"]),
    "key far from any": (PAPER, "seeds: 3", "seeds: 3\n    zzz: 1", 22, ["experiments.gap.zzz: unknown key 'zzz'. Allowed: claims, "]),
    "type": (PAPER, "width: 16", "width: wide", None, ["gap.model.width: 'wide' is not allowed; allowed: an integer of at least 1"]),
    "number in quotes": (PAPER, "width: 16", 'width: "16"', None, ["'16' is not allowed (a number stands without quotes); allowed: an integer"]),
    "boolean for a number": (PAPER, "width: 16", "width: true", None, ["model.width: true is not allowed; allowed: an integer of at least 1"]),
    "range": (PAPER, "learning_rate: 1e-3", "learning_rate: -0.1", None, ["learning_rate: -0.1 is not allowed; allowed: a number greater than 0"]),
    "infinity": (PAPER, "learning_rate: 1e-3", "learning_rate: 1e999", None, ["'1e999' is no finite number"]),
    "word": (PAPER, "activation: relu", "activation: rellu", None, ["activation: 'rellu' is not allowed; did you mean 'relu'? allowed: relu, tanh,"]),
    "anyOf": (PAPER, "batch_size: full", "batch_size: all", None, ["batch_size: 'all' is not allowed; allowed: an integer of at least 1 or full"]),
    "labels": (PAPER, "labels: true\n      loss", "labels: false\n      loss", None, ["labels: false is not allowed; allowed: true or shuffled"]),
    "missing key": (PAPER, "      max_steps: 10\n", "", 13, ["gap.training: the key 'max_steps' is missing (an integer of at least 1)"]),
    "missing branch key": ("config/datasets.yaml", "    order: 3\n", "", 2, ["datasets.steps: the target is not clear; give either `order` or `monomials`"]),
    "missing key of a generator": ("config/datasets.yaml", "    dimension: 6\n    order", "    order", 2, ["datasets.steps: the key 'dimension' is missing (an integer of at least 1)"]),
    "null in the base": (PAPER, "width: 16", "width:", None, ["model.width: null is not allowed; allowed: an integer"]),
    "list for a mapping": (PAPER, "{kernel: ntk}\n    metrics", "[ntk]\n    metrics", None, ["ntk_spectrum: ['ntk'] is not allowed; allowed: a mapping of kernel"]),
    "name": (PAPER, "      ntk_spectrum:", "      ntk-spectrum:", None, ["the name 'ntk-spectrum' is not allowed; allowed: a name of lower-case letters"]),
    "arxiv as a number": (PAPER, 'arxiv: "2507.19680"', "arxiv: 2507.19680", None, ["arxiv: 2507.1968 is not allowed; allowed: an arXiv identifier in quotes"]),
    "head key": (PAPER, "title: A title", "titel: A title", None, ["titel: unknown key 'titel'; did you mean 'title'?"]),
    "head section": (PAPER, "experiments:", "experimens:", None, ["experimens: unknown key 'experimens'; did you mean 'experiments'?"]),
    "paper and file": (PAPER, "paper: paper1", "paper: paper2", None, ["paper: 'paper2' is not allowed; allowed: paper1, as the file is called"]),
    "generator": ("config/datasets.yaml", "generator: staircase", "generator: stair", None, ["datasets.steps.generator: 'stair' is not allowed; did you mean 'staircase'?"]),
    "other generator's key": ("config/datasets.yaml", "generator: digits", "generator: digits\n    order: 2", 11, ["unknown key 'order'. Allowed: classes, downsample, draws, generator, label_encoding, normalization, probe, targets, test, train"]),
    "test images that the official set lacks": ("config/datasets.yaml", "generator: digits\n    train: 1000\n    test: 500", "generator: mnist\n    train: 1000\n    test: 10001", 12, ["datasets.images.test: 10001 is more than the 10000 points to test on; take fewer"]),
    "training images that the official set lacks": ("config/datasets.yaml", "generator: digits\n    train: 1000\n    test: 500\n    probe: 200", "generator: mnist\n    train: 60000\n    test: 500\n    probe: 200", 9, ["datasets.images: train + probe = 60200, but there are only 60000 points to train on; take fewer"]),
    "two targets": ("config/datasets.yaml", "    order: 3\n", "    order: 3\n    monomials: [[1], [1, 2]]\n", 2, ["give either `order` or `monomials`"]),
    "no digest": ("config/datasets.yaml", "generator: digits\n    train", "generator: mnist\n    files: {train: {a.gz: 12ab}}\n    train", 11, ["files.train.'a.gz': '12ab' is not allowed; allowed: a SHA-256, 64 hexadecimal digits"]),
    "digits": ("config/datasets.yaml", "train: 1000", "train: 1400", 9, ["datasets.images: train + test + probe = 2100, but there are only 1797 points"]),
    "order": ("config/datasets.yaml", "order: 3", "order: 7", None, ["datasets.steps.order: 7 is above the dimension 6; allowed: at most 6"]),
    "link": ("config/datasets.yaml", "z1*z2", "z1*z7", None, ["datasets.gauss.link: z7 is not there in dimension 6; allowed: z1 to z6"]),
    "link text": ("config/datasets.yaml", "z1 + z1*z2", "open(z1)", None, ["datasets.gauss.link: 'open(z1)' is not allowed; allowed: a polynomial in z1"]),
    "dataset": (PAPER, "dataset: steps", "dataset: stesp", None, ["gap.dataset: unknown dataset 'stesp'; did you mean 'steps'? Allowed: gauss, images, steps"]),
    "train size": (PAPER, "train_size: 32\n", "train_size: 65\n", None, ["train_size: 65 is more than the 64 training points of 'steps'; allowed: at most 64"]),
    "kernel rows": (PAPER, "rows: {probe: 16}", "rows: {probe: 17}", None, ["kernels.ntk.rows.probe: 17 is more than the 16 probe points of 'steps'"]),
    "kernel columns": (PAPER, "rows: {probe: 16}", "rows: {probe: 1}, columns: {test: 33}", None, ["33 is more than the 32 test", "is not symmetric"]),
    "images": (PAPER, "architecture: mlp", "architecture: cnn", None, ["model.architecture: architecture 'cnn' needs image data, which 'steps' is not"]),
    "kernel of a spectrum": (PAPER, "ntk_spectrum: {kernel: ntk}", "ntk_spectrum: {kernel: nkt}", None, ["ntk_spectrum.kernel: unknown kernel 'nkt'; did you mean 'ntk'?"]),
    "kernel of a metric": (PAPER, "ntk_strength: {kernel: ntk}", "ntk_strength: {kernel: x}", None, ["ntk_strength.kernel: unknown kernel 'x'. Allowed: ntk"]),
    "metric": (PAPER, "test_error: {}", "tst_error: {}", None, ["gap.metrics.tst_error: unknown key 'tst_error'; did you mean 'test_error'?"]),
    "metric's option": (PAPER, "test_error: {}", "test_error: {layers: [0]}", None, ["metrics.test_error.layers: unknown key 'layers'. Allowed: none"]),
    "metric without a file": (PAPER, "test_error: {}", "feature_quality: {}", None, ["no file workflow_scripts/lazyrich/metrics/measures/feature_quality.py defines measure()"]),
    "nothing to stop": (PAPER, "test_error: {}", "feature_learning_gap: {matched: true}", None, ["there is no kernel whose gradient flow could be stopped"]),
    "nothing to compare": (PAPER, "test_error: {}", "feature_learning_gap: {closed_form: false}", None, ["there is nothing to compare with; give `closed_form: true`"]),
    "figure": (PAPER, "learning_curves:", "learning_curve:", None, ["figures/learning_curve.py defines draw(); did you mean 'learning_curves'?"]),
    "figure of a whole paper": (PAPER, "title: A title", "title: A title\nfigures:\n  learning_curve: {}", 5, ["figures.learning_curve: no file workflow_scripts/lazyrich/figures/learning_curve.py defines draw(); did you mean 'learning_curves'?"]),
    "option of a whole paper's figure": (PAPER, "title: A title", "title: A title\nfigures:\n  learning_curves: {widht: 5}", 5, ["figures.learning_curves.widht: unknown key 'widht'; did you mean 'width'?"]),
    "smallest scale": (PAPER, "question: What?", "question: What?\n    smallest_scale: reducd", 7, ["gap.smallest_scale: 'reducd' is not allowed; did you mean 'reduced'? allowed: smoke, reduced or full"]),
    "unused key": (PAPER, "optimizer: sgd", "optimizer: sgd\n      momentum: 0.5", 18, ["training.momentum: this is read only with `optimizer: momentum`, not with 'sgd'"]),
    "unused speeds": (PAPER, "optimizer: sgd", "optimizer: sgd\n      speeds: [1, 2, 3]", 18, ["training.speeds: this is read only with `optimizer: speed_limited`, not with 'sgd'"]),
    "speed": (PAPER, "optimizer: sgd", "optimizer: speed_limited\n      speeds: [1, 0, 3]", 18, ["training.speeds[1]: 0 is not allowed; allowed: a number greater than 0"]),
    "speeds that are no list": (PAPER, "optimizer: sgd", "optimizer: speed_limited\n      speeds: 500", 18, ["training.speeds: 500 is not allowed; allowed: a list of values, each a number greater than 0"]),
    "no speeds": (PAPER, "optimizer: sgd", "optimizer: speed_limited\n      speeds: []", 18, ["training.speeds: [] is not allowed; allowed: a list of values, each a number greater than 0"]),
    "number of speeds": (PAPER, "optimizer: sgd", "optimizer: speed_limited\n      speeds: [500, 0.002]", 18, ["training.speeds: there are 2 speeds, but an mlp of 2 hidden layers has 3 with weights; give 3 speeds"]),
    "sweep of speeds": (PAPER, "training.max_steps:", "training.speeds:", None, ["unknown key to sweep 'training.speeds'"]),
    "sweep key": (PAPER, "training.max_steps:", "training.max_step:", None, ["unknown key to sweep 'training.max_step'; did you mean 'training.max_steps'?"]),
    "sweep key without its tree": (PAPER, "training.max_steps:", "max_steps:", None, ["did you mean 'training.max_steps'?"]),
    "sweep of a mapping": (PAPER, "training.max_steps:", "training.evaluate:", None, ["unknown key to sweep 'training.evaluate'; did you mean"]),
    "members sweep datasets": (PAPER, "{training.train_size: [8, 32]}", "{dataset: [steps, gauss]}", None, ["(members share one dataset; sweep it under runs)"]),
    "zip": (PAPER, "[10, 20]", "[10, 20, 30]", None, ["equally long, but training.learning_rate has 2, training.max_steps has 3"]),
    "axis twice": (PAPER, "        size:", "        rate:", None, ["the axis 'rate' stands under runs and members"]),
    "axis called like a column": (PAPER, "        size:", "        step:", None, ["an axis cannot be called 'step', which is a column of every table"]),
    "key set twice": (PAPER, "{training.train_size: [8, 32]}", "{training.max_steps: [8, 32]}", None, ["'training.max_steps' is set by the axis 'rate' too"]),
    "value twice": (PAPER, "[8, 32]", "[8, 8]", None, ["size.'training.train_size'[1]: 8 stands twice"]),
    "long names": (PAPER, "        size:", f"        {'x' * 99}:", None, ["names of members get", "allowed: at most 100"]),
    "sweep value": (PAPER, "[true, shuffled]", "[true, shufled]", None, ["labels.'training.labels'[1]: 'shufled' is not allowed; did you mean 'shuffled'?"]),
    "sweep value and dataset": (PAPER, "[8, 32]", "[8, 65]", None, ["size.'training.train_size'[1]: 65 is more than the 64 training points"]),
    "empty axis": (PAPER, "[8, 32]", "[]", None, ["'training.train_size': [] is not allowed; allowed: a list of values"]),
    "claim's axis": (PAPER, "labels: true}", "label: true}", None, ["quantities.strength.label: unknown column 'label'; did you mean 'labels'?"]),
    "claim's stage": (PAPER, "stage: final", "stage: end", None, ["quantities.strength.stage: unknown stage 'end'. Allowed: final, initial"]),
    "claim's quantity": (PAPER, "abs(strength)", "abs(strenght)", None, ["expression: unknown quantity 'strenght'; did you mean 'strength'?"]),
    "claim's function": (PAPER, "abs(strength)", "log(strength)", None, ["expression: unknown function 'log'; did you mean 'log10'?"]),
    "claim's expression": (PAPER, "abs(strength)", "strength +", None, ["'strength +' is no arithmetic expression"]),
    "claim's bounds": (PAPER, "{at_least: 0.5}", "{at_least: 0.5, at_most: 0.1}", None, ["nothing is both at least 0.5 and at most 0.1"]),
    "claim without bounds": (PAPER, "{at_least: 0.5}", "{}", None, ["moved.expected: {} is not allowed; allowed: a mapping of at_least, at_most"]),
    "duplicate key": (PAPER, "seeds: 3", "seeds: 3\n    seeds: 4", 22, ["experiments.gap.seeds: the key 'seeds' stands twice, first in line 21"]),
    "no YAML": (PAPER, "seeds: 3", "seeds: [3", 22, ["no valid YAML"]),
    "tag": (PAPER, "seeds: 3", "seeds: !!python/name:os.system 3", None, ["gap.seeds: the tag 'tag:yaml.org,2002:python/name:os.system' is not allowed"]),
    "tag that does not fit": (PAPER, "seeds: 3", "seeds: !!int three", None, ["'three' does not fit its tag"]),
    "alias to itself": (PAPER, "seeds: 3", "seeds: &a [*a]", None, ["gap.seeds[0]: an alias that contains itself"]),
    "key that is no text": (PAPER, "seeds: 3", "seeds: 3\n    2: x", 22, ["experiments.gap: the key '2' is no text; put it in quotes"]),
    "overlay's experiment": (SMOKE, "  gap:", "  gapp:", None, ["experiments.gapp: unknown experiment 'gapp'; did you mean 'gap'? Allowed: gap, or a new one"]),
    "overlay's key": (SMOKE, "experiments:", "experimens:", None, ["experimens: unknown key 'experimens'; did you mean 'experiments'?"]),
    "overlay's value": (SMOKE, "seeds: 2", "seeds: 0", None, ["experiments.gap.seeds: 0 is not allowed; allowed: an integer of at least 1"]),
    "overlay's paper": (SMOKE, "seeds: 2", "paper: paper2", None, ["experiments.gap.paper: unknown paper 'paper2'; did you mean 'paper1'?"]),
    "overlay's dataset": (SMOKE, "experiments:", "datasets:\n  step: {test: 4}\nexperiments:", 2, ["datasets.step: unknown dataset 'step'; did you mean 'steps'?"]),
    "globals": ("config/config.yaml", "scale: smoke", "scale: smok", None, ["scale: 'smok' is not allowed; did you mean 'smoke'? allowed: smoke, reduced or full"]),
    "globals' key": ("config/config.yaml", "scale: smoke", "scale: smoke\ndevise: cpu", 2, ["devise: unknown key 'devise'; did you mean 'device'? Allowed: data, device, downloads, offline, results, scale"]),
    "file that is a list": (SMOKE, "experiments:\n  gap:\n    seeds: 2", "- 1", None, ["[1] is not allowed; allowed: a mapping"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_ends_in_a_message_that_says_where_what_and_what_instead(root: Path, name: str) -> None:
    file, old, new, line, fragments = MISTAKES[name]
    stood = edit(root, file, old, new)
    found = problems(root)
    message = "\n".join(found)
    for fragment in fragments:
        assert fragment in message
    skipped = len(old) - len(old.lstrip("\n"))
    assert f"{file}:{line or stood + skipped}: " in message
    assert all(problem.startswith(file) for problem in found)
    assert len(found) == len({fragment for fragment in fragments if not fragment.startswith("allowed")}), found


def on_images(root: Path, model: str) -> None:
    edit(root, PAPER, "dataset: steps", "dataset: images")
    edit(root, PAPER, "architecture: mlp\n      width: 16", model)


def test_a_key_that_some_architectures_read_is_unused_with_the_others(root: Path) -> None:
    on_images(root, "architecture: cnn\n      hidden_layers: 3\n      width: 16")
    (problem,) = problems(root)
    only = "`architecture: mlp` or `architecture: resnet` or `architecture: vit`"
    assert f"model.hidden_layers: this is read only with {only}, not with 'cnn'; remove it" in problem


@pytest.mark.parametrize("architecture", ["mlp", "resnet", "vit"])
def test_a_key_that_some_architectures_read_is_allowed_with_each(root: Path, architecture: str) -> None:
    on_images(root, f"architecture: {architecture}\n      hidden_layers: 3\n      width: 16")
    load(root, None, MEMBERS)


def test_keys_of_one_architecture_are_allowed_where_an_axis_has_it_and_enter_no_other_model(root: Path) -> None:
    on_images(root, "architecture: cnn\n      width: 16")
    edit(root, PAPER, "{training.train_size: [8, 32]}", "{model.architecture: [cnn, vit, mlp, resnet]}")
    plain = load(root, None, MEMBERS).experiments["gap"]["model"]
    assert "heads" not in plain and "patch" not in plain
    edit(root, PAPER, "activation: relu", "heads: 2\n      patch: 4\n      activation: relu")
    assert load(root, None, MEMBERS).experiments["gap"]["model"] == {**plain, "heads": 2, "patch": 4}
    edit(root, PAPER, "[cnn, vit, mlp, resnet]", "[cnn, mlp, resnet]")
    found = problems(root)
    assert len(found) == 2 and all("this is read only with `architecture: vit`" in problem for problem in found)


def test_speeds_enter_only_the_training_that_gives_them(root: Path) -> None:
    assert "speeds" not in load(root, None, MEMBERS).experiments["gap"]["training"]
    edit(root, PAPER, "optimizer: sgd", "optimizer: speed_limited")
    plain = load(root, None, MEMBERS).experiments["gap"]["training"]
    assert "speeds" not in plain
    edit(root, PAPER, "optimizer: speed_limited", "optimizer: speed_limited\n      speeds: [500, 0.002, 2e-3]")
    assert load(root, None, MEMBERS).experiments["gap"]["training"] == {**plain, "speeds": [500, 0.002, 0.002]}


def test_speeds_are_counted_at_every_sweep_point_of_an_mlp_that_reads_them(root: Path) -> None:
    on_images(root, "architecture: mlp\n      hidden_layers: 1\n      width: 16")
    edit(root, PAPER, "optimizer: sgd", "optimizer: sgd\n      speeds: [500, 0.002, 0.002]")
    line = edit(root, PAPER, "{training.train_size: [8, 32]}", "{training.optimizer: [sgd, speed_limited]}")
    (problem,) = problems(root)
    where = f"{PAPER}:{line}: experiments.gap.sweep.members.size.'training.optimizer'[1]: there are 3 speeds, but"
    assert problem.startswith(where) and "1 hidden layers has 2 with weights; give 2 speeds" in problem
    edit(root, PAPER, "hidden_layers: 1", "hidden_layers: 2")
    load(root, None, MEMBERS)
    edit(root, PAPER, "[sgd, speed_limited]", "[sgd, speed_limited], model.hidden_layers: [3, 2]")
    load(root, None, MEMBERS)
    edit(root, PAPER, "[3, 2]", "[2, 3]")
    (problem,) = problems(root)
    assert "size.'model.hidden_layers'[1]: there are 3 speeds, but an mlp of 3 hidden layers has 4" in problem
    edit(root, PAPER, "architecture: mlp\n      hidden_layers: 2", "architecture: resnet\n      hidden_layers: 2")
    load(root, None, MEMBERS)  # counted when training starts


@pytest.mark.parametrize("keys", ["width: 6", "width: 16\n      heads: 3"])
def test_heads_that_do_not_divide_the_width(root: Path, keys: str) -> None:
    on_images(root, f"architecture: vit\n      {keys}")
    (problem,) = problems(root)
    assert "model.width: the width of a vit is divided among its" in problem and "change `width` or `heads`" in problem
    edit(root, PAPER, "architecture: vit", "architecture: vit\n      hidden_layers: 1")
    edit(root, PAPER, keys, "width: 6\n      heads: 3")
    load(root, None, MEMBERS)


def test_heads_that_do_not_divide_a_width_of_an_axis(root: Path) -> None:
    on_images(root, "architecture: cnn\n      width: 16")
    axis = "net: {model.architecture: [cnn, vit]}\n        wide: {model.width: [16, 18]}"
    edit(root, PAPER, "size: {training.train_size: [8, 32]}", axis)
    (problem,) = problems(root)
    assert "members.wide.'model.width'[1]: the width of a vit" in problem and "18 is no multiple of 4" in problem


@pytest.mark.parametrize(
    ("key", "old", "new", "fragment"),
    [
        (
            "activation",
            "activation: relu",
            "activation: tanh",
            "'tanh' has no closed-form NTK, which feature_learning_gap compares",
        ),
        (
            "bias",
            "activation: relu",
            "activation: relu\n      bias: true",
            "(the formula is that of layers without biases); allowed: false; or give",
        ),
    ],
)
def test_closed_form_ntk_of_a_network_that_has_none(root: Path, key: str, old: str, new: str, fragment: str) -> None:
    edit(root, PAPER, "test_error: {}", "feature_learning_gap: {kernel: ntk}")
    load(root, None, MEMBERS)
    edit(root, PAPER, old, new)
    (problem,) = problems(root)
    assert f"experiments.gap.model.{key}: " in problem and fragment in problem
    edit(root, PAPER, "feature_learning_gap: {kernel: ntk}", "feature_learning_gap: {kernel: ntk, closed_form: false}")
    load(root, None, MEMBERS)


def test_closed_form_ntk_at_a_sweep_point_that_has_none(root: Path) -> None:
    edit(root, PAPER, "test_error: {}", "feature_learning_gap: {}")
    line = edit(root, PAPER, "{training.train_size: [8, 32]}", "{model.activation: [relu, erf, gelu]}")
    found = problems(root)
    assert [problem.split(": ")[1] for problem in found] == [
        f"experiments.gap.sweep.members.size.'model.activation'[{position}]" for position in (1, 2)
    ]
    assert all(problem.startswith(f"{PAPER}:{line}: ") for problem in found)


def test_missing_file(root: Path) -> None:
    (root / SMOKE).unlink()
    assert problems(root) == (f"{SMOKE}: this file is missing",)


def test_experiment_in_two_papers(root: Path) -> None:
    shutil.copy(root / PAPER, root / "config/experiments/paper2.yaml")
    edit(root, "config/experiments/paper2.yaml", "paper: paper1", "paper: paper2")
    assert problems(root) == (
        f"config/experiments/paper2.yaml:5: experiments.gap: the experiment 'gap' exists already, in {PAPER}:5; rename it",
    )


def test_all_mistakes_are_collected_and_the_first_ten_shown(root: Path) -> None:
    edit(root, PAPER, "width: 16", "width: 0")
    axes = {"axis": {f"model.nothing{number}": [1] for number in range(12)}}
    with pytest.raises(ConfigurationError) as caught:
        load(
            root,
            {"device": "gpu", "experiments": {"gap": {"sweep": {"runs": axes}, "question": 3, "nothing": 1}}},
            MEMBERS,
        )
    assert len(caught.value.problems) == 4
    edit(root, PAPER, "width: 0", "width: 16")
    with pytest.raises(ConfigurationError) as caught:
        load(root, {"experiments": {"gap": {"sweep": {"runs": axes}}}}, MEMBERS)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the configuration has 12 mistakes:"
    assert len(lines) == 1 + SHOWN + 1
    assert lines[-1].strip() == "... and 2 more"


def test_line_of_a_zipped_value_that_fits_one_dataset_only(root: Path) -> None:
    line = edit(
        root,
        PAPER,
        "rate: {training.learning_rate: [0.1, 1], training.max_steps: [10, 20]}",
        "task: {dataset: [steps, gauss]}",
    )
    edit(root, PAPER, "[8, 32]", "[8, 33]")
    assert problems(root) == (
        f"{PAPER}:{line + 3}: experiments.gap.sweep.members.size.'training.train_size'[1]: "
        "33 is more than the 32 training points of 'gauss'; allowed: at most 32",
    )
