"""Independent train, test and probe samples with a scalar target."""

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
    """Draw every split of a target that is a function of the inputs, see `sample_pairs`.

    `draw_inputs(generator, n)` gives n rows, `target` maps rows in float64 to values, shape (n,). The target is taken
    at the inputs as stored, after rounding.
    """

    def draw(source: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        inputs = draw_inputs(source, size).astype(np.float32)
        return inputs, target(inputs.astype(np.float64))

    return sample_pairs(spec, generator, draw)


def sample_pairs(
    spec: Mapping[str, Any],
    generator: np.random.Generator,
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]],
) -> dict[str, dict[str, np.ndarray]]:
    """Draw every split: "inputs" (n, d) and "targets" (n, 1), both float32.

    `draw(generator, n)` gives n rows of inputs and their targets, shape (n,). It takes sample after sample from each
    generator that it uses. Each split has its own child of `generator`, so a larger training set extends the smaller
    one and leaves the test and probe sets as they were.
    """
    result = {}
    sizes = split_sizes(spec)
    for child, (split, size) in zip(generator.spawn(len(sizes)), sizes.items(), strict=True):
        inputs, targets = draw(child, size)
        result[split] = {"inputs": inputs.astype(np.float32), "targets": targets.astype(np.float32)[:, None]}
    return result
