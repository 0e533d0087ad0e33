"""What a schema cannot say: names that must exist, sizes that must fit, keys that would be ignored.

Annotations of the schemas that are read here: ``x-names: kernels`` (the value is a kernel of the experiment),
``x-used-with`` (the key is read only if its neighbour has that value, or one of those), ``x-total`` and ``x-pools`` (points that a data source
holds in all, or to train and to test on), ``x-images`` (the inputs are images), ``x-needs-images`` (the values that work on images alone).
"""

import ast
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lazyrich import sweeps
from lazyrich.configuration_errors import KeyPath, nearest, show, unknown
from lazyrich.configuration_schema import Schemas, branch, properties
from lazyrich.plugins import FUNCTION, place

#: A mistake in an experiment or dataset: the path inside it, and what is wrong.
Mistake = tuple[KeyPath, str]

#: The columns that every table of metrics has beside one for each axis.
COLUMNS = ("experiment", "run", "seed", "status", "step", "stage", "layer", "metric", "argument", "value")

_SELECTORS = ("metric", "run", "status", "step", "stage", "layer", "argument")
_COLUMN_VALUES = {"stage": ("initial", "final"), "status": ("converged", "finished", "diverged")}
_FUNCTIONS = ("abs", "log10", "min", "max")

#: What the network must be for its infinite-width NTK to be the closed form, and why no other value will do.
_CLOSED_FORM = {
    "model.architecture": (("mlp",), "the formula is that of an mlp"),
    "model.activation": (("relu",), "the formula is that of relu"),
    "model.bias": ((False,), "the formula is that of layers without biases"),
}
_CLOSED_FORM_KEY = "metrics.feature_learning_gap.closed_form"

#: The dotted keys that :func:`point_mistakes` reads, or the starts of their names: what can make one sweep point wrong.
POINT_KEYS = (
    "dataset",
    "training.train_size",
    "kernels.",
    "model.width",
    "model.heads",
    "model.hidden_layers",
    "training.optimizer",
    *_CLOSED_FORM,
    _CLOSED_FORM_KEY,
)


@dataclass(frozen=True)
class House:
    """What an experiment can refer to. ``members`` holds, for each folder of the library, the names that it
    implements."""

    datasets: Mapping[str, Mapping[str, Any]]
    papers: Collection[str]
    schemas: Schemas
    members: Mapping[str, Collection[str]]


