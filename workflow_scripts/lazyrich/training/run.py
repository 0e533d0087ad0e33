"""Training all members of a run into its checkpoint store, from wherever an earlier attempt got to."""

import math
import os
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from lazyrich.artifacts import Store, Unit, open_array
from lazyrich.datasets.reading import Dataset, training_set
from lazyrich.devices import describe as describe_device
from lazyrich.fingerprints import canonical
from lazyrich.models.state import parameter_layout
from lazyrich.progress import Progress
from lazyrich.training import history, members, objective
from lazyrich.training.loop import Network, Training
from lazyrich.training.members import Member
from lazyrich.training.stacking import stack_limit

#: Seconds between two saved states: at most this much work is lost to a kill.
SAVE_EVERY = 10.0
#: Steps between two descriptions of the state for the line of progress, which is rarely printed.
NOTE_EVERY = 32


def train_run(
    todo: list[Member],
    dataset: Dataset,
    store: Store,
    device: torch.device,
    say: Callable[[str], None],
    title: str,
    save_every: float = SAVE_EVERY,
) -> list[Unit]:
    """Train every member whose unit is not complete; returns the complete units in the order of ``todo``.

    ``checkpoints.zarr`` gets one group a member: ``parameters`` (step, parameter), ``steps`` and ``history``. ``history.csv``
    beside it grows while training; ``resume.pt`` holds the state of the group in training.
    """
    folder = store.path.parent
    resume = folder / "resume.pt"
    units = {member.name: store.unit(member.name, member.fingerprint) for member in todo}
    csv = history.HistoryFile(folder / "history.csv")
    interrupted, state = _interrupted(resume, todo, units)
    waiting = []
    for member in todo:
        if units[member.name].complete and member not in interrupted:
            csv.add(member.name, history.read(units[member.name].group))
        else:
            waiting.append(member)
    say(f"{len(waiting)} networks to train, {len(todo) - len(waiting)} trained before, on {describe_device(device)}")
    total = sum(member.training["max_steps"] for member in todo)
    progress = Progress(title, total, "steps", done=total - sum(member.training["max_steps"] for member in waiting))
    limits = _stack_limits(waiting, dataset)
    others = members.stacks([member for member in waiting if member not in interrupted], limits)
    for group in [interrupted, *others] if interrupted else others:
        networks = [_network(member, dataset, units[member.name]) for member in group]
        training = Training(networks, limits[group[0].name] > 1, device)
        if group is interrupted:
            _take_up(training, state, csv, progress)
            say(f"going on from step {training.step:,}, which an earlier attempt saved")
        _train_group(training, resume, csv, progress, save_every)
        say(f"{members.describe(group)}: {_outcome(networks)}")
        for network in networks:
            _finish(network, units[network.member.name], device)
        resume.unlink(missing_ok=True)  # only now, so that a kill while results are stored costs no training
    return [units[member.name] for member in todo]


def _train_group(
    training: Training, resume: Path, csv: history.HistoryFile, progress: Progress, save_every: float
) -> None:
    fingerprints = [network.member.fingerprint for network in training.networks]
    written = [len(network.rows) for network in training.networks]
    saved, note = time.monotonic(), ""
    while training.running:
        before = len(training.active)
        training.advance()
        if training.step % NOTE_EVERY == 0:
            note = _note(training)
        progress.advance(before, note)
        for number, network in enumerate(training.networks):
            if len(network.rows) > written[number]:
                csv.add(network.member.name, network.rows[written[number] :])
                written[number] = len(network.rows)
                if network.status != "training":
                    progress.skip(network.member.training["max_steps"] - training.step)
        if time.monotonic() - saved > save_every and training.running:
            _save({"members": fingerprints, "training": training.state()}, resume)
            saved = time.monotonic()


