"""Reading a trained run: its members, their checkpoints and histories."""

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

    def step(self, member: str, stage: str) -> int:
        """The step of a stage: ``initial`` or ``final``."""
        return self.info(member)["steps"][{"initial": 0, "final": -1}[stage]]

    def parameters(self, member: str, step: int) -> np.ndarray:
        """The parameter vector at a checkpoint; ``ValueError`` if none was kept at that step."""
        steps = self.info(member)["steps"]
        if step not in steps:
            raise ValueError(f"{member} has no checkpoint at step {step}; it has {steps}")
        return read_array(read_unit(self.path, self.manifest, member), "parameters", steps.index(step))

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
