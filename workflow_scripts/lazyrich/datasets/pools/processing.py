"""From the pools of a data set to its processed splits: classes, downsampling, normalisation, targets, label encoding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.pools.classes import Task, targets
from lazyrich.datasets.pools.encoding import encoded, encoded_rows
from lazyrich.datasets.pools.normalization import block_sums, normalized, statistics
from lazyrich.datasets.pools.partition import partition
from lazyrich.datasets.pools.pool import Pool, Pools
from lazyrich.datasets.splits import split_sizes
from lazyrich.specification import whole_number


def class_names(spec: Mapping[str, Any], pools: Pools) -> list[str]:
    """The names of the task's classes; none for regression."""
    return list(Task(spec, pools.classes).names) if pools.train.labels is not None else []


def processed_shape(
    spec: Mapping[str, Any], image: tuple[int, ...], classes: tuple[str, ...]
) -> tuple[tuple[int, ...], int]:
    """The shape of an input, and the number of outputs, that :func:`splits_of` makes of images (C, H, W) in ``classes``."""
    channels, height, width = image
    factor, count = whole_number(spec, "downsample", 1), len(Task(spec, classes).names)
    height, width = height // factor, width // factor
    if spec.get("label_encoding"):
        height += encoded_rows(count, width)
    return (channels, height, width), 1 if spec.get("targets") == "sign" else count


def splits_of(
    spec: Mapping[str, Any], generator: np.random.Generator, pools: Pools
) -> dict[str, dict[str, np.ndarray]]:
    """Random disjoint splits of pools, processed. Keys: train, test, probe; optional: classes, targets, normalization, downsample,
    label_encoding.

    For each split "inputs" float32, normalised by the mean and standard deviation of the training split, "targets" (n, outputs)
    float32 and, for classes, "labels" (n,) int64. Beside the splits, "normalization" holds "mean" and "deviation" of each channel:
    inputs * deviation + mean is what the data set has, white being 1.
    ValueError when the splits ask for more samples than there are.
    """
    task = None if pools.train.labels is None else Task(spec, pools.classes)
    factor = whole_number(spec, "downsample", 1)
    train, test = _of_task(pools.train, task), None if pools.test is None else _of_task(pools.test, task)
    rows = partition(spec.get("generator", "the data set"), split_sizes(spec), train, test, generator)
    by_split = {"train": pools.train, "probe": pools.train, "test": pools.test or pools.train}
    taken = _taken(rows, by_split)
    if taken["train"].ndim != 4 and (factor > 1 or spec.get("label_encoding")):
        raise ValueError("downsample and label_encoding are for images, (n, C, H, W); leave them out for vectors")
    raw = {split: block_sums(inputs, factor) for split, inputs in taken.items()}
    white = pools.train.white * factor**2
    mean, deviation = statistics(raw["train"], spec.get("normalization", "channel"), white)
    result: dict[str, dict[str, np.ndarray]] = {}
    for split, chosen in rows.items():
        inputs, pool = normalized(raw[split], mean, deviation, white), by_split[split]
        if task is None or pool.labels is None:
            result[split] = {"inputs": inputs, "targets": pool.values[chosen].astype(np.float32)}  # type: ignore[index]
            continue
        labels = task.labels(pool.labels[chosen])
        if spec.get("label_encoding"):
            inputs = encoded(inputs, labels, len(task.names), spec["label_encoding"], split, generator)
        kind = spec.get("targets", "centered_one_hot")
        result[split] = {"inputs": inputs, "targets": targets(labels, len(task.names), kind), "labels": labels}
    return {**result, "normalization": {"mean": mean, "deviation": deviation}}


def _taken(rows: Mapping[str, np.ndarray], pools: Mapping[str, Pool]) -> dict[str, np.ndarray]:
    """The inputs of each split. A pool is asked once, for all its splits: it may have to read all it has to find them."""
    result: dict[str, np.ndarray] = {}
    for pool in dict.fromkeys(pools.values()):
        splits = [split for split in rows if pools[split] is pool]
        inputs = pool.take(np.concatenate([rows[split] for split in splits]))
        ends = np.cumsum([len(rows[split]) for split in splits])
        result |= dict(zip(splits, np.split(inputs, ends[:-1]), strict=True))
    return result


def _of_task(pool: Pool, task: Task | None) -> np.ndarray:
    """The rows of the samples that belong to a class of the task."""
    if task is None or pool.labels is None:
        return np.arange(len(pool))
    return np.flatnonzero(task.labels(pool.labels) >= 0)
