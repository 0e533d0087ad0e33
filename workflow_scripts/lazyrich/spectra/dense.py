"""All eigenpairs by divide and conquer: LAPACK on the CPU, cuSOLVER on a GPU."""

from __future__ import annotations

import torch
from torch import Tensor

# LAPACK's divide and conquer counts its workspace, 1 + 6 n + 2 n^2, in 32-bit integers.
MAXIMAL_SIZE = 32_766


def dense_eigenpairs(matrix: Tensor) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    """All eigenvalues, descending, (n,); eigenvectors in rows, (n, n); and remarks. About 9 n^3 operations.

    cuSOLVER fails on some matrices of low rank, with an error or with numbers that are not finite: those are decomposed
    on the CPU, and a remark says so. ``ValueError`` for n above 32,766.
    """
    check_size(len(matrix))
    if _on_cpu(matrix):
        return (*_descending(*torch.linalg.eigh(matrix)), ())
    try:
        ascending, columns = torch.linalg.eigh(matrix)
        failure = "" if bool(torch.isfinite(ascending).all() & torch.isfinite(columns).all()) else "not finite"
    except RuntimeError as error:  # torch.linalg.LinAlgError is one
        failure = str(error).splitlines()[0]
    if not failure:
        return (*_descending(ascending, columns), ())
    values, vectors = _descending(*torch.linalg.eigh(matrix.cpu()))
    remark = f"the eigensolver of {matrix.device} failed ({failure}); decomposed on the CPU"
    return values.to(matrix), vectors.to(matrix), (remark,)


def check_size(n: int) -> None:
    """``ValueError`` if an (n, n) matrix is too large for LAPACK; asked before the matrix is brought into memory."""
    if n > MAXIMAL_SIZE:
        raise ValueError(
            f"n={n} is more than the {MAXIMAL_SIZE} that LAPACK's integers allow for method 'dense'; give a k and use "
            "'lanczos' or 'randomized', or use 'nystrom' with at most so many landmarks"
        )


def _on_cpu(matrix: Tensor) -> bool:
    return matrix.device.type == "cpu"


def _descending(ascending: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    return ascending.flip(0), columns.T.flip(0)
