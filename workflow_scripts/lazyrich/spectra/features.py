"""Eigendecomposition of K = Phi Phi^T from the side of the features, the cheaper one if they are fewer than the samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lazyrich.spectra.decomposition import Eigendecomposition, assess
from lazyrich.spectra.dense import check_size, dense_eigenpairs
from lazyrich.spectra.symmetric import as_tensor, bands, largest_finite, unit_roundoff

#: Eigenvalues below this share of the largest are round-off of a Gram matrix, and their eigenvectors arbitrary.
CUTOFF = 1e-8
BAND_BYTES = 2**28


def eigendecompose_features(
    features: Any, k: int | None = None, *, device: torch.device | None = None
) -> Eigendecomposition:
    """Leading eigenpairs of K = Phi Phi^T, (n, n), for features Phi (n, p), without K.

    With Phi^T Phi = U diag(values) U^T the eigenvectors of K are v_i = Phi u_i / sqrt(values_i): O(n p^2 + p^3)
    operations and p^2 + band memory; Phi is read in bands of rows, four times in all. With p >= n the n x n side is
    decomposed instead.

    Args:
        features: (n, p) numpy array, torch tensor, or anything with `shape`, `dtype` and slices ``Phi[i:j]``.
        k: eigenpairs wanted, at least 1; None means all. Those below 1e-8 of the largest eigenvalue are left out in any
            case, as their eigenvectors would be round-off.
        device: where to compute; the CPU by default.

    Returns:
        At most min(n, p) pairs, of method "features". The other eigenvalues of K are 0 to 1e-8 of the largest.

    Raises:
        ValueError: if Phi is not (n, p), vanishes or is not finite; if k is less than 1; if min(n, p) is above 32,766.

    Source: Nam et al., arXiv 2410.04264 (feature operator on a finite sample).
    """
    shape = tuple(features.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"features have shape {shape}; expected (n, p), one row a sample")
    if k is not None and k < 1:
        raise ValueError(f"k={k} eigenpairs were asked for; give at least 1, or None for all")
    check_size(min(shape))
    product = GramProduct(features, device or torch.device("cpu"))
    values, rotation, remarks = dense_eigenpairs(product.small)
    largest = float(values[0])
    if not largest > 0:
        raise ValueError("the features vanish on all samples, so the kernel has no eigenvectors")
    kept = min(int((values > CUTOFF * largest).sum()), len(values) if k is None else k)
    least = float(values[-1]) if len(product.small) == product.n else 0.0
    vectors = (
        rotation[:kept] if product.samples_side else product.to_samples(rotation[:kept]) / values[:kept, None].sqrt()
    )
    return assess(product, values[:kept], vectors, "features", least=least, remarks=remarks)


class GramProduct:
    """X -> X Phi Phi^T, in float64, for features Phi (n, p) that are read in bands; as `SymmetricProduct`."""

    def __init__(self, features: Any, device: torch.device) -> None:
        self._features = features
        self.n, self._p = features.shape
        self.device = features.device if isinstance(features, Tensor) else device
        self.unit_roundoff = unit_roundoff(features)
        self.samples_side = self._p >= self.n
        self.passes = 0
        self.small = self._gram()
        self.trace = float(self.small.diagonal().sum())
        self.norm = float(torch.linalg.vector_norm(self.small))

    def __call__(self, X: Tensor) -> Tensor:
        if self.samples_side:
            self.passes += 1
            return X @ self.small
        self.passes += 1
        total = torch.zeros((len(X), self._p), dtype=torch.float64, device=self.device)
        for part, band in self._bands():
            total.addmm_(X[:, part], band)
        return self.to_samples(total)

    def to_samples(self, rows: Tensor) -> Tensor:
        """rows Phi^T, (b, n), of rows (b, p)."""
        self.passes += 1
        out = torch.empty((len(rows), self.n), dtype=torch.float64, device=self.device)
        for part, band in self._bands():
            out[:, part] = rows @ band.T
        return out

    def _gram(self) -> Tensor:
        """Phi^T Phi (p, p), or Phi Phi^T (n, n) if that is not larger; exactly symmetric."""
        self.passes += 1
        if self.samples_side:
            whole = as_tensor(self._features[:]).to(self.device, torch.float64)
            gram = whole @ whole.T
        else:
            gram = torch.zeros((self._p, self._p), dtype=torch.float64, device=self.device)
            for _, band in self._bands():
                gram.addmm_(band.T, band)
        largest_finite(gram)
        return (gram + gram.T) / 2

    def _bands(self) -> Iterator[tuple[slice, Tensor]]:
        for start, stop in bands(self._features, self.n, 8 * self._p, BAND_BYTES):
            yield slice(start, stop), as_tensor(self._features[start:stop]).to(self.device, torch.float64)
