"""Critical dataset size: where a falling ratio of errors crosses a threshold for good."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def critical_dataset_size(sizes: ArrayLike, ratio: ArrayLike, epsilon: float = 0.1) -> float:
    """m*: the training-set size beyond which E_gen(network) < epsilon E_gen(kernel).

    The curve log(ratio) is joined by straight lines in log(size); m* is the first point below log(epsilon) after which
    the curve stays below, so a dip that comes back does not count.

    Args:
        sizes: (k,) distinct positive sizes, in any order.
        ratio: (k,) E_gen(network) / E_gen(kernel) at these sizes, not negative; 0 is below every threshold.
        epsilon: threshold, positive.

    Returns:
        m* in samples. Infinity if the largest size is not below the threshold; the smallest size if all are: then m* is
        at most that, and smaller sizes are needed to tell.

    Raises:
        ValueError: for no sizes, lengths that differ, repeated or non-positive sizes, or a ratio that is NaN or
            negative.

    Source: Goring et al., arXiv 2507.19680, definition 16 (epsilon about 0.1).
    """
    m, r = np.asarray(sizes, dtype=np.float64).ravel(), np.asarray(ratio, dtype=np.float64).ravel()
    if m.size == 0 or m.size != r.size:
        raise ValueError(f"{m.size} sizes and {r.size} ratios; give one ratio per size, and at least one")
    if not (m > 0).all() or np.unique(m).size != m.size:
        raise ValueError(f"sizes {m.tolist()} must be positive and distinct; average over seeds first")
    if not (r >= 0).all():
        raise ValueError(f"ratios {r.tolist()} must be numbers that are not negative; drop diverged members first")
    if not epsilon > 0:
        raise ValueError(f"epsilon={epsilon} must be positive")
    order = np.argsort(m)
    m, r = m[order], r[order]
    above = np.flatnonzero(r >= epsilon)
    if above.size == 0:
        return float(m[0])
    last = int(above[-1])
    if last == m.size - 1:
        return float("inf")
    with np.errstate(divide="ignore"):
        low, high = np.log(r[last : last + 2] / epsilon)
    # An infinite ratio drops at the next size, a zero one at once.
    share = 1.0 if np.isinf(low) else low / (low - high)
    return float(m[last] * (m[last + 1] / m[last]) ** share)
