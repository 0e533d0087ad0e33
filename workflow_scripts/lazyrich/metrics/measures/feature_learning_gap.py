"""How much better a network does than the kernel regression with its initial NTK."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.regression import kernel_regression
from lazyrich.metrics.crossing import critical_dataset_size
from lazyrich.metrics.member import MemberData, Row, TableRow

#: The axis along which the critical size is read.
SIZE = "train_size"


def measure(member: MemberData, closed_form: bool, kernel: str | None, epsilon: float) -> Iterator[Row]:
    """Test error of the NTK predictor mu(x) = K(x, X) K(X, X)^-1 y, relative to the variance of the test targets, and the gap to it.

    - ``ntk_test_error``, ``test_error_ratio`` = E(network)/E(NTK), ``feature_learning_gap`` = E(NTK) - E(network), with the
      infinite-width NTK in closed form (bias-free ReLU MLPs), if ``closed_form``.
    - the same with ``_empirical`` behind the name, with the stored empirical NTK ``kernel`` at initialisation, where it holds as many
      training points as the network saw; both errors are then taken on the test points that it holds.
    - ``ntk_jitter``: what was added to the diagonal, relative to its mean.

    ``epsilon`` is the ratio that defines the critical size (see :func:`summarize`). Source: Goring et al., arXiv 2507.19680.
    """
    final = member.steps[-1]
    targets = member.train.targets.double().numpy()
    test = member.split("test")
    truth = test.targets.double().numpy()
    network = _relative_error(member.outputs(final, test.inputs).numpy(), truth)
    if closed_form:
        inputs = member.train.inputs.flatten(1)
        layers = member.model_spec["hidden_layers"]
        fit = kernel_regression(
            relu_ntk(inputs, hidden_layers=layers),
            targets,
            relu_ntk(test.inputs.flatten(1), inputs, hidden_layers=layers),
            overwrite=True,
        )
        error = _relative_error(fit.predictions, truth)
        yield Row("ntk_test_error", error, final)
        yield Row("test_error_ratio", network / error, final)
        yield Row("feature_learning_gap", error - network, final)
        yield Row("ntk_jitter", fit.jitter, final)
    if kernel is not None:
        yield from _empirical(member, kernel, targets)


def _empirical(member: MemberData, kernel: str, targets: np.ndarray) -> Iterator[Row]:
    size, held = len(targets), member.kernels[kernel].manifest["spec"]
    if (held.get("columns") or held["rows"]).get("train", 0) < size:
        return
    tested, final = held["rows"]["test"], member.steps[-1]
    test = member.split("test").take(slice(tested))
    truth = test.targets.double().numpy()
    fit = kernel_regression(
        member.kernel(kernel, "initial", {"train": size}, {"train": size}), targets,
        member.kernel(kernel, "initial", {"test": tested}, {"train": size}),
    )  # fmt: skip
    error = _relative_error(fit.predictions, truth)
    network = _relative_error(member.outputs(final, test.inputs).numpy(), truth)
    yield Row("ntk_test_error_empirical", error, final)
    yield Row("test_error_ratio_empirical", network / error, final)
    yield Row("feature_learning_gap_empirical", error - network, final)


def summarize(rows: Iterable[TableRow], epsilon: float, **_: object) -> Iterator[TableRow]:
    """``critical_dataset_size`` m* of each seed: where its ``test_error_ratio`` falls below ``epsilon`` for good, along the axis
    ``train_size``; infinite if it does not within the sizes trained. A seed of which a size diverged has none.
    """
    curves: dict[tuple, list[TableRow]] = {}
    incomplete: set[tuple] = set()
    for row in rows:
        if SIZE not in row:
            continue
        identity = {
            name: row[name] for name in row if name not in (SIZE, "value", "step", "stage", "status", "layer", "metric")
        }
        if row["status"] == "diverged":
            incomplete.add(tuple(identity.items()))
        elif row["metric"] == "test_error_ratio":
            curves.setdefault(tuple(identity.items()), []).append(row)
    for key, curve in curves.items():
        sizes, ratios = [row[SIZE] for row in curve], [row["value"] for row in curve]
        size = math.nan if key in incomplete else critical_dataset_size(sizes, ratios, epsilon)
        yield {**dict(key), "layer": "", "metric": "critical_dataset_size", "value": size}


def _variance(truth: np.ndarray) -> float:
    return float(truth.var(axis=0).mean())


def _relative_error(predictions: np.ndarray, truth: np.ndarray) -> float:
    return float(np.square(predictions - truth).mean()) / _variance(truth)
