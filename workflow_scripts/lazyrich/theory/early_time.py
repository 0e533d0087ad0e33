"""The centered neural feature ansatz (C-NFA) at the start of training, from the network at initialisation.

Notation as in `lazyrich.metrics.ansatz`, for a layer h = W x of a network f with outputs c = 1, ..., C, on samples
a = 1, ..., n: residuals r_ac = y_ac - f_0,c(x_a), and gradients grad_h f_c(x_a), all at initialisation. Gradient flow on
the squared error (up to the factor 2/C of the mean over outputs, to which correlations are blind) starts with

    Wdot = (1/n) sum_a sum_c r_ac grad_h f_c(x_a) x_a^T,

so Wbar = t Wdot + O(t^2), K = K_0 + O(t), and

    C-NFA(t -> 0+) = rho(Wdot^T Wdot, Wdot^T K_0 Wdot),    K_0 = (1/n) sum_a sum_c grad_h f_c(x_a) grad_h f_c(x_a)^T.

With the samples' gradients as the rows of Gamma, (nC, fan_out), the inputs x_a, each C times, as the rows of X, and
R = diag(r_ac), Wdot = (1/n) Gamma^T R X and K_0 = (1/n) Gamma^T Gamma. So in terms of P = Gamma Gamma^T, the pre-activation
tangent kernel between all pairs (sample, output), C-NFA(t -> 0+) = rho(X^T R P R X, X^T R P^2 R X): of one output n x n.

Nothing else is assumed of network, data or loss: of any loss that is a mean over samples, r is less the gradient of a
sample's loss at the outputs. The optimiser must follow the gradient, as gradient descent and the first step of momentum
do; Adam and weight decay do not.

Source: Beaglehole, Mitliagkas and Agarwala, arXiv 2402.05271, for C = 1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lazyrich.metrics.ansatz import uncentered_correlation
from lazyrich.metrics.feature_matrices import feature_moments
from lazyrich.metrics.matrix_correlation import cosine
from lazyrich.models.evaluation_mode import evaluation_mode


def early_time_correlation(
    model: nn.Module, x: Tensor, residuals: Tensor, layers: Sequence[nn.Linear], batch_size: int = 1024
) -> list[float]:
    """C-NFA(t -> 0+) = rho(Wdot^T Wdot, Wdot^T K_0 Wdot) of each layer, a cosine in [0, 1].

    NaN where it is 0/0: where all residuals vanish, or all gradients. Arguments and errors as for `weight_velocities`; the
    gradients of `lazyrich.metrics.feature_matrices.layer_gradients` give K_0, so what that refuses is refused here.
    """
    velocities = weight_velocities(model, x, residuals, layers, batch_size)
    moments = feature_moments(model, x, layers, batch_size)
    return [
        uncentered_correlation(velocity, moment.covariance)
        for velocity, moment in zip(velocities, moments, strict=True)
    ]


def early_time_correlation_from_kernel(kernel: ArrayLike, inputs: ArrayLike, residuals: ArrayLike) -> float:
    """C-NFA(t -> 0+) = rho(X^T R P R X, X^T R P^2 R X): the same number from the pre-activation tangent kernel.

    It costs n^2 memory where `early_time_correlation` costs none, and needs no network.

    Args:
        kernel: P, (n C, n C), of the gradients summed over nothing: entry (a C + c, b C + e) is grad_h f_c(x_a) . grad_h
            f_e(x_b). For C = 1 it is `lazyrich.kernels.preactivation.preactivation_tangent_kernel`.
        inputs: (n, fan_in), what enters the layer.
        residuals: (n, C), or (n,) for one output.

    Raises:
        ValueError: if the shapes do not fit.
    """
    P, X, r = (np.asarray(part, dtype=np.float64) for part in (kernel, inputs, residuals))
    if X.ndim != 2 or r.ndim not in (1, 2) or len(r) != len(X) or P.shape != (r.size, r.size):
        raise ValueError(
            f"kernel {P.shape}, inputs {X.shape} and residuals {r.shape} do not fit; expected (n C, n C), (n, fan_in) and (n, C)"
        )
    weighted = r.reshape(-1, 1) * X.repeat(r.size // len(X), axis=0)
    moved = P @ weighted
    return cosine(weighted.T @ moved, moved.T @ moved)


def weight_velocities(
    model: nn.Module, x: Tensor, residuals: Tensor, layers: Sequence[nn.Linear], batch_size: int = 1024
) -> list[NDArray[np.float64]]:
    """Wdot = (1/n) sum_a sum_c r_ac grad_W f_c(x_a) of each layer, (fan_out, fan_in), float64; one backward pass a batch.

    W is the effective weight, multiplier times what is trained. Gradient flow of the latter moves the former by Wdot times
    the square of the multiplier.

    Args:
        model: module from (n, ...) to (n, C) or (n,), at initialisation; its mode is put back afterwards, its gradients are
            not touched.
        x: (n, ...) on the model's device; all samples that are trained on.
        residuals: r, (n, C) or (n,), in the units of the targets.
        layers: `nn.Linear` submodules of `model` with trainable weights.
        batch_size: samples in one pass.

    Raises:
        ValueError: if there are no samples, the residuals are not of the shape of the outputs, or a layer is not a trainable
            linear submodule of `model`.
    """
    if len(x) == 0 or batch_size < 1:
        raise ValueError(f"{len(x)} samples in batches of {batch_size}: both must be at least 1")
    if len(residuals) != len(x):
        raise ValueError(f"{len(residuals)} residuals for {len(x)} samples")
    own = set(model.modules())
    for layer in layers:
        if not isinstance(layer, nn.Linear) or layer not in own or not layer.weight.requires_grad:
            raise ValueError(f"{layer} is not a trainable nn.Linear inside {type(model).__name__}")
    weights = [layer.weight for layer in layers]
    totals = [torch.zeros(weight.shape, dtype=torch.float64, device=weight.device) for weight in weights]
    for batch, r in zip(x.split(batch_size), residuals.reshape(len(x), -1).split(batch_size), strict=True):
        with evaluation_mode(model), torch.enable_grad():
            outputs = model(batch).reshape(len(batch), -1)
            if outputs.shape != r.shape:
                raise ValueError(f"residuals {tuple(residuals.shape)} for {outputs.shape[1]} outputs a sample")
            gradients = torch.autograd.grad(
                (outputs * r.to(outputs)).sum(), weights, allow_unused=True, materialize_grads=True
            )
        for total, gradient in zip(totals, gradients, strict=True):
            total += gradient
    return [
        (total / (len(x) * float(getattr(layer, "multiplier", 1.0)))).cpu().numpy()
        for total, layer in zip(totals, layers, strict=True)
    ]
