"""Reading a dataset's store: splits as tensors, and a member's own view of the training set."""

from dataclasses import dataclass
from pathlib import Path

import torch

from lazyrich import seeding
from lazyrich.artifacts import read_array, read_manifest, read_unit


@dataclass(frozen=True)
class Split:
    """Samples along the first axis: ``inputs`` (n, d) or (n, C, H, W), ``targets`` (n, outputs), ``labels`` (n,) for classification."""

    inputs: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor | None

    def take(self, indices: torch.Tensor | slice) -> "Split":
        labels = None if self.labels is None else self.labels[indices]
        return Split(self.inputs[indices], self.targets[indices], labels)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Split":
        labels = None if self.labels is None else self.labels.to(device)
        return Split(self.inputs.to(device, dtype), self.targets.to(device, dtype), labels)


class Dataset:
    """A dataset on disk. Seed ``s`` sees draw ``s`` modulo the number of draws."""

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)
        self.spec: dict = self.manifest["spec"]

    def _unit(self, seed: int) -> str:
        return f"draw-{seed % self.spec['draws']}"

    def fingerprint(self, seed: int) -> str:
        """The fingerprint of the draw that ``seed`` sees."""
        return self.manifest["units"][self._unit(seed)]["fingerprint"]

    def shape(self) -> tuple[tuple[int, ...], int]:
        """The shape of one input, and the number of outputs."""
        return tuple(self.manifest["input_shape"]), self.manifest["outputs"]

    def split(self, seed: int, name: str) -> Split:
        """Split ``train``, ``test`` or ``probe`` of the draw that ``seed`` sees."""
        group = read_unit(self.path, self.manifest, self._unit(seed))
        inputs, targets = (torch.from_numpy(read_array(group, f"{name}/{part}")) for part in ("inputs", "targets"))
        labels = torch.from_numpy(read_array(group, f"{name}/labels")) if f"{name}/labels" in group else None
        return Split(inputs, targets, labels)


def training_set(split: Split, training: dict, experiment: str, seed: int) -> Split:
    """The first ``train_size`` samples, with their labels permuted among them if ``labels`` is ``shuffled``.

    The permutation keeps the labels' marginal distribution and depends on (experiment, seed) alone.
    """
    chosen = split.take(slice(training["train_size"]))
    if training["labels"] == "true":
        return chosen
    order = torch.randperm(len(chosen.targets), generator=seeding.torch_generator(experiment, seed, "labels"))
    labels = None if chosen.labels is None else chosen.labels[order]
    return Split(chosen.inputs, chosen.targets[order], labels)
