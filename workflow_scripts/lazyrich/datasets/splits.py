"""Independent train, test and probe samples of a scalar target that is known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lazyrich.specification import whole_number

SPLITS = ("train", "test", "probe")


def split_sizes(spec: Mapping[str, Any]) -> dict[str, int]:
    """Samples per split, from the keys `train`, `test` and `probe`; ValueError unless whole numbers above 0."""
    return {split: whole_number(spec, split) for split in SPLITS}


def sample_splits(
    spec: Mapping[str, Any],
    generator: np.random.Generator,
    draw_inputs: Callable[[np.random.Generator, int], np.ndarray],
    target: Callable[[np.ndarray], np.ndarray],
) -> dict[str, dict[str, np.ndarray]]:
    """Draw every split: "inputs" (n, d) and "targets" (n, 1), both float32.

    `draw_inputs(generator, n)` gives n rows, `target` maps rows in float64 to values, shape (n,). The target is taken
    at the inputs as stored, after rounding. Each split has its own child of `generator`, so a larger training set
    extends the smaller one and leaves the test and probe sets as they were.
    """
    result = {}
    sizes = split_sizes(spec)
    for child, (split, size) in zip(generator.spawn(len(sizes)), sizes.items(), strict=True):
        inputs = draw_inputs(child, size).astype(np.float32)
        targets = target(inputs.astype(np.float64)).astype(np.float32)
        result[split] = {"inputs": inputs, "targets": targets[:, None]}
    return result
