"""Kernel regression on a network's training set with a kernel that is stored of it: which blocks, and where it is tested."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lazyrich.datasets.reading import Split
from lazyrich.metrics.member import MemberData


class StoredRegression(NamedTuple):
    """Regression on the first ``size`` training points, all that the network saw, tested on the points ``test``."""

    member: MemberData
    kernel: str
    size: int
    test: Split

    def blocks(self, stage: str) -> tuple[np.ndarray, np.ndarray]:
        """K(X, X), (size, size), and K(x, X), (test points, size), of the kernel at a checkpoint."""
        columns = {"train": self.size}
        own = self.member.kernel(self.kernel, stage, columns, columns)
        return own, self.member.kernel(self.kernel, stage, {"test": len(self.test.targets)}, columns)


def stored_regression(member: MemberData, kernel: str) -> StoredRegression | None:
    """The regression that ``kernel`` has the points for, all test points that it holds; None if it holds fewer training points than the
    network saw."""
    held, size = member.kernels[kernel].manifest["spec"], len(member.train.targets)
    if (held.get("columns") or held["rows"]).get("train", 0) < size:
        return None
    return StoredRegression(member, kernel, size, member.split("test").take(slice(held["rows"]["test"])))
