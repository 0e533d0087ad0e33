"""What a metric sees of one trained network, and the rows it gives."""

from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch
import zarr

from lazyrich import seeding
from lazyrich.datasets.reading import Dataset, Split, training_set
from lazyrich.kernels.store import StoredKernels
from lazyrich.spectra.store import Spectrum, StoredSpectra
from lazyrich.training.reading import TrainedRun

#: A kernel of this many bytes is read at once; one that is larger, in bands where that will do.
IN_MEMORY = 2**29


@dataclass(frozen=True)
class Row:
    """One measured number. ``step`` is the optimiser step it belongs to, ``layer`` the module's name, where there is one.

    ``argument`` is where a metric that is a function was evaluated: a number of landmarks, a mode.
    """

    metric: str
    value: float
    step: int
    layer: str = ""
    argument: float | None = None


#: A row of the tidy table: ``experiment``, ``run``, the axes, ``seed``, ``status``, ``step``, ``stage``, ``layer``, ``metric``, ``value``,
#: and ``argument`` where the metric is a function.
TableRow = dict


@dataclass
class MemberData:
    """One trained network with its data, kernels and spectra."""

    name: str
    run: TrainedRun
    dataset: Dataset
    kernels: dict[str, StoredKernels] = field(default_factory=dict)
    spectra: dict[str, StoredSpectra] = field(default_factory=dict)

    @property
    def experiment(self) -> str:
        return self.run.manifest["spec"]["experiment"]

    @property
    def seed(self) -> int:
        return self.run.seed(self.name)

    @property
    def model_spec(self) -> dict:
        return self.run.model_spec(self.name)

    @property
    def training_spec(self) -> dict:
        return self.run.info(self.name)["training"]

    @property
    def steps(self) -> list[int]:
        """The steps at which there is a checkpoint, the first 0 and the last the end of training."""
        return self.run.info(self.name)["steps"]

    @cached_property
    def history(self) -> dict[str, np.ndarray]:
        return self.run.history(self.name)

    @cached_property
    def train(self) -> Split:
        """The training set as this network saw it: its size, its labels."""
        return training_set(self.dataset.split(self.seed, "train"), self.training_spec, self.experiment, self.seed)

    def split(self, name: str) -> Split:
        return self.dataset.split(self.seed, name)

    def model(self, step: int, dtype: torch.dtype = torch.float64) -> torch.nn.Module:
        """The network at a checkpoint, not centred, in evaluation mode; for all metrics the same object, which none may change."""
        return _model(self.run, self.name, step, dtype)

    @torch.no_grad()
    def outputs(self, step: int, inputs: torch.Tensor) -> torch.Tensor:
        """What the network predicts, (n, outputs), float64: f(x; theta) - f(x; theta_0) if it is centred."""
        outputs = self.model(step)(inputs.double())
        return outputs - self.model(self.steps[0])(inputs.double()) if self.model_spec["centered"] else outputs

    def kernel(
        self, kernel: str, stage: str, rows: dict[str, int] | None = None, columns: dict[str, int] | None = None
    ) -> np.ndarray:
        """Kernel ``kernel`` at ``initial`` or ``final``, between the first samples of splits (see :class:`StoredKernels`)."""
        return self.kernels[kernel].matrix(self.name, stage, rows, columns)

    def large_kernel(self, kernel: str, stage: str) -> np.ndarray | zarr.Array:
        """The whole kernel for functions that read it in bands: in memory if it takes at most :data:`IN_MEMORY` bytes, else as stored."""
        array = self.kernels[kernel].array(self.name, stage)
        return np.asarray(array[...]) if array.nbytes <= IN_MEMORY else array

    def kernel_stages(self, kernel: str) -> dict[str, int]:
        """Stage -> step at which ``kernel`` was computed."""
        return self.kernels[kernel].stages(self.name)

    def spectrum(self, spectrum: str, stage: str) -> Spectrum:
        return self.spectra[spectrum].spectrum(self.name, stage)

    def generator(self, purpose: str) -> np.random.Generator:
        return seeding.numpy_generator(self.experiment, self.seed, purpose)


@lru_cache(maxsize=16)
def _model(run: TrainedRun, member: str, step: int, dtype: torch.dtype) -> torch.nn.Module:
    """Every metric of a member asks for the same few checkpoints, and building a network takes longer than most of what is asked of it."""
    return run.model(member, step).to(dtype)
