"""Reading a dataset's store: splits as tensors, and a member's own view of the training set."""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from lazyrich import seeding
from lazyrich.artifacts import read_array, read_manifest, read_unit

#: Bytes of splits that a :class:`Dataset` keeps in memory; the split read last is kept whatever its size.
KEPT_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Split:
    """Samples along the first axis: ``inputs`` (n, d) or (n, C, H, W), ``targets`` (n, outputs), ``labels`` (n,) for classification.

    Splits are shared between those who read them: never write into the tensors.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    labels: torch.Tensor | None

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for part in (self.inputs, self.targets, self.labels) if part is not None)

    def take(self, indices: torch.Tensor | slice) -> "Split":
        labels = None if self.labels is None else self.labels[indices]
        return Split(self.inputs[indices], self.targets[indices], labels)

    def to(self, device: torch.device, dtype: torch.dtype) -> "Split":
        labels = None if self.labels is None else self.labels.to(device)
        return Split(self.inputs.to(device, dtype), self.targets.to(device, dtype), labels)


class Dataset:
    """A dataset on disk. Seed ``s`` sees draw ``s`` modulo the number of draws.

    Splits that were read lately stay in memory, up to :data:`KEPT_BYTES`: the members of a run read the same few.
    """

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)
        self.spec: dict = self.manifest["spec"]
        self._kept: OrderedDict[tuple[str, str], Split] = OrderedDict()

    def _unit(self, seed: int) -> str:
        return f"draw-{seed % self.spec['draws']}"

    def fingerprint(self, seed: int) -> str:
        """The fingerprint of the draw that ``seed`` sees."""
        return self.manifest["units"][self._unit(seed)]["fingerprint"]

    def shape(self) -> tuple[tuple[int, ...], int]:
        """The shape of one input, and the number of outputs."""
        return tuple(self.manifest["input_shape"]), self.manifest["outputs"]

    def split(self, seed: int, name: str) -> Split:
        """Split ``train``, ``test`` or ``probe`` of the draw that ``seed`` sees; shared, so never to be written into."""
        key = (self._unit(seed), name)
        if key not in self._kept:
            self._kept[key] = self._read(*key)
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(split.nbytes for split in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return self._kept[key]

    def classes(self) -> list[str]:
        """The names of the classes, by label; none where there are no classes or they have no names."""
        return self.manifest["units"][self._unit(0)]["info"].get("classes", [])

    def pixels(self, inputs: np.ndarray, seed: int = 0) -> np.ndarray:
        """Inputs (n, C, H, W) or (n, d) of the draw that ``seed`` sees, with its normalisation taken back: 1 is a white pixel."""
        group = read_unit(self.path, self.manifest, self._unit(seed))
        shape = (1, -1, *[1] * (inputs.ndim - 2))
        mean, deviation = (read_array(group, f"normalization/{name}").reshape(shape) for name in ("mean", "deviation"))
        return inputs * deviation + mean

    def _read(self, unit: str, name: str) -> Split:
        group = read_unit(self.path, self.manifest, unit)
        inputs, targets = (torch.from_numpy(read_array(group, f"{name}/{part}")) for part in ("inputs", "targets"))
        labels = torch.from_numpy(read_array(group, f"{name}/labels")) if f"{name}/labels" in group else None
        return Split(inputs, targets, labels)


def training_set(split: Split, training: dict, experiment: str, seed: int) -> Split:
    """The first ``train_size`` samples. Some of their labels are permuted among each other: all, if ``labels`` is ``shuffled``, else
    the share ``label_noise``, of randomly chosen samples.

    Permuting keeps the labels' marginal distribution. Which samples, and how, depends on (experiment, seed) alone; the samples of a
    smaller share are among those of a larger one.
    """
    chosen = split.take(slice(training["train_size"]))
    order = _permuted_labels(len(chosen.targets), training, experiment, seed)
    if order is None:
        return chosen
    labels = None if chosen.labels is None else chosen.labels[order]
    return Split(chosen.inputs, chosen.targets[order], labels)


def labels_are_true(training: dict) -> bool:
    """Whether every training sample has its own label."""
    return training["labels"] == "true" and not training.get("label_noise", 0)


def _permuted_labels(count: int, training: dict, experiment: str, seed: int) -> torch.Tensor | None:
    """For each sample the one whose label it gets; None if each keeps its own."""
    if labels_are_true(training):
        return None
    order = torch.randperm(count, generator=seeding.torch_generator(experiment, seed, "labels"))
    if training["labels"] == "shuffled":
        return order
    disturbed = order[: round(training["label_noise"] * count)]
    among = torch.randperm(len(disturbed), generator=seeding.torch_generator(experiment, seed, "label noise"))
    result = torch.arange(count)
    result[disturbed] = disturbed[among]
    return result
