"""The stage spectrum by each method: what is stored, what is said, and what cannot be read from part of a spectrum."""

import numpy as np
import pytest

from lazyrich import artifacts
from lazyrich.spectra.eigen import eigendecompose
from lazyrich.spectra.store import StoredSpectra, compute_spectra
from small_runs import CPU, kernels, measure, member_data


def spectra(folder, stored, name="spectrum", said=None, **options):
    manifest = folder / "spectra" / f"{name}.json"
    spec = {"kernel": stored.name, "method": "auto", "k": None, "landmarks": None, "vectors": None, **options}
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        say = (lambda _: None) if said is None else said.append
        units, entries = compute_spectra(spec, "code", stored, store, "spectrum", CPU, say)
        artifacts.write_manifest(manifest, "spectrum", store.path.name, units, spec=spec, kernels=entries)
    return StoredSpectra(manifest)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, trained):
    run, data = trained
    return kernels(tmp_path_factory.mktemp("kernels"), run, data)


@pytest.mark.parametrize(
    ("method", "options"),
    [("lanczos", {"k": 5}), ("randomized", {"k": 5}), ("dense", {"k": 5}), ("nystrom", {"k": 5, "landmarks": 24}),
     ("auto", {})],
)  # fmt: skip
def test_every_method_stores_its_spectrum_and_its_quality(tmp_path, stored, method, options):
    exact = eigendecompose(stored.matrix("seed-0", "final"))
    found = spectra(tmp_path, stored, method=method, vectors=3, **options)
    spectrum, quality = found.spectrum("seed-0", "final"), found.quality("seed-0", "final")
    k = options.get("k", 24)
    np.testing.assert_allclose(spectrum.values, exact.values[:k], rtol=1e-7)
    np.testing.assert_allclose(np.abs((spectrum.vectors * exact.vectors[:, :3]).sum(axis=0)), 1, rtol=1e-7)
    assert spectrum.trace == pytest.approx(exact.trace) and spectrum.complete == (k == 24)
    assert quality["method"] == ("dense" if method == "auto" else method)
    assert quality["captured"] == pytest.approx(exact.values[:k].sum() / exact.trace, rel=1e-7)
    assert quality["residual"] < 1e-7 and quality["orthogonality"] < 1e-7
    assert quality["positive_semidefinite"] and quality["converged"] and quality["remarks"] == []
    assert quality["most_negative"] >= exact.values[-1] - 1e-12 * exact.values[0]


def test_few_landmarks_give_a_part_of_the_spectrum_and_the_same_points_for_every_kernel(tmp_path, stored):
    found = spectra(tmp_path, stored, method="nystrom", landmarks=8)
    assert found.spectrum("seed-0", "final").values.shape == (8,)
    assert found.quality("seed-0", "final")["residual"] > 1e-6
    again = spectra(tmp_path, stored, "again", method="nystrom", landmarks=8)
    assert np.array_equal(found.spectrum("seed-0", "final").vectors, again.spectrum("seed-0", "final").vectors)
    with pytest.raises(ValueError, match=r"25 landmarks were asked of kernel seed-0\.initial of 24 points"):
        spectra(tmp_path, stored, "many", method="nystrom", landmarks=25)


def test_what_reads_the_whole_spectrum_refuses_a_part_of_it(tmp_path, trained):
    run, data = trained
    conjugate = kernels(tmp_path, run, data, "ck", object="conjugate_kernel")
    members = member_data(run, data, conjugate, spectra(tmp_path, conjugate, k=12, method="lanczos"))[:1]
    with pytest.raises(
        ValueError, match=r"needs all eigenvalues of the kernel, and 12 were computed, with [0-9.]+% of"
    ):
        measure(tmp_path, {"conjugate_kernel_strength": {"kernel": "ck", "spectrum": "spectrum"}}, members)


def test_a_kernel_that_is_not_positive_semidefinite_is_said_at_once_and_stored(tmp_path, trained, monkeypatch):
    from lazyrich.kernels.objects import conjugate_kernel as module

    run, data = trained
    monkeypatch.setattr(
        module, "compute", lambda model, rows, columns, options: np.diag(np.linspace(-0.2, 1, len(rows)))
    )
    broken = kernels(tmp_path, run, data, "broken", object="conjugate_kernel", at=["initial"], shard=100)
    said: list[str] = []
    found = spectra(tmp_path, broken, said=said)
    assert len(said) == 1 and said[0].startswith("broken seed-0.initial: the matrix is not positive semi-definite")
    quality = found.quality("seed-0", "initial")
    assert quality["most_negative"] == pytest.approx(-0.2) and not quality["positive_semidefinite"]
    assert f"broken seed-0.initial: {quality['remarks'][0]}" == said[0]
