"""Disjoint random splits of samples that exist already."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


def partition(
    name: str, sizes: Mapping[str, int], train: np.ndarray, test: np.ndarray | None, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Rows of each split: train and probe from ``train``, test from ``test`` or, where that is None, from ``train`` too.

    A larger training set holds the rows of a smaller one, in the same order, and moves no row of test and probe.
    ValueError when the splits ask for more rows than there are; ``name`` says of what.
    """
    pools = [({"test": sizes["test"], "probe": sizes["probe"], "train": sizes["train"]}, train, "samples")]
    if test is not None:
        pools = [
            ({"probe": sizes["probe"], "train": sizes["train"]}, train, "training samples"),
            ({"test": sizes["test"]}, test, "test samples"),
        ]
    rows = {}
    for wanted, available, kind in pools:
        if sum(wanted.values()) > len(available):
            asked = " + ".join(f"{split} {size:,}" for split, size in sorted(wanted.items(), reverse=True))
            total = f" = {sum(wanted.values()):,}" if len(wanted) > 1 else ""
            raise ValueError(
                f"{name} has {len(available):,} {kind} and {asked}{total} are asked for; make a split smaller"
            )
        order = available[generator.permutation(len(available))]
        for split, size in wanted.items():  # train last, so that its size moves no row of the others
            rows[split], order = np.split(order, [size])
    return {split: rows[split] for split in sizes}
