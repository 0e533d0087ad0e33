"""Spectra of a run's stored kernels, one unit a kernel; and reading them back."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import zarr

from lazyrich.artifacts import Store, Unit, open_array, read_array, read_manifest, read_unit
from lazyrich.fingerprints import fingerprint
from lazyrich.kernels.store import StoredKernels
from lazyrich.progress import Progress
from lazyrich.seeding import numpy_generator
from lazyrich.spectra.decomposition import Eigendecomposition
from lazyrich.spectra.eigen import eigendecompose
from lazyrich.spectra.nystrom import nystrom_eigendecompose

CPU = torch.device("cpu")


def compute_spectra(
    options: dict,
    code: str,
    kernels: StoredKernels,
    store: Store,
    title: str,
    device: torch.device = CPU,
    say: Callable[[str], None] | None = None,
) -> tuple[list[Unit], list[dict]]:
    """The spectrum of every kernel of a run; members that share a kernel share its spectrum.

    ``options``: ``method``, ``k`` and ``landmarks`` (see :mod:`lazyrich.spectra.eigen` and ``nystrom``), and ``vectors``, how
    many eigenvectors are kept. Kernels are read in bands of rows where the method allows it. Each unit has eigenvalues,
    ``values`` (mode), with the bound of the error of each, ``errors`` (mode), and the leading eigenvectors, ``vectors``
    (row, kept), and says in its ``info`` how good they are. What a reader must know, such as a kernel that is not positive
    semi-definite, is also said at once.
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
        result = _decompose(open_array(kernels.group(name), "kernel"), options, name, device)
        if say is not None:
            for remark in result.remarks:
                say(f"{kernels.name} {name}: {remark}")
        unit.begin()
        unit.array("values", result.values, ("mode",))
        unit.array("errors", result.errors, ("mode",))
        unit.array("vectors", result.vectors[:, : options["vectors"]], ("row", "kept"))
        unit.finish(**result.quality)
        progress.advance()
    return list(units.values()), kernels.manifest["kernels"]


def _decompose(kernel: zarr.Array, options: dict, name: str, device: torch.device) -> Eigendecomposition:
    k = options.get("k")
    if options["method"] != "nystrom":
        return eigendecompose(kernel, k, options["method"], device=device)
    n, landmarks = kernel.shape[0], options["landmarks"]
    if landmarks > n:
        raise ValueError(f"{landmarks} landmarks were asked of kernel {name} of {n} points; take at most {n}")
    # The same for every kernel of a size, so that spectra differ by their kernels alone.
    chosen = numpy_generator("landmarks", n).permutation(n)[:landmarks]
    return nystrom_eigendecompose(kernel, np.sort(chosen), k, device=device)


@dataclass(frozen=True)
class Spectrum:
    """Leading eigenvalues of a kernel, descending, shape (k,), its leading eigenvectors in columns, shape (n, kept), and
    its trace.

    ``complete`` says whether all eigenvalues that differ from zero are there (method ``dense``).
    """

    values: np.ndarray
    vectors: np.ndarray
    trace: float
    complete: bool

    def all_values(self) -> np.ndarray:
        """``values``; ``ValueError`` if they are only the leading ones, for what reads the whole spectrum."""
        if not self.complete:
            raise ValueError(
                f"this needs all eigenvalues of the kernel, and {len(self.values)} were computed, with "
                f"{self.values.sum() / self.trace:.1%} of the trace; use `method: dense` without `k`"
            )
        return self.values


class StoredSpectra:
    """The spectra of a run, as a manifest names them."""

    def __init__(self, manifest_path: Path) -> None:
        self.path = manifest_path
        self.manifest = read_manifest(manifest_path)
        self.name = manifest_path.stem
        self._units = {(entry["member"], entry["stage"]): entry["unit"] for entry in self.manifest["kernels"]}

    def spectrum(self, member: str, stage: str) -> Spectrum:
        unit = self._units[member, stage]
        group, info = read_unit(self.path, self.manifest, unit), self.manifest["units"][unit]["info"]
        values, vectors = read_array(group, "values"), read_array(group, "vectors")
        return Spectrum(values, vectors, float(info["trace"]), len(values) == len(vectors))

    def quality(self, member: str, stage: str) -> dict:
        """How the spectrum was computed and how good it is (see :class:`lazyrich.spectra.decomposition.Eigendecomposition`)."""
        return self.manifest["units"][self._units[member, stage]]["info"]
