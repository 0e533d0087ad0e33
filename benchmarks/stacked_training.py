"""Training many networks as one stack against training them one after the other: time of a step, at equal work and threads.

The two ways, and a loop of plain PyTorch without evaluations, take turns in one process: a few steps each, at several times, so
that a load on the machine meets all. A step is all that `lazyrich.training` does for it: batches, gradients, the optimiser, and
one evaluation of every network in `steps` steps. The table has the medians of seconds, for all networks, and of the ratios of turns.

    PYTHONPATH=workflow_scripts python benchmarks/stacked_training.py --threads 1 --output stacked_training.json
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from lazyrich.datasets.reading import Split
from lazyrich.training.loop import Network, Training
from lazyrich.training.members import Member, build

CPU = torch.device("cpu")
WAYS = ("plain", "loop", "stacked")

MODEL = {
    "architecture": "mlp", "hidden_layers": 2, "activation": "relu", "parametrization": "mup", "gamma": 1, "init_scale": 1,
    "bias": False, "centered": True,
}  # fmt: skip
TRAINING = {
    "labels": "true", "loss": "mse", "momentum": 0.9, "weight_decay": 0, "learning_rate": 0.05, "schedule": "constant",
    "learning_rate_scaling": "function_space", "warmup_steps": 0, "max_steps": 10**9, "stop_train_loss": None,
    "evaluate": {"per_decade": 0, "first": 1}, "checkpoints": {"per_decade": 0, "first": 1}, "precision": "float32",
}  # fmt: skip


def network(seed: int, model: dict, training: dict, input_shape: tuple[int, ...]) -> Network:
    """A network with Gaussian samples."""
    generator = torch.Generator().manual_seed(seed)

    def split(count: int) -> Split:
        return Split(
            torch.randn((count, *input_shape), generator=generator), torch.randn(count, 1, generator=generator), None
        )

    member = Member(f"seed-{seed}", "benchmark", seed, {}, model, training, "")
    module = build(model, "benchmark", seed, input_shape, 1)
    return Network(member, module, split(training["train_size"]), split(256), keep=lambda step, vector: None)


def plain(found: Network, steps: int) -> Callable[[], None]:
    """What a script of PyTorch does for one network."""
    name, size, data = found.member.training["optimizer"], found.member.training["batch_size"], found.train
    options = {"lr": 0.05} if name != "momentum" else {"lr": 0.05, "momentum": 0.9}
    optimizer = (torch.optim.Adam if name == "adam" else torch.optim.SGD)(found.module.parameters(), **options)

    def turn() -> None:
        for _ in range(steps):
            chosen = torch.randint(len(data.targets), (size,))
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(found.module(data.inputs[chosen]), data.targets[chosen]).backward()
            optimizer.step()

    return turn


def turns(model: dict, training: dict, input_shape: tuple[int, ...], members: int, steps: int) -> dict[str, Callable]:
    """For each way, what takes `steps` steps with every network."""
    training = {**training, "check_every": steps}

    def networks() -> list[Network]:
        return [network(seed, model, training, input_shape) for seed in range(members)]

    loops = [plain(found, steps) for found in networks()]
    alone = [Training([found], False, CPU) for found in networks()]
    stack = Training(networks(), True, CPU)

    def advance(*trainings: Training) -> None:
        for found in trainings:
            for _ in range(steps):
                found.advance()

    return {
        "plain": lambda: [turn() for turn in loops],
        "loop": lambda: advance(*alone),
        "stacked": lambda: advance(stack),
    }


def measure(case: dict, repetitions: int) -> dict:
    """Medians of the seconds per step, and of the ratios of turns that follow each other."""
    ways = turns(**case)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(repetitions + 1):
        for way in WAYS:
            start = time.perf_counter()
            ways[way]()
            seconds[way].append((time.perf_counter() - start) / case["steps"])
    found = {way: statistics.median(seconds[way][1:]) for way in WAYS}
    for way in ("plain", "loop"):
        pairs = zip(seconds[way][1:], seconds["stacked"][1:], strict=True)
        found[f"{way}/stacked"] = statistics.median(one / other for one, other in pairs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--architecture", default="mlp", choices=("mlp", "cnn"), help="cnn sees images of 8 x 8")
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 64, 128, 256, 512])
    parser.add_argument("--members", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--batches", type=int, nargs="+", default=[32, 128])
    parser.add_argument("--inputs", type=int, default=32, help="input dimension of the mlp")
    parser.add_argument("--optimizer", default="sgd", choices=("sgd", "momentum", "adam"))
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--output", type=Path, help="write the measurements to this JSON file")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    shape = (1, 8, 8) if chosen.architecture == "cnn" else (chosen.inputs,)
    found = []
    print(f"{chosen.architecture}, {chosen.optimizer}, {chosen.threads} threads; milliseconds per step of all networks")
    print(
        f"{'width':>6} {'members':>7} {'batch':>6} {'plain':>9} {'loop':>9} {'stacked':>9} {'plain/st.':>9} {'loop/st.':>9}"
    )
    for width, members, batch in itertools.product(chosen.widths, chosen.members, chosen.batches):
        model = {**MODEL, "architecture": chosen.architecture, "width": width, "activation": chosen.activation}
        training = {**TRAINING, "train_size": 512, "batch_size": batch, "optimizer": chosen.optimizer}
        steps = max(8, min(100, 1600 // members, 2**25 // (members * batch * width)))
        case = {"model": model, "training": training, "input_shape": shape, "members": members, "steps": steps}
        times = measure(case, chosen.repetitions)
        found.append({"width": width, "members": members, "batch": batch, **times})
        milliseconds = " ".join(f"{1e3 * times[way]:9.2f}" for way in WAYS)
        ratios = " ".join(f"{times[f'{way}/stacked']:9.2f}" for way in ("plain", "loop"))
        print(f"{width:6} {members:7} {batch:6} {milliseconds} {ratios}", flush=True)
    if chosen.output:
        chosen.output.write_text(
            json.dumps({"options": {**vars(chosen), "output": None}, "cases": found}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
