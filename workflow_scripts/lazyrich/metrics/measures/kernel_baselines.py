"""How well kernels that know nothing of a network's training do on its training set."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from lazyrich.datasets.reading import Dataset, Split, labels_are_true
from lazyrich.fingerprints import canonical
from lazyrich.kernels.closed_form import relu_nngp, relu_ntk
from lazyrich.kernels.leave_one_out import leave_one_out_regression
from lazyrich.kernels.radial import laplace_kernel, median_bandwidth, rbf_kernel
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.regression_errors import RegressionError, regression_error
from lazyrich.training.reading import TrainedRun

#: Added to the diagonal, relative to its mean over the training set.
JITTER = 1e-6

#: Baseline -> the name of its rows. `ntk_test_error` is that of the metric `feature_learning_gap`, whose predictor starts from f_0.
NAMES = {"ntk": "ntk_closed", "nngp": "nngp", "rbf": "rbf", "laplace": "laplace"}
_RADIAL: dict[str, Callable[..., np.ndarray]] = {"rbf": rbf_kernel, "laplace": laplace_kernel}
_DEEP: dict[str, Callable[..., np.ndarray]] = {"ntk": relu_ntk, "nngp": relu_nngp}


def measure(
    member: MemberData, baselines: list[str], bandwidths: list[float], largest: int | None = None
) -> Iterator[Row]:
    """Test error of kernel regression mu(x) = K(x, X) [K(X, X) + 1e-6 mean_i K_ii I]^-1 y on the training set of the network,
    with its labels, relative to the variance of the test targets. For each of ``baselines``, with a name of ``ntk_closed``,
    ``nngp``, ``rbf`` or ``laplace``:

    - ``<name>_test_error``, and for classes ``<name>_test_accuracy``;
    - ``<name>_jitter``: what was added to the diagonal, relative to its mean, where 1e-6 was not enough;
    - ``rbf_bandwidth``, ``laplace_bandwidth``: that of ``bandwidths`` times the median distance of training points whose
      leave-one-out error on the training set is least. Test points have no part in the choice.

    ``ntk`` and ``nngp`` are the infinite-width kernels of a bias-free ReLU MLP of the model's ``hidden_layers`` on flattened
    inputs, whatever the network is. They are those of the network itself if it is a ReLU MLP: the NTK without biases and in
    ntk or mup alone, the NNGP always, as biases start at zero. For any other network (a CNN, another activation) they are
    baselines like the radial ones.

    Members with more than ``largest`` training points have no rows. What members share, a draw, a size and labels, is computed
    once for all of them. Source: the comparison with kernels in Goring et al., arXiv 2507.19680; Lee et al., arXiv 2007.15801,
    for these baselines.
    """
    step = member.steps[-1]
    if largest is not None and member.training_spec["train_size"] > largest:
        return
    for baseline in baselines:
        found = _shared(member.run, member.dataset, _setting(member), baseline, tuple(bandwidths))
        name = NAMES[baseline]
        yield Row(f"{name}_test_error", found.test.error, step)
        if found.test.accuracy is not None:
            yield Row(f"{name}_test_accuracy", found.test.accuracy, step)
        yield Row(f"{name}_jitter", found.jitter, step)
        if found.bandwidth is not None:
            yield Row(f"{name}_bandwidth", found.bandwidth, step)


class _Baseline(NamedTuple):
    test: RegressionError
    jitter: float
    bandwidth: float | None


def _setting(member: MemberData) -> str:
    """What a baseline depends on, in canonical form: not on the seed, where labels are true, nor on how the network trains."""
    training = member.training_spec
    permuted = [member.seed, training["labels"], training.get("label_noise", 0)]
    labels = None if labels_are_true(training) else permuted
    draw = member.dataset.fingerprint(member.seed)
    return canonical([draw, training["train_size"], labels, member.model_spec["hidden_layers"]])


@lru_cache(maxsize=4096)
def _shared(run: TrainedRun, dataset: Dataset, setting: str, baseline: str, bandwidths: tuple[float, ...]) -> _Baseline:
    """The baseline of all members of a run with one setting, from the data of the first of them."""
    member = next(
        found for found in (MemberData(name, run, dataset) for name in run.members) if _setting(found) == setting
    )
    train, test = member.train, member.split("test")
    if baseline in _DEEP:
        return _regression(_DEEP[baseline], train, test, {"hidden_layers": member.model_spec["hidden_layers"]})[1]
    median = median_bandwidth(train.inputs)
    tried = (
        _regression(_RADIAL[baseline], train, test, {"bandwidth": factor * median}) for factor in sorted(bandwidths)
    )
    return min(tried, key=lambda found: found[0])[1]


def _regression(
    kernel: Callable[..., np.ndarray], train: Split, test: Split, options: dict[str, float]
) -> tuple[float, _Baseline]:
    """The leave-one-out error on the training set, and what is told of the test points."""
    targets = train.targets.double().numpy()
    fit = leave_one_out_regression(kernel(train.inputs, **options), targets, jitter=JITTER, overwrite=True)
    predictions = kernel(test.inputs, train.inputs, **options) @ fit.weights
    found = _Baseline(regression_error(predictions, test), fit.jitter, options.get("bandwidth"))
    return float(np.square(fit.residuals).mean()), found
