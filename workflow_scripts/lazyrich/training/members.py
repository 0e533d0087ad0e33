"""The networks of a run: what each one is, in full, and which can be trained as one stack."""

import json
from dataclasses import dataclass

from torch import nn

from lazyrich import seeding
from lazyrich.datasets.reading import Dataset
from lazyrich.fingerprints import canonical, fingerprint
from lazyrich.plugins import load
from lazyrich.sweeps import put


@dataclass(frozen=True)
class Member:
    """One network to train."""

    name: str
    experiment: str
    seed: int
    axes: dict[str, object]
    model: dict
    training: dict
    fingerprint: str

    def description(self) -> dict:
        """What later stages need to know of it, apart from its axes: those may be renamed without training it again."""
        return {"seed": self.seed, "model": self.model, "training": self.training}


def read_members(spec: dict, code: str, dataset: Dataset) -> list[Member]:
    """The members of a training specification (``base`` plus what each member sets).

    A member's fingerprint covers its model, its training, its seed, the draw it sees and the code: not its run, nor its company.
    """
    found = []
    for name, entry in spec["members"].items():
        whole = put(spec["base"], entry["set"])
        determined_by = (spec["experiment"], entry["seed"], whole, dataset.fingerprint(entry["seed"]), code)
        axes = {**spec["axes"], **entry["axes"]}
        found.append(
            Member(
                name,
                spec["experiment"],
                entry["seed"],
                axes,
                whole["model"],
                whole["training"],
                fingerprint(*determined_by),
            )
        )
    return found


def build(model: dict, experiment: str, seed: int, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """The network at its initialisation: the same weights for every member of an experiment that shares seed and shape."""
    module = load("models", model["architecture"]).build(model, input_shape, outputs)
    module.reset_parameters(seeding.torch_generator(experiment, seed, "weights"))
    return module


def stacks(members: list[Member], limits: dict[str, int]) -> list[list[Member]]:
    """Group members that can be trained together: those of one model and one training, apart from what each sees.

    ``limits`` says by member name how many of its kind are trained together at most (:func:`lazyrich.training.stacking.stack_limit`).
    It depends on the member only; so then does the way it is trained, and so its result (see :mod:`lazyrich.training.stack`).
    """
    groups: dict[str, list[Member]] = {}
    for member in members:
        own = {
            key: value for key, value in member.training.items() if key not in ("train_size", "labels", "label_noise")
        }
        kind = [member.model, own, batch_size(member.training), limits[member.name]]
        groups.setdefault(canonical(kind), []).append(member)
    return [
        group[start : start + limits[group[0].name]]
        for group in groups.values()
        for start in range(0, len(group), limits[group[0].name])
    ]


def batch_size(training: dict) -> int:
    """Samples per step: never more than there are."""
    wanted = training["batch_size"]
    return training["train_size"] if wanted == "full" else min(wanted, training["train_size"])


def describe(members: list[Member]) -> str:
    """The members of a group in a few words: what they share of their axes."""
    shared = [
        f"{key}={json.dumps(value)}"
        for key, value in members[0].axes.items()
        if all(m.axes[key] == value for m in members)
    ]
    return f"{len(members)} network{'s' if len(members) > 1 else ''}{' with ' + ', '.join(shared) if shared else ''}"
