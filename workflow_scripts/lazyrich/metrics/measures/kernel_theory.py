"""What the initial kernel and the task say beforehand of the learning curve of kernel regression, and what it is."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from lazyrich import seeding
from lazyrich.datasets.reading import Dataset, Split
from lazyrich.kernels.closed_form import relu_ntk
from lazyrich.kernels.regression import kernel_regression
from lazyrich.metrics.kernel_theory import power_spectrum, predicted_learning_curve
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.power_law import power_law_exponent
from lazyrich.metrics.regression_errors import target_variance
from lazyrich.spectra.dense import dense_eigenpairs
from lazyrich.training.reading import TrainedRun

#: Added to the diagonal, relative to its mean over the pool.
JITTER = 1e-6
#: Modes per factor of ten at which the cumulative power is told.
MODES_PER_DECADE = 8


class Options(NamedTuple):
    """The options of :func:`measure` apart from the kernel and its points."""

    sizes: tuple[int, ...]
    subsets: int
    window: tuple[int, int]


def measure(
    member: MemberData, kernel: str | None, points: int, sizes: list[int], subsets: int, window: list[int]
) -> Iterator[Row]:
    """Of the kernel K on a pool of N points with their true targets, whatever labels the network saw:

    - ``kernel_cumulative_power`` C(k), the share of the targets in the first k eigenvectors of K (argument k): low for long if
      the kernel is ill-suited to the task;
    - ``kernel_predicted_error``, ``kernel_measured_error``: error of kernel regression with m of the points (argument m) on those
      it has not seen, relative to the variance of the targets, by theory from the eigenvalues and C, and as the mean over
      ``subsets`` random training sets. Sizes above N / 2 are left out;
    - ``kernel_exponent`` b and ``source_exponent`` s of eigenvalues ~ k^-b and of the power beyond k, 1 - C(k) ~ k^-s, over the
      modes of ``window`` (its end at most N / 4), with the ends of an interval, ``..._low`` and ``..._high``. Errors then fall as
      m^-min(s, 2b), where both are power laws;
    - ``kernel_theory_jitter``, the ridge of all this, relative to mean_i K_ii: 1e-6, or what the kernel needs to be positive.

    K is the stored ``kernel`` at initialisation on all its points, or without one the infinite-width NTK of a bias-free ReLU MLP of
    the model's ``hidden_layers``, whatever the network is, on the first ``points`` points of the training and then the test
    split; this is computed once for all members of a seed. All rows belong to step 0.

    The theory takes eigenfunctions for Gaussian, and those of the pool for the true ones. With the closed form of 2 layers it was
    within 3 % of what was measured for staircases in 20 dimensions, and within 5 % for digits and multi-index targets at sizes up
    to N / 8; at N / 2 it was too low by 14 % and 25 %, less with a larger pool. For chain monomials of 8 Gaussian coordinates,
    whose norms and targets scatter widely, it was too low by up to a half.

    Source: Canatar, Bordelon and Pehlevan, Nature Communications 12 (2021) 2914; Goring et al., arXiv 2507.19680.
    """
    options = Options(tuple(sorted(sizes)), subsets, (window[0], window[1]))
    if kernel is None:
        layers = member.model_spec["hidden_layers"]
        yield from _of_closed_form(member.run, member.dataset, member.experiment, member.seed, layers, points, options)
        return
    held = member.kernels[kernel].manifest["spec"]["rows"]
    pool = [member.split(name).take(slice(count)) for name, count in held.items()]
    yield from rows(member.kernel(kernel, "initial"), _targets(pool), options, member.generator("kernel theory"))


@lru_cache(maxsize=256)
def _of_closed_form(
    run: TrainedRun,
    dataset: Dataset,
    experiment: str,
    seed: int,
    hidden_layers: int,
    points: int,
    options: Options,
) -> tuple[Row, ...]:
    pool = [dataset.split(seed, name) for name in ("train", "test")]
    inputs = torch.cat([split.inputs for split in pool])[:points]
    generator = seeding.numpy_generator(experiment, seed, "kernel theory")
    K = relu_ntk(inputs, hidden_layers=hidden_layers)
    return tuple(rows(K, _targets(pool)[:points], options, generator))


def _targets(pool: Sequence[Split]) -> np.ndarray:
    return torch.cat([split.targets for split in pool]).double().numpy()


def rows(K: np.ndarray, targets: np.ndarray, options: Options, generator: np.random.Generator) -> Iterator[Row]:
    """The rows of a kernel (N, N) and targets (N, outputs)."""
    K = np.asarray(K, dtype=np.float64)
    count, unit, variance = len(K), float(K.diagonal().mean()), target_variance(targets)
    found, vectors, _ = dense_eigenpairs(torch.from_numpy(K))
    values = found.numpy()
    power = power_spectrum(vectors.numpy().T, targets)
    # A principal submatrix has no eigenvalue below the least of the whole.
    ridge = max(JITTER * unit, -2 * float(values[-1]))
    yield Row("kernel_theory_jitter", ridge / unit, 0)

    cumulative = np.cumsum(power) / power.sum()
    grid = 10 ** (np.arange(MODES_PER_DECADE * np.log10(count)) / MODES_PER_DECADE)
    for k in np.unique(np.append(grid.round().astype(int), count)).tolist():
        yield Row("kernel_cumulative_power", float(cumulative[k - 1]), 0, argument=k)

    sizes = [size for size in options.sizes if 2 * size <= count]
    predicted = predicted_learning_curve(values / count, power, sizes, ridge=ridge, pool=count).errors / variance
    for size, error in zip(sizes, predicted.tolist(), strict=True):
        yield Row("kernel_predicted_error", error, 0, argument=size)
        errors = [_error(K, targets, generator.permutation(count), size, ridge) for _ in range(options.subsets)]
        yield Row("kernel_measured_error", float(np.mean(errors)) / variance, 0, argument=size)

    beyond = np.append(np.cumsum(power[::-1])[::-1][1:], 0.0)
    first, last = options.window[0], min(options.window[1], count // 4)
    for name, law in (("kernel_exponent", values), ("source_exponent", beyond)):
        if np.count_nonzero(law[first - 1 : last] > 0) > last - first > 2:
            fit = power_law_exponent(law, (first, last), generator=generator)
            yield Row(name, fit.exponent, 0)
            yield Row(f"{name}_low", fit.low, 0)
            yield Row(f"{name}_high", fit.high, 0)


def _error(K: np.ndarray, targets: np.ndarray, order: np.ndarray, size: int, ridge: float) -> float:
    """Mean squared error at the points after the first ``size`` in ``order``, from these."""
    seen, unseen = order[:size], order[size:]
    own, other = K[np.ix_(seen, seen)], K[np.ix_(unseen, seen)]
    fit = kernel_regression(own, targets[seen], other, ridge=ridge, jitter=0.0, overwrite=True)
    return float(np.square(fit.predictions - targets[unseen]).mean())
