"""How much better a network does than the kernel regression with its initial NTK."""

import math
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from lazyrich.datasets.reading import Dataset, Split, labels_are_true
from lazyrich.fingerprints import canonical
from lazyrich.kernels.closed_form import relu_ntk, relu_ntk_diagonal
from lazyrich.kernels.gradient_flow import stopped_gradient_flow
from lazyrich.kernels.nested_regression import learning_curve
from lazyrich.kernels.regression import kernel_regression
from lazyrich.metrics.crossing import critical_dataset_size
from lazyrich.metrics.member import MemberData, Row, TableRow
from lazyrich.metrics.regression_errors import regression_error, target_variance
from lazyrich.metrics.stored_regression import stored_regression
from lazyrich.training.reading import TrainedRun

#: The axis along which the critical size is read.
SIZE = "train_size"
#: Added to the diagonal of the closed-form NTK, relative to its mean over all training points of the draw.
JITTER = 1e-6
#: Ratio of errors -> the critical size that is read off it.
CRITICAL = {
    "test_error_ratio": "critical_dataset_size",
    "test_error_ratio_empirical": "critical_dataset_size_empirical",
}


def measure(
    member: MemberData, closed_form: bool, kernel: str | None, epsilon: float, matched: bool = False
) -> Iterator[Row]:
    """Test error of the NTK predictor mu(x) = f_0(x) + K(x, X) K(X, X)^-1 (y - f_0(X)), relative to the variance of the
    test targets, and the gap to it. f_0 is the network at initialisation, or 0 if it is centred.

    - ``ntk_test_error``, ``test_error_ratio`` = E(network)/E(NTK), ``feature_learning_gap`` = E(NTK) - E(network), with
      the infinite-width NTK in closed form (bias-free ReLU MLPs), if ``closed_form``. Scales of the whole kernel leave
      the predictor as it is. In the standard parametrization layers train at speeds that go as their fan-in, so the
      kernel depends on the width by these.
    - the same with ``_empirical`` behind the name, with the stored empirical NTK ``kernel`` at initialisation, where it
      holds as many training points as the network saw; both errors are then taken on the test points that it holds.
    - the same with ``_matched`` behind the name, if ``matched``: with the gradient flow of that kernel, stopped at the network's
      own training loss (see `lazyrich.kernels.gradient_flow`). A network that is stopped early is set against a kernel that
      fits as well and no better; the gap of a lazy one with a single output is 0. (Of several outputs the kernel is the
      trace, which leaves out how outputs move each other: no small matter in networks of a few units.)
    - ``ntk_jitter``: what was added to the diagonal of the closed form, relative to its mean over all training points of
      the draw, so that it does not depend on how many of them the network saw.

    ``epsilon`` is the ratio that defines the critical size (see :func:`summarize`).
    Source: Goring et al., arXiv 2507.19680.
    """
    final = member.steps[-1]
    if closed_form:
        network = _network_error(member, member.split("test"))
        found = _ntk_errors(member.run, member.dataset, _setting(member))[member.training_spec[SIZE]]
        yield Row("ntk_test_error", found.error, final)
        yield Row("test_error_ratio", network / found.error, final)
        yield Row("feature_learning_gap", found.error - network, final)
        yield Row("ntk_jitter", found.jitter, final)
    if kernel is not None:
        yield from _empirical(member, kernel, matched)


class _NTKError(NamedTuple):
    error: float
    jitter: float


class _Setting(NamedTuple):
    """What the closed-form predictor of a member depends on, apart from its number of training samples: the kernel, and
    in canonical form what y - f_0 depends on beside the draw (nothing, for true labels and a centred network)."""

    draw: str
    layer_rates: tuple[float, ...]
    targets: str


def _setting(member: MemberData) -> _Setting:
    training, model = member.training_spec, member.model_spec
    labels = [member.seed, training["labels"], training.get("label_noise", 0), training[SIZE]]
    permuted = None if labels_are_true(training) else labels
    initial = None if model["centered"] else [member.seed, model, training["precision"]]
    draw = member.dataset.fingerprint(member.seed)
    return _Setting(draw, _layer_rates(member), canonical([permuted, initial]))


def _layer_rates(member: MemberData) -> tuple[float, ...]:
    """What the NTK of each layer counts in that of the network, relative to the readout's (see `relu_ntk`)."""
    model = member.model_spec
    inputs = math.prod(member.split("test").inputs.shape[1:])
    first = inputs / model["width"] if model["parametrization"] == "standard" else 1.0
    return (first, *[1.0] * model["hidden_layers"])


