"""Leading eigenpairs by block Krylov iteration (block Lanczos): K is used in products with blocks of vectors alone.

With a narrow block it is the Lanczos method, which takes the fewest multiplications; with a block wider than the number
of eigenpairs it is randomized block Krylov iteration, which takes the fewest passes over K and suits stores.

Source: Golub and Underwood, in Mathematical Software III (1977); Musco and Musco, NeurIPS 2015 (randomized start);
    Wu and Simon, SIAM J. Matrix Anal. Appl. 22, 602 (2000) (thick restart).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from lazyrich.spectra.symmetric import SymmetricProduct

#: Residuals below this share of the largest eigenvalue are round-off.
ROUNDOFF = 64 * torch.finfo(torch.float64).eps
#: A block whose pivots differ by more than this is orthogonalised once more, as QR has magnified its round-off.
WELL_CONDITIONED = 1e-2
#: Ritz values are looked at whenever the basis has grown by this factor; each look costs the cube of its size.
GROWTH = 1.1
#: Products with fresh random vectors after which a missed copy of an eigenvalue has shown itself.
CHECKS = 2


class RitzPairs(NamedTuple):
    """Approximate eigenpairs: values (k,) descending, vectors (k, n) in rows; and what is known of the lower end."""

    values: Tensor
    vectors: Tensor
    converged: bool
    least: float
    least_error: float


def leading_eigenpairs(
    product: SymmetricProduct, k: int, block: int, tolerance: float, max_passes: int, generator: torch.Generator
) -> RitzPairs:
    """The k largest eigenvalues of K and their eigenvectors, from at most `max_passes` products with K.

    Converged are pairs with ||K v - theta v|| <= tolerance theta, or at round-off; eigenvalues are then far closer, as
    their error is of the order of the square. A block narrower than k could miss copies of an eigenvalue of higher
    multiplicity than its width (kernels on a whole hypercube have such): fresh random vectors are added at the end, and
    the iteration goes on until they change nothing.

    Memory: a basis of at most max(4 k, 2 block) + 20 block vectors of length n; beyond, it is restarted.
    """
    basis = _Basis(product, min(product.n, max(4 * k, 2 * block) + 20 * block), generator)
    basis.start(block)
    due, accepted = min(k + block, product.n), None
    for _ in range(max_passes):
        basis.extend(keep=k)
        if basis.size < due and not basis.full:
            continue
        values, residuals, coefficients = basis.ritz(k)
        due = int(GROWTH * basis.size)
        allowed = torch.clamp(tolerance * values.abs(), min=ROUNDOFF * float(values.abs().max()))
        if not bool((residuals <= allowed).all()):
            continue
        unchanged = accepted is not None and bool((values - accepted <= allowed).all())
        if block >= k or basis.whole or unchanged:
            return RitzPairs(values, coefficients @ basis.vectors, True, *basis.least)
        accepted = values
        basis.add_random(block)
        due = min(basis.size + CHECKS * basis.pending, product.n)
    values, _, coefficients = basis.ritz(min(k, basis.size))
    return RitzPairs(values, coefficients @ basis.vectors, False, *basis.least)


class _Basis:
    """An orthonormal basis Q (m, n), in rows, with H = Q K Q^T, and the next block X (b, n), orthonormal to it, for which
    K Q^T = Q^T H + X^T R: R (b, m) couples X to the basis, and has entries in the columns of the last block only.
    """

    def __init__(self, product: SymmetricProduct, capacity: int, generator: torch.Generator) -> None:
        self._product, self._generator = product, generator
        self._rows = torch.empty((capacity, product.n), dtype=torch.float64, device=product.device)
        self._projected = torch.zeros((capacity, capacity), dtype=torch.float64, device=product.device)
        self.size, self._scale = 0, 0.0
        self.least = (float("inf"), 0.0)
        self._next = self._rows[:0]
        self._coupling = self._rows[:0, :0]

    @property
    def vectors(self) -> Tensor:
        return self._rows[: self.size]

    @property
    def whole(self) -> bool:
        """Whether there is no direction left to add."""
        return len(self._next) == 0

    @property
    def pending(self) -> int:
        """Vectors of the next block."""
        return len(self._next)

    @property
    def full(self) -> bool:
        """Whether the next block needs a restart, or there is none."""
        return self.whole or self.size + self.pending > len(self._rows)

    def start(self, block: int) -> None:
        self._next = self._random(min(block, self._product.n), self._next)

    def extend(self, keep: int) -> None:
        """Take the next block into the basis, at the cost of one product, and prepare the one after it."""
        if self.full:
            self._restart(keep)
        block, begin = self._next, self.size
        self.size = end = begin + len(block)
        self._rows[begin:end] = block
        image = self._product(block)
        projection = self._remove(image, self.vectors)
        self._projected[begin:end, :end] = projection
        self._projected[:end, begin:end] = projection.T
        self._next, self._coupling = self._orthonormal(image, torch.eye(len(block)).to(image))
        pivots = self._coupling.diagonal().abs()
        if float(pivots.min()) < WELL_CONDITIONED * float(pivots.max()):
            self._next, self._coupling = self._orthonormal(self._next, self._coupling)
        room = self._product.n - end
        scale = float(torch.linalg.matrix_norm(projection, ord=float("inf")))
        self._scale = max(self._scale, scale)
        if room < len(block) or float(self._coupling.diagonal().abs().min()) <= ROUNDOFF * self._scale:
            self._replace_dependent(min(room, len(block)))

    def ritz(self, k: int) -> tuple[Tensor, Tensor, Tensor]:
        """The k largest Ritz values, their residual norms, and their coefficients (k, m) in the basis."""
        own = self._projected[: self.size, : self.size]
        ascending, columns = torch.linalg.eigh((own + own.T) / 2)
        residuals = torch.linalg.vector_norm(self._coupling @ columns[-self._coupling.shape[1] :], dim=0)
        lowest = (float(ascending[0]), float(residuals[0]))
        self.least = min(self.least, lowest)
        return ascending.flip(0)[:k], residuals.flip(0)[:k], columns.T.flip(0)[:k]

    def add_random(self, count: int) -> None:
        """Widen the next block by random directions."""
        room = max(0, self._product.n - self.size - len(self._next))
        added = self._random(min(count, room), self._next)
        self._coupling = torch.cat([self._coupling, self._coupling.new_zeros(len(added), self._coupling.shape[1])])
        self._next = torch.cat([self._next, added])

    def _restart(self, keep: int) -> None:
        """Keep the leading Ritz vectors, which are coupled to the next block alone, and forget the rest."""
        kept = min(keep + (len(self._rows) - keep) // 4, len(self._rows) - len(self._next))
        values, _, coefficients = self.ritz(kept)
        self._rows[:kept] = coefficients @ self.vectors
        self._projected.zero_()
        self._projected.diagonal()[:kept] = values
        self.size = kept

    def _remove(self, rows: Tensor, basis: Tensor) -> Tensor:
        """Project the basis out of rows, in place; returns the coefficients (b, m)."""
        coefficients = rows @ basis.T
        rows.addmm_(coefficients, basis, alpha=-1)
        return coefficients

    def _orthonormal(self, rows: Tensor, coupling: Tensor) -> tuple[Tensor, Tensor]:
        """Rows made orthonormal, and orthogonal to the basis once more; and the coupling for which their product is kept."""
        self._remove(rows, self.vectors)
        factor, triangle = torch.linalg.qr(rows.T)
        return factor.T.contiguous(), triangle @ coupling

    def _replace_dependent(self, width: int) -> None:
        """Directions of the next block that are nothing but round-off give way to random ones, not coupled to the basis."""
        left, singular, right = torch.linalg.svd(self._coupling)
        good = int((singular[:width] > ROUNDOFF * self._scale).sum())
        rows, coupling = left[:, :good].T @ self._next, singular[:good, None] * right[:good]
        for _ in range(2):
            rows, coupling = self._orthonormal(rows, coupling)
        self._next, self._coupling = rows, coupling
        self.add_random(width - good)

    def _random(self, count: int, beside: Tensor) -> Tensor:
        """Random orthonormal rows, orthogonal to the basis and to the rows `beside`."""
        drawn = torch.randn((count, self._product.n), generator=self._generator, dtype=torch.float64)
        rows = drawn.to(self._rows)
        for _ in range(2):
            self._remove(rows, self.vectors)
            self._remove(rows, beside)
            rows = torch.linalg.qr(rows.T)[0].T
        return rows
