"""Spectra of a run's stored kernels, one unit a kernel; and reading them back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lazyrich.artifacts import Store, Unit, read_array, read_manifest, read_unit
from lazyrich.fingerprints import fingerprint
from lazyrich.kernels.store import StoredKernels
from lazyrich.progress import Progress
from lazyrich.spectra.eigen import eigendecompose


def compute_spectra(
    options: dict, code: str, kernels: StoredKernels, store: Store, title: str
) -> tuple[list[Unit], list[dict]]:
    """The spectrum of every kernel of a run; members that share a kernel share its spectrum.

    Each unit has all eigenvalues, ``values`` (mode), and the leading eigenvectors, ``vectors`` (row, kept), and says in its ``info``
    how good they are.
    """
    names = list(kernels.manifest["units"])
    units = {
        name: store.unit(name, fingerprint(options, code, kernels.manifest["units"][name]["fingerprint"]))
        for name in names
    }
    todo = [name for name in names if not units[name].complete]
    progress = Progress(title, max(1, len(todo)), "spectra")
    for name in todo:
        unit = units[name]
        result = eigendecompose(read_array(kernels.group(name), "kernel"))
        unit.begin()
        unit.array("values", result.values, ("mode",))
        unit.array("vectors", result.vectors[:, : options["vectors"]], ("row", "kept"))
        unit.finish(
            "cpu", residual=result.residual, orthogonality=result.orthogonality, most_negative=result.most_negative
        )
        progress.advance()
    return list(units.values()), kernels.manifest["kernels"]


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues of a kernel, descending, shape (n,), and its leading eigenvectors in columns, shape (n, k)."""

    values: np.ndarray
    vectors: np.ndarray


class StoredSpectra:
    """The spectra of a run, as a manifest names them."""

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)
        self.name = manifest_path.stem
        self._units = {(entry["member"], entry["stage"]): entry["unit"] for entry in self.manifest["kernels"]}

    def spectrum(self, member: str, stage: str) -> Spectrum:
        group = read_unit(self.path, self.manifest, self._units[member, stage])
        return Spectrum(read_array(group, "values"), read_array(group, "vectors"))
