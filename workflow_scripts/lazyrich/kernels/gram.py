"""Products of per-sample features with each other."""

from __future__ import annotations

from torch import Tensor


def gram_matrix(left: Tensor, right: Tensor | None = None) -> Tensor:
    """left right^T of features (n1, p) and (n2, p); `right=None` means `left`, and the result equals its transpose bit by bit."""
    if right is not None:
        return left @ right.T
    gram = left @ left.T
    # A general matrix product may round (a, b) and (b, a) differently.
    return gram.triu() + gram.triu(1).T
