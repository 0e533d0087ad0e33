"""Spectrum of the Fisher information (Gauss-Newton) matrix of a network, through its tangent kernel."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


def fisher_eigenvalues(kernel: ArrayLike | Tensor) -> NDArray[np.float64]:
    """The eigenvalues of F = (1/n) sum_a J_a^T J_a that can differ from zero: (nC,), descending.

    Args:
        kernel: (n, n, C, C), the full-output NTK K[a, b, c, d] = J_c(x_a) . J_d(x_b) of n samples and C outputs, as
            `lazyrich.kernels.empirical_ntk` gives it with ``outputs="full"``. J_a, (C, parameters), is the Jacobian of
            all outputs at x_a.

    F, (parameters, parameters), is never formed: with all J_a stacked into J, (nC, parameters), F = J^T J / n has the
    eigenvalues of the Gram matrix J J^T / n, (nC, nC), and zeros.

    This is the Fisher information of a Gaussian of unit variance around each output, and the Gauss-Newton part of the
    Hessian of the loss (1/2n) sum_a ||f(x_a) - y_a||^2; times 2/C, of the library's ``mse``, a mean over outputs. The
    Fisher of a softmax has diag(p_a) - p_a p_a^T between J_a^T and J_a, and is another matrix. The derivatives are by raw
    parameters: F scales as 1 / gamma^2, its shape does not see gamma.

    Raises:
        ValueError: if the kernel is not (n, n, C, C), or not finite.

    Source: Karakida, Akaho and Amari, arXiv 1806.01316 (the dual matrix); Jacot et al., arXiv 1806.07572.
    """
    values = _full_kernel(kernel)
    n, _, outputs, _ = values.shape
    gram = values.transpose(0, 2, 1, 3).reshape(n * outputs, n * outputs) / n
    return np.linalg.eigvalsh(gram)[::-1]


def fisher_output_traces(kernel: ArrayLike | Tensor) -> NDArray[np.float64]:
    """(1/n) sum_a ||J_c(x_a)||^2 of each output c, (C,), of the same kernel: they add up to tr F."""
    values = _full_kernel(kernel)
    return np.einsum("aacc->c", values) / len(values)


def _full_kernel(kernel: ArrayLike | Tensor) -> NDArray[np.float64]:
    array = kernel.detach().cpu().numpy() if isinstance(kernel, Tensor) else np.asarray(kernel)
    if array.ndim != 4 or array.shape[0] != array.shape[1] or array.shape[2] != array.shape[3] or array.size == 0:
        raise ValueError(
            f"the kernel has shape {array.shape}; expected (n, n, C, C), of the same n samples twice: "
            'compute it with outputs="full"'
        )
    if not np.isfinite(array).all():
        raise ValueError("the kernel has entries that are not finite; drop diverged members first")
    return array.astype(np.float64)
