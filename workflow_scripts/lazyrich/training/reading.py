"""Reading a trained run: its members, their checkpoints and histories."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lazyrich.artifacts import read_array, read_manifest, read_unit
from lazyrich.models.state import load_parameters
from lazyrich.plugins import load
from lazyrich.training.history import COLUMNS


class TrainedRun:
    """A run as its manifest describes it."""

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)

    @property
    def members(self) -> list[str]:
        return list(self.manifest["units"])

    def info(self, member: str) -> dict:
        """``seed``, ``model``, ``training``, ``status``, ``steps`` (of its checkpoints) and ``final`` (last evaluation)."""
        return self.manifest["units"][member]["info"]

    def axes(self, member: str) -> dict:
        """The sweep's values for this member by axis, as the specification has them now (its unit may be older than an axis)."""
        spec = self.manifest["spec"]
        return {**spec["axes"], **spec["members"][member]["axes"]}

    def fingerprint(self, member: str) -> str:
        return self.manifest["units"][member]["fingerprint"]

    def status(self, member: str) -> str:
        """``converged`` (reached the target loss), ``finished`` (took all its steps) or ``diverged``."""
        return self.info(member)["status"]

    def seed(self, member: str) -> int:
        return self.info(member)["seed"]

    def model_spec(self, member: str) -> dict:
        return self.info(member)["model"]

    def steps(self, member: str) -> list[int]:
        """The steps at which there is a checkpoint, the first 0 and the last the end of training."""
        return self.info(member)["steps"]

    def step(self, member: str, stage: str) -> int:
        """The step of a stage: ``initial``, ``final`` or ``step-<number>``; ``ValueError`` if there is no checkpoint."""
        ends = {"initial": 0, "final": -1}
        if stage in ends:
            return self.steps(member)[ends[stage]]
        if not re.fullmatch("step-[0-9]+", stage):
            raise ValueError(f"there is no stage {stage!r}; give initial, final or step-<number>")
        return self._checkpoint(member, int(stage.removeprefix("step-")))

    def stages(self, member: str, at: Sequence[str | int]) -> dict[str, int]:
        """Stage -> step of the checkpoints that ``at`` names: ``initial``, ``final``, ``all``, or the step of one.

        A step has one name for each member: ``initial`` for the first, ``final`` for the last, ``step-<number>`` for those between,
        however it was asked for. A step beyond the end of the member's training is left out: members end at different steps if
        they stop at a target loss. ``ValueError``, with the checkpoints that there are, for a step that has none.
        """
        found = {}
        for word in at:
            if isinstance(word, str) and word != "all":
                found[word] = self.step(member, word)
                continue
            steps = self.steps(member)
            wanted = steps if word == "all" else [int(word)] if int(word) <= steps[-1] else []
            found.update({self._stage(member, step): self._checkpoint(member, step) for step in wanted})
        return found

    def _stage(self, member: str, step: int) -> str:
        steps = self.steps(member)
        return {steps[-1]: "final", steps[0]: "initial"}.get(step, f"step-{step}")

    def _checkpoint(self, member: str, step: int) -> int:
        if step not in self.steps(member):
            raise ValueError(
                f"{member} has no checkpoint at step {step}; it has {self.steps(member)}: "
                "take one of them, or have others kept by `training.checkpoints`"
            )
        return step

    def parameters(self, member: str, step: int) -> np.ndarray:
        """The parameter vector at a checkpoint; ``ValueError`` if none was kept at that step."""
        position = self.steps(member).index(self._checkpoint(member, step))
        return read_array(read_unit(self.path, self.manifest, member), "parameters", position)

    def model(self, member: str, step: int) -> torch.nn.Module:
        """The network at a checkpoint, not centred, in evaluation mode."""
        spec = self.model_spec(member)
        module = load("models", spec["architecture"]).build(
            spec, tuple(self.manifest["input_shape"]), self.manifest["outputs"]
        )
        vector = torch.from_numpy(self.parameters(member, step))
        load_parameters(module.to(vector.dtype), vector)
        return module.eval()

    def history(self, member: str) -> dict[str, np.ndarray]:
        """Columns ``step``, ``train_loss``, ``test_loss``, ``train_accuracy`` and ``test_accuracy``, one entry an evaluation."""
        group = read_unit(self.path, self.manifest, member)
        return {name: read_array(group, f"history/{name}") for name in COLUMNS}
