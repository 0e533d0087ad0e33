"""What every eigendecomposition of this package returns: eigenpairs, and the numbers that tell how far to trust them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lazyrich.devices import describe
from lazyrich.spectra.symmetric import Product

#: An eigenvalue below zero by more than this many units of round-off of the largest, in the type that K is stored in, or
#: by n units in float64, in which it is decomposed, is no round-off of a positive semi-definite kernel.
NEGATIVE_UNITS = 10


@dataclass(frozen=True)
class Eigendecomposition:
    """Leading eigenpairs of a symmetric (n, n) matrix K and the quality of the answer.

    Attributes:
        values: (k,), descending, in the units of K; round-off below zero is left as it is.
        vectors: (n, k), unit columns; the largest entry of each is positive.
        method: "dense", "lanczos", "randomized", "features" or "nystrom".
        residual: ||K V - V diag(values)||_F / ||K||_F.
        errors: (k,), ||K v_i - values_i v_i||, in the units of K: some eigenvalue of K lies within errors[i] of
            values[i].
        orthogonality: max |V^T V - I|.
        trace: of K itself.
        captured: sum of `values` over `trace`.
        most_negative: the least eigenvalue of all n where `most_negative_error` is 0; else the least Ritz value, which
            is never below the least eigenvalue: if it is negative, so is an eigenvalue.
        most_negative_error: residual norm of that Ritz value; an eigenvalue lies within this of `most_negative`.
        positive_semidefinite: False if `most_negative` is further below zero than round-off explains.
        converged: False if an iteration ended before its tolerance was met; `errors` say how far it came.
        passes: how often all of K was read.
        device: where it was computed, in words.
        remarks: sentences on what a reader must know; empty if all is well.
    """

    values: NDArray[np.float64]
    vectors: NDArray[np.float64]
    method: str
    residual: float
    errors: NDArray[np.float64]
    orthogonality: float
    trace: float
    captured: float
    most_negative: float
    most_negative_error: float
    positive_semidefinite: bool
    converged: bool
    passes: int
    device: str
    remarks: tuple[str, ...]

    @property
    def quality(self) -> dict[str, Any]:
        """All but the eigenpairs, as plain numbers and words."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("values", "vectors", "errors"):
            del plain[name]
        return {**plain, "largest_error": float(self.errors.max(initial=0.0)), "remarks": list(self.remarks)}


def assess(
    product: Product,
    values: Tensor,
    vectors: Tensor,
    method: str,
    *,
    least: float,
    least_error: float = 0.0,
    converged: bool = True,
    remarks: tuple[str, ...] = (),
) -> Eigendecomposition:
    """The eigenpairs (k,) and (k, n), vectors in rows, with their quality measured against K, at the cost of one pass."""
    vectors = vectors * _signs(vectors)[:, None]
    difference = product(vectors)
    difference -= values[:, None] * vectors
    errors = torch.linalg.vector_norm(difference, dim=1)
    overlap = vectors @ vectors.T
    overlap.diagonal().sub_(1.0)
    largest = max(abs(least), float(values.abs().max())) if len(values) else abs(least)
    roundoff = max(NEGATIVE_UNITS * product.unit_roundoff, product.n * torch.finfo(torch.float64).eps)
    indefinite = least < -roundoff * largest
    if indefinite:
        remarks += (
            f"the matrix is not positive semi-definite: an eigenvalue lies at or below {least:.6g} (largest "
            f"{largest:.6g}), more than round-off explains; look at how the kernel was computed, or use float64",
        )
    if not converged:
        remarks += (
            f"{method} ended after {product.passes} passes before its tolerance was met: eigenvalues are off by up to "
            f"{float(errors.max()):.3g}; allow more passes",
        )
    return Eigendecomposition(
        values=values.cpu().numpy(),
        vectors=np.ascontiguousarray(vectors.T.cpu().numpy()),
        method=method,
        residual=float(torch.linalg.vector_norm(errors)) / product.norm if product.norm > 0 else 0.0,
        errors=errors.cpu().numpy(),
        orthogonality=float(overlap.abs().max()) if len(values) else 0.0,
        trace=product.trace,
        captured=float(values.sum()) / product.trace if product.trace != 0 else float("nan"),
        most_negative=least,
        most_negative_error=least_error,
        positive_semidefinite=not indefinite,
        converged=converged,
        passes=product.passes,
        device=describe(vectors.device),
        remarks=remarks,
    )


def _signs(rows: Tensor) -> Tensor:
    """+1 or -1 for each row, that of its entry of largest magnitude."""
    largest = torch.gather(rows, 1, rows.abs().argmax(dim=1, keepdim=True))[:, 0]
    return torch.where(largest < 0, -1.0, 1.0).to(rows)
