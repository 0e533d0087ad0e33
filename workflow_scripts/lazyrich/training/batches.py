"""Which samples a step sees, as a function of the step alone: nothing to save, nothing to restore."""

import torch

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
        self._steps_per_epoch = samples // batch_size
        self._epochs_per_block = max(1, BLOCK // samples)
        self._block = -1
        self._permutations = torch.empty(0)

    def indices(self, step: int) -> torch.Tensor:
        """The ``batch_size`` sample indices of step ``step`` (counted from 0)."""
        epoch, position = divmod(step, self._steps_per_epoch)
        block, row = divmod(epoch, self._epochs_per_block)
        if block != self._block:
            self._block = block
            generator = seeding.torch_generator(*self._purpose, block)
            # argsort of float64 uniforms: a tie, and with it a bias, has probability below 1e-7
            uniforms = torch.rand(self._epochs_per_block, self.samples, generator=generator, dtype=torch.float64)
            self._permutations = uniforms.argsort(dim=1)
        return self._permutations[row, position * self.batch_size : (position + 1) * self.batch_size]
