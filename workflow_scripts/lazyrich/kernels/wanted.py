"""Which kernels a job of the kernel stage is to make: of every member of a run, at every checkpoint asked for."""

import hashlib
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from lazyrich.datasets.reading import Dataset
from lazyrich.fingerprints import fingerprint
from lazyrich.tiling import Tiling
from lazyrich.training.reading import TrainedRun


@dataclass(frozen=True)
class WantedKernel:
    """One kernel, and the unit of the store that it is to be in."""

    unit: str
    fingerprint: str
    member: str
    step: int


@dataclass(frozen=True)
class WantedKernels:
    """The kernels that ``options`` (an entry of an experiment's ``kernels``) ask for. Nothing is computed here.

    Every job of one kernel, and each of its bands, comes to the same list, whatever the others have done already.
    """

    options: dict
    code: str
    run: TrainedRun
    dataset: Dataset

    @property
    def tiling(self) -> Tiling:
        return Tiling.of(self.options)

    @property
    def units(self) -> list[WantedKernel]:
        """One unit a kernel. Members that share weights and inputs (an initialisation, say) share it: it has the name of the first."""
        units: dict[str, WantedKernel] = {}
        for _, kernel in self._found:
            units.setdefault(kernel.fingerprint, kernel)
        return list(units.values())

    @property
    def entries(self) -> list[dict]:
        """Which unit holds the kernel of (member, stage), at which step. Diverged members have none."""
        unit = {kernel.fingerprint: kernel.unit for kernel in self.units}
        return [
            {"member": kernel.member, "stage": stage, "step": kernel.step, "unit": unit[kernel.fingerprint]}
            for stage, kernel in self._found
        ]

    @property
    def left_out(self) -> list[str]:
        """What was asked for and is not there to be computed, in words."""
        steps = [step for step in self.options["at"] if isinstance(step, int)]
        beyond = Counter(step for member in self._members for step in steps if step > self.run.steps(member)[-1])
        return [
            f"no kernel at step {step} of {count} of {len(self._members)} members, whose training ended before"
            for step, count in sorted(beyond.items())
        ]

    def inputs(self, kernel: WantedKernel) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The points of the rows and of the columns, ``None`` if they are those of the rows: so many, from the front, of each split."""
        seed = self.run.seed(kernel.member)

        def gather(counts: dict[str, int]) -> torch.Tensor:
            return torch.cat([self.dataset.split(seed, split).inputs[:count] for split, count in counts.items()])

        columns = self.options.get("columns")
        return gather(self.options["rows"]), gather(columns) if columns else None

    @property
    def _members(self) -> list[str]:
        return [member for member in self.run.members if self.run.status(member) != "diverged"]

    @cached_property
    def _found(self) -> list[tuple[str, WantedKernel]]:
        """Every (stage, kernel), in the order of members and of ``at``."""
        return [
            (stage, self._kernel(member, stage, step))
            for member in self._members
            for stage, step in self.run.stages(member, self.options["at"]).items()
        ]

    def _kernel(self, member: str, stage: str, step: int) -> WantedKernel:
        weights = hashlib.sha256(np.ascontiguousarray(self.run.parameters(member, step)).tobytes()).hexdigest()
        inputs = self.dataset.fingerprint(self.run.seed(member))
        key = fingerprint(self._determined_by, self.code, self.run.model_spec(member), weights, inputs)
        return WantedKernel(f"{member}.{stage}", key, member, step)

    @property
    def _determined_by(self) -> dict:
        """The options that decide what a kernel is. At which checkpoints others are wanted, or how many jobs share the work, does
        not: asking for more keeps those that exist. A layer that is not given is left out, as it was before there were any."""
        without = {"at", "band"} | ({"layer"} if self.options.get("layer") is None else set())
        return {option: value for option, value in self.options.items() if option not in without}
