"""Small trainings, in memory and through the stages, that take milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lazyrich import artifacts
from lazyrich.datasets.drawing import draw_dataset, shape
from lazyrich.datasets.reading import Dataset, Split, training_set
from lazyrich.kernels.bands import assemble_kernels, compute_band, prepare_store
from lazyrich.kernels.computing import compute_kernels
from lazyrich.kernels.store import StoredKernels
from lazyrich.kernels.wanted import WantedKernels
from lazyrich.metrics.measuring import measure_run
from lazyrich.metrics.member import MemberData
from lazyrich.spectra.store import StoredSpectra, compute_spectra
from lazyrich.training.loop import Network, Training
from lazyrich.training.members import Member, build, read_members
from lazyrich.training.reading import TrainedRun
from lazyrich.training.run import train_run

CPU = torch.device("cpu")

MODEL = {
    "architecture": "mlp", "width": 16, "hidden_layers": 2, "activation": "relu", "parametrization": "mup", "gamma": 1,
    "init_scale": 1, "bias": False, "centered": True,
}  # fmt: skip

TRAINING = {
    "train_size": 24, "labels": "true", "label_noise": 0, "loss": "mse", "optimizer": "sgd", "momentum": 0.9, "weight_decay": 0,
    "learning_rate": 0.1, "learning_rate_scaling": "function_space", "schedule": "constant", "warmup_steps": 0,
    "batch_size": 8, "max_steps": 20, "stop_train_loss": None, "check_every": 5,
    "evaluate": {"per_decade": 4, "first": 1}, "checkpoints": {"per_decade": 3, "first": 1}, "precision": "float32",
}  # fmt: skip


# -- in memory -------------------------------------------------------------------------------------------------------


def samples(count: int, input_shape: tuple[int, ...], outputs: int, seed: int) -> Split:
    """Gaussian inputs with a smooth target of each output."""
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn((count, *input_shape), generator=generator, dtype=torch.float64)
    flat = inputs.flatten(1)
    targets = torch.sin(flat @ torch.randn((flat.shape[1], outputs), generator=generator, dtype=torch.float64))
    return Split(inputs.float(), targets.float(), targets.argmax(dim=1) if outputs > 1 else None)


def network(seed: int, model: dict, training: dict, input_shape: tuple[int, ...] = (6,), outputs: int = 2) -> Network:
    """A network in training; ``checkpoints`` of it collects (step, parameter vector)."""
    model, training = {**MODEL, **model}, {**TRAINING, **training}
    member = Member(f"seed-{seed}", "experiment", seed, {}, model, training, f"{seed}-{training['train_size']}")
    whole = samples(64, input_shape, outputs, seed)
    checkpoints: list[tuple[int, Tensor]] = []
    found = Network(
        member, build(model, "experiment", seed, input_shape, outputs),
        train=training_set(whole, training, "experiment", seed), test=samples(16, input_shape, outputs, 1000 + seed),
        keep=lambda step, vector: checkpoints.append((step, vector.clone())),
    )  # fmt: skip
    found.checkpoints = checkpoints  # type: ignore[attr-defined]
    return found


def finish(networks: Sequence[Network], stacked: bool = True) -> Sequence[Network]:
    """Train to the end."""
    training = Training(list(networks), stacked, CPU)
    while training.running:
        training.advance()
    return networks


# -- through the stages, as the scripts do it ---------------------------------------------------------------------------

CHAIN = {
    "dataset": "chain",
    "generator": "chain_monomial",
    "dimension": 8,
    "rank": 3,
    "train": 48,
    "test": 32,
    "probe": 24,
    "draws": 2,
}
DIGITS = {"dataset": "digits", "generator": "digits", "train": 64, "test": 32, "probe": 24, "draws": 2}


def silent(_: str) -> None:
    """Says nothing."""


def dataset(folder: Path, spec: dict = CHAIN, code: str = "code") -> Dataset:
    manifest = folder / "datasets" / f"{spec['dataset']}.json"
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        units = draw_dataset(spec, code, store)
        input_shape, outputs = shape(units[0])
        artifacts.write_manifest(
            manifest, "dataset", store.path.name, units, spec=spec, input_shape=input_shape, outputs=outputs
        )
    return Dataset(manifest)


def run_spec(members: dict[str, dict], model: dict | None = None, training: dict | None = None, **axes: object) -> dict:
    """The specification of a run whose members set what ``members`` says: name -> {"seed", "axes", "set"}."""
    base = {"model": {**MODEL, **(model or {})}, "training": {**TRAINING, **(training or {})}}
    entries = {name: {"axes": {}, "seed": 0, "set": {}, **entry} for name, entry in members.items()}
    return {"experiment": "experiment", "run": "base", "axes": axes, "base": base, "members": entries}


def seeds(count: int) -> dict[str, dict]:
    return {f"seed-{seed}": {"seed": seed} for seed in range(count)}


def train(folder: Path, data: Dataset, spec: dict, code: str = "code", save_every: float = 10.0) -> TrainedRun:
    manifest = folder / "run" / "run.json"
    members = read_members(spec, code, data)
    with artifacts.writing(manifest, "checkpoints.zarr") as store:
        units = train_run(members, data, store, CPU, silent, "train", save_every)
        input_shape, outputs = data.shape()
        artifacts.write_manifest(
            manifest, "run", store.path.name, units, spec=spec, input_shape=list(input_shape), outputs=outputs
        )
    return TrainedRun(manifest)


KERNEL = {"object": "empirical_ntk", "at": ["initial", "final"], "rows": {"probe": 24}, "columns": None, "outputs": "trace",
          "dtype": "float64", "shard": 16}  # fmt: skip


def kernels(
    folder: Path, run: TrainedRun, data: Dataset, name: str = "ntk", code: str = "code", **options: object
) -> StoredKernels:
    manifest, wanted = folder / "kernels" / f"{name}.json", WantedKernels({**KERNEL, **options}, code, run, data)
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        units = compute_kernels(wanted, store, CPU, silent, "kernel")
        artifacts.write_manifest(
            manifest, "kernel", store.path.name, units, spec=wanted.options, kernels=wanted.entries
        )
    return StoredKernels(manifest)


@dataclass(frozen=True)
class BandedKernel:
    """One kernel through the jobs of the banded route, called one after the other or from several processes."""

    manifest: Path
    wanted: WantedKernels
    bands: int

    def record(self, name: str) -> Path:
        return self.manifest.with_suffix(".bands") / f"{name}.json"

    def prepare(self) -> None:
        with artifacts.writing(self.manifest, f"{self.manifest.stem}.zarr") as store:
            prepare_store(self.wanted, store, self.record("store"))

    def compute(self, band: int) -> None:
        compute_band(self.wanted, band, self.bands, self.record(f"band-{band}"), CPU, silent, "kernel_band")

    def assemble(self) -> StoredKernels:
        records = [self.record(f"band-{band}") for band in range(self.bands)]
        with artifacts.writing(self.manifest, f"{self.manifest.stem}.zarr") as store:
            units = assemble_kernels(self.wanted, records, store, silent)
            artifacts.write_manifest(
                self.manifest, "kernel", store.path.name, units, spec=self.wanted.options, kernels=self.wanted.entries
            )
        return StoredKernels(self.manifest)


def banded_kernel(
    folder: Path, run: TrainedRun, data: Dataset, bands: int, name: str = "ntk", code: str = "code", **options: object
) -> BandedKernel:
    return BandedKernel(
        folder / "kernels" / f"{name}.json", WantedKernels({**KERNEL, **options}, code, run, data), bands
    )


def spectra(
    folder: Path, stored: StoredKernels, name: str = "spectrum", code: str = "code", vectors: int | None = None
) -> StoredSpectra:
    manifest, spec = folder / "spectra" / f"{name}.json", {"kernel": stored.name, "method": "dense", "vectors": vectors}
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        units, entries = compute_spectra(spec, code, stored, store, "spectrum")
        artifacts.write_manifest(manifest, "spectrum", store.path.name, units, spec=spec, kernels=entries)
    return StoredSpectra(manifest)


def member_data(run: TrainedRun, data: Dataset, *stored: StoredKernels | StoredSpectra) -> list[MemberData]:
    found_kernels = {item.name: item for item in stored if isinstance(item, StoredKernels)}
    found_spectra = {item.name: item for item in stored if isinstance(item, StoredSpectra)}
    return [MemberData(name, run, data, found_kernels, found_spectra) for name in run.members]


def measure(
    folder: Path, metrics: dict[str, dict], members: list[MemberData], code: dict[str, str] | None = None
) -> list[dict]:
    with artifacts.writing(folder / "metrics" / "base.json", "base.zarr") as store:
        return measure_run(metrics, code or dict.fromkeys(metrics, "code"), members, store, silent, "metrics")


def digests(reader: Dataset | TrainedRun | StoredKernels | StoredSpectra) -> dict:
    """Unit -> digests of its arrays, and where it comes from, which changes whenever it is computed."""
    return {name: (unit["arrays"], unit["provenance"]) for name, unit in reader.manifest["units"].items()}


class Killed(BaseException):
    """What stops a job in the middle."""