@lru_cache(maxsize=1024)
def _ntk_errors(run: TrainedRun, dataset: Dataset, setting: _Setting) -> dict[int, _NTKError]:
    """The errors of the closed-form predictor by training-set size, for all members of a run that share a setting.

    Training sets are the first samples of one draw, so one kernel and one factorisation serve all sizes. What is added
    to the diagonal is a property of the draw, and round-off apart no size's result depends on which others there are:
    should a factorisation need more than that, every size gets one of its own.
    """
    trained = (MemberData(name, run, dataset) for name in run.members if run.status(name) != "diverged")
    members = {member.training_spec[SIZE]: member for member in trained if _setting(member) == setting}
    errors = _nested_errors([members[size] for size in sorted(members)])
    if any(found.jitter > JITTER for found in errors.values()):
        return {size: _nested_errors([member])[size] for size, member in members.items()}
    return errors


def _nested_errors(members: list[MemberData]) -> dict[int, _NTKError]:
    """Of members whose training sets contain one another, the largest last."""
    largest = members[-1]
    rates = _layer_rates(largest)
    layers = len(rates) - 1
    train, test = largest.train, largest.split("test")
    truth = test.targets.double().numpy()
    unit = float(relu_ntk_diagonal(largest.split("train").inputs, hidden_layers=layers, layer_rates=rates).mean())
    curve = learning_curve(
        relu_ntk(train.inputs, hidden_layers=layers, layer_rates=rates),
        train.targets.double().numpy() - _initial_outputs(largest, train.inputs),
        relu_ntk(train.inputs, test.inputs, hidden_layers=layers, layer_rates=rates).T,
        truth - _initial_outputs(largest, test.inputs),
        [member.training_spec[SIZE] for member in members],
        ridge=JITTER * unit,
        jitter=0.0,
        overwrite=True,
    )
    errors = curve.errors.mean(axis=1) / target_variance(truth)
    return {
        size: _NTKError(error, JITTER + curve.jitter)
        for size, error in zip(curve.sizes.tolist(), errors.tolist(), strict=True)
    }


@torch.no_grad()
def _initial_outputs(member: MemberData, inputs: torch.Tensor) -> np.ndarray | float:
    """f_0, from which the NTK predictor starts, (n, outputs); 0 for a centred network."""
    return 0.0 if member.model_spec["centered"] else member.model(member.steps[0])(inputs.double()).numpy()


def _empirical(member: MemberData, kernel: str, matched: bool) -> Iterator[Row]:
    regression = stored_regression(member, kernel)
    if regression is None:
        return
    targets, test, final = member.train.targets.double().numpy(), regression.test, member.steps[-1]
    own, other = regression.blocks("initial")
    start, start_at_test = _initial_outputs(member, member.train.inputs), _initial_outputs(member, test.inputs)
    network = _network_error(member, test)
    found = {"empirical": kernel_regression(own, targets - start, other).predictions}
    if matched:
        loss = float(np.square(member.outputs(final, member.train.inputs).numpy() - targets).mean())
        found["matched"] = stopped_gradient_flow(own, targets - start, other, loss).predictions
    for name, predictions in found.items():
        error = regression_error(start_at_test + predictions, test).error
        yield Row(f"ntk_test_error_{name}", error, final)
        yield Row(f"test_error_ratio_{name}", network / error, final)
        yield Row(f"feature_learning_gap_{name}", error - network, final)


def summarize(rows: Iterable[TableRow], epsilon: float, **_: object) -> Iterator[TableRow]:
    """``critical_dataset_size`` m* of each seed: where its ``test_error_ratio`` falls below ``epsilon`` for good, along the axis
    ``train_size``; infinite if it does not within the sizes trained. A seed of which a size diverged has none. With
    ``_empirical`` behind the name, the same of the ratio to the empirical NTK at the sizes that this kernel holds.
    """
    curves: dict[tuple[str, tuple], list[TableRow]] = {}
    incomplete: set[tuple] = set()
    for row in rows:
        if SIZE not in row:
            continue
        identity = {
            name: row[name] for name in row if name not in (SIZE, "value", "step", "stage", "status", "layer", "metric")
        }
        if row["status"] == "diverged":
            incomplete.add(tuple(identity.items()))
        elif row["metric"] in CRITICAL:
            curves.setdefault((row["metric"], tuple(identity.items())), []).append(row)
    for (ratio, key), curve in curves.items():
        sizes, ratios = [row[SIZE] for row in curve], [row["value"] for row in curve]
        size = math.nan if key in incomplete else critical_dataset_size(sizes, ratios, epsilon)
        yield {**dict(key), "layer": "", "metric": CRITICAL[ratio], "value": size}


def _network_error(member: MemberData, test: Split) -> float:
    """Of the trained network, relative to the variance of the targets."""
    return regression_error(member.outputs(member.steps[-1], test.inputs).numpy(), test).error
