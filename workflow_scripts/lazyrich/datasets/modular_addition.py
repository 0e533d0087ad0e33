"""Addition modulo p: the pairs (a, b) with 0 <= a, b < p, labelled (a + b) mod p.

The grokking task of Power et al. (arXiv 2201.02177), used with p = 97 in arXiv 2410.04264. There are p^2 pairs in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lazyrich.datasets.splits import split_sizes
from lazyrich.datasets.targets.pictures import Plane
from lazyrich.specification import choice, whole_number

ENCODINGS = ("one_hot", "tokens")


def generate(spec: Mapping[str, Any], generator: np.random.Generator) -> dict[str, dict[str, np.ndarray]]:
    """One random split into disjoint train, test and probe pairs. Keys: modulus, encoding, train, test, probe.

    "inputs" (n, 2p), the one-hot vectors of a and b one behind the other, or (n, 2), the numbers a and b themselves,
    for the encoding tokens; "targets" (n, p), one-hot minus 1/p; "labels" (n,) int64. A larger training set holds
    the pairs of a smaller one, and leaves those of test and probe as they were.
    ValueError when the splits ask for more pairs than there are.
    """
    modulus, encoding, sizes = _modulus(spec), choice(spec, "encoding", ENCODINGS), split_sizes(spec)
    if (wanted := sum(sizes.values())) > modulus**2:
        asked = " + ".join(f"{split} {size}" for split, size in sizes.items())
        raise ValueError(
            f"modulus {modulus} has {modulus**2:,} pairs and {asked} = {wanted:,} are asked for; "
            "make a split smaller or the modulus larger"
        )
    order = generator.permutation(modulus**2)
    result: dict[str, dict[str, np.ndarray]] = {}
    for split in ("test", "probe", "train"):  # train last, so that its size moves no pair of the others
        pairs, order = np.split(order, [sizes[split]])
        first, second = np.divmod(pairs, modulus)
        labels = (first + second) % modulus
        if encoding == "one_hot":
            inputs = np.concatenate([_one_hot(first, modulus), _one_hot(second, modulus)], axis=1)
        else:
            inputs = np.stack([first, second], axis=1)
        result[split] = {
            "inputs": inputs.astype(np.float32),
            "targets": (_one_hot(labels, modulus) - 1 / modulus).astype(np.float32),
            "labels": labels.astype(np.int64),
        }
    return {split: result[split] for split in sizes}


def population_variance(spec: Mapping[str, Any]) -> float:
    """The variance summed over the outputs, 1 - 1/p, over all pairs."""
    return 1 - 1 / _modulus(spec)


def fourier_coefficients(spec: Mapping[str, Any]) -> np.ndarray:
    """The coefficient of exp(2 pi i k (a + b) / p) in output c, entry [k, c] of shape (p, p), complex.

    exp(-2 pi i k c / p) / p, and 0 for k = 0: the target holds no other wave of a and b, and these in equal parts.
    """
    modulus = _modulus(spec)
    numbers = np.arange(modulus)
    waves = np.exp(-2j * np.pi * (np.outer(numbers, numbers) % modulus) / modulus) / modulus
    waves[0] = 0
    return waves


def picture(spec: Mapping[str, Any]) -> Plane:
    """(a + b) mod p over a and b."""
    numbers = np.arange(_modulus(spec))
    labels = np.add.outer(numbers, numbers) % len(numbers)
    return Plane(numbers, numbers, labels, "a", "b", f"(a + b) mod {len(numbers)}")


def _one_hot(numbers: np.ndarray, modulus: int) -> np.ndarray:
    return (numbers[:, None] == np.arange(modulus)).astype(np.float64)


def _modulus(spec: Mapping[str, Any]) -> int:
    return whole_number(spec, "modulus", minimum=2)
