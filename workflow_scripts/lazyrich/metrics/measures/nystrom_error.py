"""The error of the Nystrom method against the number of landmarks, with its time."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import torch

from lazyrich.kernels.features import conjugate_kernel
from lazyrich.metrics.member import MemberData, Row
from lazyrich.metrics.spectral_errors import SampledSpectrum, spectral_errors
from lazyrich.spectra.dense import dense_eigenpairs
from lazyrich.spectra.nystrom import low_rank_eigenpairs, nystrom_eigenfunctions

Estimator = Callable[[np.ndarray, np.ndarray, int], SampledSpectrum]


def measure(member: MemberData, kernel: str, landmarks: list[int], subsets: int, leading: int) -> Iterator[Row]:
    """At every checkpoint with a kernel, for the NTK ``kernel`` and the conjugate kernel of the same n points, and for each number
    of ``landmarks`` (the rows' ``argument``), the mean over ``subsets`` random sets of landmarks of the errors of
    :func:`lazyrich.metrics.spectral_errors.spectral_errors`, for the ``leading`` eigenpairs, with eigenfunctions compared at the
    points that are no landmarks:

    - ``ntk_nystrom_<error>``, ``conjugate_kernel_nystrom_<error>``: of the eigenvalues on the landmarks, times n over their number,
      and the eigenfunctions extended from them;
    - ``ntk_nystrom_low_rank_<error>``, ``conjugate_kernel_nystrom_low_rank_<error>``: of the eigenpairs of K_nm K_mm^+ K_mn.

    ``..._seconds`` are the times of the decompositions, without those of the kernel's entries; ``ntk_exact_seconds`` and
    ``conjugate_kernel_exact_seconds`` those of the dense one. The exact spectrum is that of the n points, which themselves are a
    sample. At initialisation the output of a centred network is 0, and there is no utility. Source: the open question of Nam et
    al., arXiv 2410.04264, how many samples its eigenfunctions need.
    """
    points = _points(member, kernel)
    targets = torch.cat([split.targets for split in points]).double().numpy()
    inputs = torch.cat([split.inputs for split in points]).double()
    if min(landmarks) < leading or max(landmarks) + leading > len(inputs):
        raise ValueError(
            f"landmarks {landmarks} of {len(inputs)} points: {leading} eigenfunctions need at least as many landmarks, and as "
            f"many other points to be compared at; take from {leading} to {len(inputs) - leading}"
        )
    for stage, step in member.kernel_stages(kernel).items():
        outputs = member.outputs(step, inputs).numpy() if step > 0 else None
        conjugate = conjugate_kernel(member.model(step), inputs).numpy()
        for name, matrix in (("ntk", member.kernel(kernel, stage)), ("conjugate_kernel", conjugate)):
            K = np.asarray(matrix, dtype=np.float64)
            exact, seconds = _timed(_exact, K, np.arange(len(K)), leading)
            yield Row(f"{name}_exact_seconds", seconds, step)
            generator = member.generator(f"landmarks in {len(K)} points")
            for count in landmarks:
                chosen = [generator.permutation(len(K))[:count] for _ in range(subsets)]
                for kind, estimator in (("nystrom", _extension), ("nystrom_low_rank", _low_rank)):
                    found = [_errors(estimator, K, exact, subset, targets, outputs) for subset in chosen]
                    for quantity in found[0]:
                        average = np.median if quantity == "seconds" else np.mean
                        value = float(average([errors[quantity] for errors in found]))
                        yield Row(f"{name}_{kind}_{quantity}", value, step, argument=count)


def _points(member: MemberData, kernel: str) -> list:
    """The points of the rows of a kernel, split by split."""
    rows = member.kernels[kernel].manifest["spec"]["rows"]
    return [member.split(name).take(slice(count)) for name, count in rows.items()]


def _errors(
    estimator: Estimator,
    K: np.ndarray,
    exact: SampledSpectrum,
    landmarks: np.ndarray,
    targets: np.ndarray,
    outputs: np.ndarray | None,
) -> dict[str, float]:
    leading = exact.functions.shape[1]
    estimate, seconds = _timed(estimator, K, landmarks, leading)
    held_out = np.delete(np.arange(len(K)), landmarks)
    return {**spectral_errors(exact, estimate, held_out, targets, outputs), "seconds": seconds}


def _timed(estimator: Estimator, K: np.ndarray, landmarks: np.ndarray, leading: int) -> tuple[SampledSpectrum, float]:
    start = time.perf_counter()
    found = estimator(K, landmarks, leading)
    return found, time.perf_counter() - start


def _exact(K: np.ndarray, landmarks: np.ndarray, leading: int) -> SampledSpectrum:
    values, rows, _ = dense_eigenpairs(torch.from_numpy(K))
    return SampledSpectrum(values.numpy(), rows[:leading].T.numpy())


def _extension(K: np.ndarray, landmarks: np.ndarray, leading: int) -> SampledSpectrum:
    found = nystrom_eigenfunctions(K[np.ix_(landmarks, landmarks)])
    functions = K[:, landmarks] @ found.coefficients[:, :leading]
    return SampledSpectrum(len(K) * found.values, functions)


def _low_rank(K: np.ndarray, landmarks: np.ndarray, leading: int) -> SampledSpectrum:
    columns = torch.from_numpy(K[:, landmarks])
    values, vectors, _ = low_rank_eigenpairs(columns, columns[landmarks])
    return SampledSpectrum(values.numpy(), vectors[:, :leading].numpy())
