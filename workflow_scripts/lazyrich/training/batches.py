"""Which samples a step sees, as a function of the step alone: nothing to save, nothing to restore."""

import numpy as np
import torch
from torch import Tensor

from lazyrich import seeding

#: Indices drawn at once, so that small training sets do not pay for a generator every epoch.
BLOCK = 16_384


class Batches:
    """Batches without replacement: each epoch is a fresh permutation, cut into whole batches (a ragged rest is left out).

    The permutation of an epoch depends on (experiment, seed, number of samples, epoch) only.
    """

    def __init__(self, samples: int, batch_size: int, experiment: str, seed: int) -> None:
        self.samples, self.batch_size = samples, batch_size
        self._purpose = (experiment, seed, "batches")
        self._epochs_per_block = max(1, BLOCK // samples)
        self._steps_per_epoch = samples // batch_size
        self._block = -1
        self._table = torch.empty(0)

    def indices(self, step: int) -> Tensor:
        """The ``batch_size`` sample indices of step ``step`` (counted from 0)."""
        return self.steps(step, 1)[0]

    def steps(self, first: int, count: int) -> Tensor:
        """The sample indices of ``count`` steps from ``first`` on, shape (count, batch_size)."""
        parts = []
        while count:
            block, row = divmod(first, self._epochs_per_block * self._steps_per_epoch)
            parts.append(self._drawn(block)[row : row + count])
            first, count = first + len(parts[-1]), count - len(parts[-1])
        return torch.cat(parts)

    def _drawn(self, block: int) -> Tensor:
        """The batches of a block of epochs, shape (steps, batch_size)."""
        if block != self._block:
            self._block = block
            generator = seeding.numpy_generator(*self._purpose, block)
            epochs = np.broadcast_to(np.arange(self.samples), (self._epochs_per_block, self.samples))
            permutations = generator.permuted(epochs, axis=1)[:, : self._steps_per_epoch * self.batch_size]
            self._table = torch.from_numpy(permutations.reshape(-1, self.batch_size))
        return self._table
