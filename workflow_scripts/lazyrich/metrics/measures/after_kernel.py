"""How much better kernel regression with the network's own kernel does after training than at initialisation."""

from collections.abc import Iterator

import numpy as np

from lazyrich.kernels.regression import KernelRegression, kernel_regression
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.regression_errors import RegressionError, regression_error
from lazyrich.metrics.stored_regression import stored_regression


def measure(member: MemberData, kernels: list[str]) -> Iterator[Row]:
    """Kernel regression mu(x) = K_t(x, X) [K_t(X, X) + jitter I]^-1 y with a kernel K_t of the network at checkpoint t: its NTK or its
    conjugate kernel, say. A direct measure of the quality of features: strength says that K_t has moved, this says whether it
    has become better at the task. For each of ``kernels``, with the kernel's name in the experiment:

    - ``<kernel>_regression_error`` at every checkpoint that it is stored at, relative to the variance of the test targets, and
      for classes ``<kernel>_regression_accuracy``; ``<kernel>_regression_jitter``, relative to the mean diagonal entry;
    - ``<kernel>_after_kernel_gain`` = E(K_initial) / E(K_final): above 1 if the features have become better;
    - ``<kernel>_network_ratio`` = E(network) / E(K_final): about 1 if the after-kernel is all that was learned.

    The regression starts from 0 and sees the training set of the network with its labels, the first m training points of the
    kernel; a kernel that holds fewer than that has no rows. All errors are taken on the test points that it holds. At
    initialisation the error of a centred network's NTK is `ntk_test_error_empirical` of ``feature_learning_gap``. A kernel that
    is 0, of a network whose hidden units have all died, predicts 0.

    Source: Long, arXiv 2105.10585 (after-kernel); Goring et al., arXiv 2507.19680 (quality against strength).
    """
    for kernel in kernels:
        yield from _regressions(member, kernel)


def _regressions(member: MemberData, kernel: str) -> Iterator[Row]:
    regression = stored_regression(member, kernel)
    if regression is None:
        return
    targets, test = member.train.targets.double().numpy(), regression.test
    found: dict[str, RegressionError] = {}
    for stage, step in member.kernel_stages(kernel).items():
        own, other = regression.blocks(stage)
        dead = KernelRegression(np.zeros((len(other), targets.shape[1])), 0.0)
        fit = kernel_regression(own, targets, other) if own.any() else dead
        found[stage] = regression_error(fit.predictions, test)
        yield Row(f"{kernel}_regression_error", found[stage].error, step)
        yield Row(f"{kernel}_regression_jitter", fit.jitter, step)
        accuracy = found[stage].accuracy
        if accuracy is not None:
            yield Row(f"{kernel}_regression_accuracy", accuracy, step)
    if "final" not in found:
        return
    final = member.steps[-1]
    network = regression_error(member.outputs(final, test.inputs).numpy(), test)
    yield Row(f"{kernel}_network_ratio", network.error / found["final"].error, final)
    if "initial" in found:
        yield Row(f"{kernel}_after_kernel_gain", found["initial"].error / found["final"].error, final)