def _interrupted(resume: Path, todo: list[Member], units: dict[str, Unit]) -> tuple[list[Member], dict]:
    """The group that an earlier attempt was killed in, with its state; no members if it is no longer wanted, or complete.

    It is put together as it was, with those of its members that had been stored when the kill came.
    """
    if not resume.exists():
        return [], {}
    try:
        saved = torch.load(resume, map_location="cpu", weights_only=True)
        fingerprints = saved["members"]
    except Exception:  # a state that cannot be read is no state: start that group anew
        return [], {}
    wanted = {member.fingerprint: member for member in todo}
    group = [wanted[fingerprint] for fingerprint in fingerprints if fingerprint in wanted]
    if len(group) < len(fingerprints) or all(units[member.name].complete for member in group):
        return [], {}
    return group, saved["training"]


def _take_up(training: Training, state: dict, csv: history.HistoryFile, progress: Progress) -> None:
    """Go on from ``state``."""
    training.load_state(state)
    for network in training.networks:
        done = training.step if network.status == "training" else network.member.training["max_steps"]
        progress.skip(done)
        csv.add(network.member.name, network.rows)


def _save(state: dict, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(state, temporary)
    os.replace(temporary, path)


def _note(training: Training) -> str:
    rows = [training.networks[number].rows for number in training.active]
    losses = [row[-1][1] for row in rows if row]
    loss = f", training loss {sum(losses) / len(losses):.2g}" if losses else ""
    return f"step {training.step:,}, {len(training.active)} of {len(training.networks)} in training{loss}"


def _outcome(networks: list[Network]) -> str:
    """How a group's trainings ended: ``10 converged, 1 diverged``."""
    counts = Counter(network.status for network in networks)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))


def _stack_limits(waiting: list[Member], dataset: Dataset) -> dict[str, int]:
    """How many networks of its kind are trained together at most, by member name; 1 if its optimiser is not elementwise."""
    input_shape, _ = dataset.shape()
    known: dict[str, int] = {}
    limits = {}
    for member in waiting:
        if member.training["optimizer"] not in objective.ELEMENTWISE:
            limits[member.name] = 1
            continue
        batch_size = members.batch_size(member.training)
        kind = canonical([member.model, batch_size])
        if kind not in known:
            known[kind] = stack_limit(_module(member, dataset), input_shape, batch_size)
        limits[member.name] = known[kind]
    return limits


def _module(member: Member, dataset: Dataset) -> torch.nn.Module:
    shape, outputs = dataset.shape()
    return members.build(member.model, member.experiment, member.seed, shape, outputs)


def _network(member: Member, dataset: Dataset, unit: Unit) -> Network:
    """A member ready to train, its checkpoints going one chunk each into its unit."""
    module = _module(member, dataset)
    layout = parameter_layout(module)
    total = sum(parameter.numel() for parameter in module.parameters())
    unit.begin()
    layout_record: dict = {"layout": layout}
    unit.group.attrs.update(layout_record)
    kept = unit.require(
        "parameters",
        shape=(0, total),
        dtype=member.training["precision"],
        chunks=(1, total),
        dimension_names=("step", "parameter"),
    )

    def keep(step: int, vector: torch.Tensor) -> None:
        position = len(network.steps)
        if kept.shape[0] <= position:
            kept.resize((position + 1, total))
        kept[position] = vector.cpu().numpy()

    network = Network(
        member, module,
        train=training_set(dataset.split(member.seed, "train"), member.training, member.experiment, member.seed),
        test=dataset.split(member.seed, "test"), keep=keep,
    )  # fmt: skip
    return network


def _finish(network: Network, unit: Unit, device: torch.device) -> None:
    parameters = open_array(unit.group, "parameters")
    parameters.resize((len(network.steps), parameters.shape[1]))
    unit.array("steps", np.array(network.steps, dtype=np.int64), ("step",))
    history.write(unit.group, network.rows)
    unit.finish(
        describe_device(device),
        **network.member.description(),
        status=network.status,
        steps=network.steps,
        final={
            name: value if math.isfinite(value) else None
            for name, value in zip(history.COLUMNS, network.rows[-1], strict=True)
        },
    )
