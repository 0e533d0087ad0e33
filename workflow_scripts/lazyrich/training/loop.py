"""Training a group of networks step by step, killable at any moment."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from lazyrich.datasets.reading import Split
from lazyrich.training import objective
from lazyrich.training.batches import Batches
from lazyrich.training.ensemble import Ensemble
from lazyrich.training.history import Row
from lazyrich.training.members import Member, batch_size
from lazyrich.training.samples import Samples
from lazyrich.training.stacking import assemble
from lazyrich.training.steps import logarithmic


@dataclass
class Network:
    """One member in training: its data, and what was recorded of it so far."""

    member: Member
    module: nn.Module
    train: Split
    test: Split
    keep: Callable[[int, Tensor], None]
    """Stores the checkpoint (step, parameter vector)."""
    rows: list[Row] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    status: str = "training"
    #: Outputs at initialisation, which a centred network subtracts: f(x; theta) - f(x; theta_0).
    train_offset: Tensor | None = None
    test_offset: Tensor | None = None

    def finished(self, index: int, ensemble: Ensemble, step: int, status: str) -> None:
        self.status = status
        self.checkpoint(index, ensemble, step)

    def checkpoint(self, index: int, ensemble: Ensemble, step: int) -> None:
        if step not in self.steps:
            self.keep(step, ensemble.vector(index))
            self.steps.append(step)


class Training:
    """The training of one group: all that changes while it runs is here, so that it can be saved and taken up again.

    The result is a function of the members alone: batches depend on (seed, step), and a saved state holds every tensor that
    a step reads, so a training that was killed and taken up again is bit-identical on the CPU to one that was not.
    """

    def __init__(self, networks: list[Network], stacked: bool, device: torch.device) -> None:
        first = networks[0].member
        self.settings = first.training
        dtype = getattr(torch, self.settings["precision"])
        self.networks = networks
        self.active = list(range(len(networks)))
        self.step = 0
        for network in networks:
            network.module.to(device, dtype)
            network.train = network.train.to(device, dtype)
            network.test = network.test.to(device, dtype)
        self._samples = self._batched()
        self.ensemble = assemble([network.module for network in networks], stacked)
        if first.model["centered"]:
            self._centre()
        self.learning_rate = objective.base_learning_rate(self.settings, first.model, networks[0].module)
        self.optimizer = objective.optimizer(
            self.settings, self.ensemble.parameters(), self.learning_rate, networks[0].module
        )
        last = self.settings["max_steps"]
        self._evaluate_at = {0, last, *logarithmic(self.settings["evaluate"], last)}
        self._checkpoint_at = {0, last, *logarithmic(self.settings["checkpoints"], last)}

    def _batched(self) -> Samples:
        """The training sets in one place, where the networks see them from now on."""
        order = None
        if self.settings["batch_size"] != "full":
            size = batch_size(self.settings)
            order = [Batches(len(n.train.targets), size, n.member.experiment, n.member.seed) for n in self.networks]
        samples = Samples([network.train for network in self.networks], order)
        for network, split in zip(self.networks, samples.splits(), strict=True):
            network.train = split
        return samples

    def _centre(self) -> None:
        offsets = [self.ensemble.evaluate(index, found.train.inputs) for index, found in enumerate(self.networks)]
        for index, (network, offset) in enumerate(zip(self.networks, offsets, strict=True)):
            network.train_offset = offset
            network.test_offset = self.ensemble.evaluate(index, network.test.inputs)
        self._samples.subtract(offsets)

    @property
    def running(self) -> bool:
        return bool(self.active)

    def advance(self) -> None:
        """Look at the networks as they are at this step (evaluate, checkpoint, stop), then take one step with those that go on."""
        self._look()
        if self.active:
            self._take_step()
            self.step += 1

    def _look(self) -> None:
        target, last = self.settings["stop_train_loss"], self.settings["max_steps"]
        check = self.step % self.settings["check_every"] == 0
        evaluate, checkpoint = self.step in self._evaluate_at, self.step in self._checkpoint_at
        if not (check or evaluate or checkpoint):
            return
        going_on = []
        for index, number in enumerate(self.active):
            network = self.networks[number]
            if checkpoint:
                network.checkpoint(index, self.ensemble, self.step)
            loss, train_accuracy = self._measure(index, network.train, network.train_offset)
            reached = target is not None and loss <= target
            ends = reached or not math.isfinite(loss) or self.step >= last
            if evaluate or ends:
                test_loss, test_accuracy = self._measure(index, network.test, network.test_offset)
                network.rows.append((self.step, loss, test_loss, train_accuracy, test_accuracy))
            if ends:
                status = "diverged" if not math.isfinite(loss) else "converged" if reached else "finished"
                network.finished(index, self.ensemble, self.step, status)
            else:
                going_on.append(index)
        if len(going_on) < len(self.active):
            self._continue_with(going_on)

    def _continue_with(self, indices: list[int]) -> None:
        self.active = [self.active[index] for index in indices]
        if self.active:
            self.ensemble.keep(indices, self.optimizer)
            self._samples.keep(indices)

    def _measure(self, index: int, split: Split, offset: Tensor | None) -> tuple[float, float]:
        """Mean loss and accuracy of one network on all of a split."""
        outputs = self.ensemble.evaluate(index, split.inputs)
        if offset is not None:
            outputs = outputs - offset
        losses = objective.sample_losses(self.settings["loss"], outputs, split.targets, split.labels)
        return float(losses.double().mean()), objective.accuracy(outputs, split)

    def _take_step(self) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * objective.schedule(self.settings, self.step)
        self.ensemble.differentiate(self._samples.batch(self.step), self.settings["loss"])
        self.optimizer.step()

    # -- saving and taking up again ---------------------------------------------------------------------------------------

    def state(self) -> dict:
        """Everything that changes, as plain tensors and numbers (readable with ``torch.load(weights_only=True)``)."""
        return {
            "step": self.step,
            "active": self.active,
            "parameters": self.ensemble.state(),
            "optimizer": self.optimizer.state_dict(),
            "rows": [network.rows for network in self.networks],
            "steps": [network.steps for network in self.networks],
            "status": [network.status for network in self.networks],
        }

    def load_state(self, state: dict) -> None:
        """Go on from ``state``, which a training of the same members gave."""
        if len(state["active"]) < len(self.active):
            self._continue_with(state["active"])
        self.step = state["step"]
        self.ensemble.load_state(state["parameters"])
        self.optimizer.load_state_dict(state["optimizer"])
        for network, rows, steps, status in zip(
            self.networks, state["rows"], state["steps"], state["status"], strict=True
        ):
            network.rows = [tuple(row) for row in rows]
            network.steps, network.status = list(steps), status