def dataset_mistakes(spec: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """Parameters of a dataset that contradict each other, and a generator without a file."""
    yield from _member(house, "datasets", spec["generator"], ("generator",))
    yield from _too_many_points(spec, branch(house.schemas["dataset"], spec))
    if spec["generator"] == "staircase" and ("order" in spec) == ("monomials" in spec):
        yield (), "the target is not clear; give either `order` or `monomials`"
    for key in ("order", "rank"):
        if key in spec and spec[key] > spec["dimension"]:
            yield (
                (key,),
                f"{spec[key]} is above the dimension {spec['dimension']}; allowed: at most {spec['dimension']}",
            )
    if "link" in spec:
        for index in map(int, re.findall(r"z([0-9]+)", spec["link"])):
            if index > spec["dimension"]:
                yield (
                    ("link",),
                    f"z{index} is not there in dimension {spec['dimension']}; allowed: z1 to z{spec['dimension']}",
                )


def _too_many_points(spec: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Mistake]:
    """Splits that ask for more points than the source holds; of files of the user's own nobody knows how many these are."""
    total, pools = source.get("x-total"), source.get("x-pools")
    points = spec["train"] + spec["test"] + spec["probe"]
    if total is not None and points > total:
        yield (), f"train + test + probe = {points}, but there are only {total} points in all; take fewer"
    if pools is None or "files" in spec:
        return
    if spec["train"] + spec["probe"] > pools["train"]:
        text = (
            f"train + probe = {spec['train'] + spec['probe']}, but there are only {pools['train']} points to train on"
        )
        yield (), f"{text}; take fewer"
    if spec["test"] > pools["test"]:
        yield ("test",), f"{spec['test']} is more than the {pools['test']} points to test on; take fewer"


def paper_mistakes(paper: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """Figures of a whole paper without a file."""
    for name in paper["figures"]:
        yield from _member(house, "figures", name, ("figures", name))


def experiment_mistakes(spec: Mapping[str, Any], written: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """What is wrong with an experiment apart from its sweep; ``written`` is the experiment without its defaults."""
    if spec["paper"] not in house.papers:
        yield ("paper",), unknown("paper", spec["paper"], house.papers)
    for name, kernel in spec["kernels"].items():
        yield from _member(house, "kernels", kernel["object"], ("kernels", name, "object"))
    for folder in ("metrics", "figures"):
        for name in spec[folder]:
            yield from _member(house, folder, name, (folder, name))
    yield from _idle(spec, written, house)
    yield from _names(house.schemas["experiment"], spec, (), spec)
    for name, spectrum in spec["spectra"].items():
        if spec["kernels"].get(spectrum["kernel"], {}).get("columns") is not None:
            text = f"kernel {spectrum['kernel']!r} has columns of its own, so it is not symmetric"
            yield ("spectra", name, "kernel"), f"{text}; take a kernel without `columns`"
        for key, text in _spectrum(spectrum):
            yield ("spectra", name, key), text
    gap = spec["metrics"].get("feature_learning_gap")
    if gap and not gap["closed_form"] and gap["kernel"] is None:
        yield (
            ("metrics", "feature_learning_gap"),
            "there is nothing to compare with; give `closed_form: true` or name a kernel",
        )
    if gap and gap["matched"] and gap["kernel"] is None:
        text = "there is no kernel whose gradient flow could be stopped"
        yield ("metrics", "feature_learning_gap", "matched"), f"{text}; name one under `kernel`"
    yield from _kernels_of_metrics(spec)
    for name, claim in spec["claims"].items():
        for path, text in _claim(claim, [*spec["sweep"]["runs"], *spec["sweep"]["members"]]):
            yield ("claims", name, *path), text


def point_mistakes(
    spec: Mapping[str, Any], changes: Mapping[str, Any], house: House
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not fit together at one sweep point, which sets the dotted keys of ``changes``.

    With each mistake come the dotted keys that take part in it, the likeliest culprit first.
    """

    def value(key: str) -> Any:
        return changes[key] if key in changes else sweeps.get(spec, key)

    dataset = house.datasets.get(value("dataset"))
    if dataset is None:
        yield ("dataset",), unknown("dataset", value("dataset"), house.datasets)
        return
    size, name = value("training.train_size"), value("dataset")
    if size > dataset["train"]:
        text = f"{size} is more than the {dataset['train']} training points of {name!r}"
        yield ("training.train_size", "dataset"), f"{text}; allowed: at most {dataset['train']}"
    for kernel, options in spec["kernels"].items():
        for side in ("rows", "columns"):
            for split in options[side] or ():
                key = f"kernels.{kernel}.{side}.{split}"
                if value(key) > dataset[split]:
                    text = f"{value(key)} is more than the {dataset[split]} {split} points of {name!r}"
                    yield (key, "dataset"), f"{text}; allowed: at most {dataset[split]}"
    architecture = value("model.architecture")
    for _, text in _member(house, "models", architecture, ()):
        yield ("model.architecture",), text
    need_images = house.schemas["model"]["properties"]["architecture"]["x-needs-images"]
    if architecture in need_images and not (
        dataset.get("images") or branch(house.schemas["dataset"], dataset).get("x-images")
    ):
        text = f"architecture {architecture!r} needs image data, which {name!r} is not"
        yield ("model.architecture", "dataset"), f"{text}; take an image dataset or another architecture"
    if architecture == "vit":
        absent = int(house.schemas["model"]["properties"]["heads"]["x-absent"])
        width, heads = value("model.width"), value("model.heads") if "heads" in spec["model"] else absent
        if width % heads:
            text = f"the width of a vit is divided among its {heads} heads, and {width} is no multiple of {heads}"
            yield ("model.width", "model.heads", "model.architecture"), f"{text}; change `width` or `heads`"
    speeds = spec["training"].get("speeds")
    if speeds is not None and architecture == "mlp" and value("training.optimizer") == "speed_limited":
        hidden = value("model.hidden_layers")
        if len(speeds) != hidden + 1:
            text = f"there are {len(speeds)} speeds, but an mlp of {hidden} hidden layers has {hidden + 1} with weights"
            keys = ("training.speeds", "model.hidden_layers", "training.optimizer", "model.architecture")
            yield keys, f"{text}; give {hidden + 1} speeds"
    if "feature_learning_gap" in spec["metrics"] and value(_CLOSED_FORM_KEY):
        for key, (allowed, reason) in _CLOSED_FORM.items():
            if value(key) not in allowed:
                text = f"{show(value(key))} has no closed-form NTK, which feature_learning_gap compares with ({reason})"
                mend = "or give the metric `closed_form: false` and a kernel"
                yield (key, _CLOSED_FORM_KEY), f"{text}; allowed: {' or '.join(map(show, allowed))}; {mend}"


def _member(house: House, folder: str, name: str, path: KeyPath) -> Iterator[Mistake]:
    if name not in house.members[folder]:
        there = house.members[folder]
        near = nearest(name, there)
        missing = f"no file workflow_scripts/lazyrich/{place(folder)}/{name}.py defines {FUNCTION[folder]}()"
        yield path, f"{missing}{near}{'' if near else ';'} allowed: {', '.join(sorted(there)) or 'none yet'}"


def _idle(spec: Mapping[str, Any], written: Mapping[str, Any], house: House) -> Iterator[Mistake]:
    """Keys that are given although nothing in the experiment would read them."""
    axes = [*spec["sweep"]["runs"].values(), *spec["sweep"]["members"].values()]
    for tree in ("model", "training"):
        for key, schema in properties(house.schemas[tree], spec[tree]).items():
            for other, needed in schema.get("x-used-with", {}).items():
                values = [spec[tree][other], *(value for axis in axes for value in axis.get(f"{tree}.{other}", ()))]
                readers = needed if isinstance(needed, list) else [needed]
                if key in written[tree] and not any(value in readers for value in values):
                    only = " or ".join(f"`{other}: {reader}`" for reader in readers)
                    yield (tree, key), f"this is read only with {only}, not with {show(spec[tree][other])}; remove it"


def _spectrum(spectrum: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Options of a spectrum that its method lacks or does not read."""
    method, landmarks = spectrum["method"], spectrum["landmarks"]
    if method in ("lanczos", "randomized") and spectrum["k"] is None:
        yield "k", f"method {method!r} finds leading eigenpairs; say how many, or take `method: dense` for all"
    if method == "nystrom" and landmarks is None:
        yield "landmarks", "method 'nystrom' needs a number of landmarks; give one"
    if method != "nystrom" and landmarks is not None:
        yield "landmarks", f"this is read only with `method: nystrom`, not with {show(method)}; remove it"


def _kernels_of_metrics(spec: Mapping[str, Any]) -> Iterator[Mistake]:
    """Kernels that a metric names and that lack the points it needs, and a window that is empty."""
    for index, name in enumerate(spec["metrics"].get("after_kernel", {}).get("kernels", ())):
        kernel = spec["kernels"].get(name)
        sides = {} if kernel is None else {"rows": ("train", "test"), "columns": ("train",)}
        for side, splits in sides.items():
            for split in splits:
                if split not in (kernel[side] or kernel["rows"]):
                    text = f"kernel {name!r} has no {split} points in its {side}, which regression needs"
                    yield ("metrics", "after_kernel", "kernels", index), f"{text}; give it `{side}: {{{split}: ...}}`"
    theory = spec["metrics"].get("kernel_theory", {})
    if spec["kernels"].get(theory.get("kernel"), {}).get("columns") is not None:
        text = f"kernel {theory['kernel']!r} has columns of its own, so it is not symmetric"
        yield ("metrics", "kernel_theory", "kernel"), f"{text}; take a kernel without `columns`"
    first, last = theory.get("window", (1, 2))
    if first >= last:
        yield (
            ("metrics", "kernel_theory", "window"),
            f"[{first}, {last}] is empty; allowed: a first mode below the last",
        )


def _names(schema: Mapping, value: object, path: KeyPath, spec: Mapping[str, Any]) -> Iterator[Mistake]:
    """Values that should name a kernel or spectrum of the experiment and do not."""
    if "x-names" in schema and value is not None and value not in spec[schema["x-names"]]:
        kind = {"kernels": "kernel", "spectra": "spectrum"}[schema["x-names"]]
        yield path, unknown(kind, value, spec[schema["x-names"]])
    if isinstance(value, Mapping):
        known = properties(schema, value)
        other = schema.get("additionalProperties")
        for key, item in value.items():
            part = known.get(key, other)
            if isinstance(part, Mapping):
                yield from _names(part, item, (*path, key), spec)
    elif isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        for index, item in enumerate(value):
            yield from _names(schema["items"], item, (*path, index), spec)


def _claim(claim: Mapping[str, Any], axes: Collection[str]) -> Iterator[Mistake]:
    for name, selector in claim["quantities"].items():
        for column, value in selector.items():
            if column not in (*_SELECTORS, *axes):
                yield ("quantities", name, column), unknown("column", column, (*_SELECTORS, *axes))
            elif value not in _COLUMN_VALUES.get(column, (value,)):
                yield ("quantities", name, column), unknown(column, value, _COLUMN_VALUES[column])
    expected = claim["expected"]
    if expected.get("at_least", float("-inf")) > expected.get("at_most", float("inf")):
        yield ("expected",), f"nothing is both at least {expected['at_least']} and at most {expected['at_most']}"
    try:
        tree = ast.parse(str(claim["expression"]), mode="eval")
    except (SyntaxError, ValueError) as error:
        yield ("expression",), f"{claim['expression']!r} is no arithmetic expression ({error.args[0]})"
        return
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and id(node) in called and node.id not in _FUNCTIONS:
            yield ("expression",), unknown("function", node.id, _FUNCTIONS)
        elif isinstance(node, ast.Name) and id(node) not in called and node.id not in claim["quantities"]:
            yield ("expression",), unknown("quantity", node.id, claim["quantities"])
