"""Decompose one kernel of a run: eigenvalues and eigenvectors, with how good they are."""

from lazyrich import artifacts, jobs
from lazyrich.devices import prepare
from lazyrich.kernels.store import StoredKernels
from lazyrich.spectra.store import compute_spectra


def main(job: jobs.Job) -> None:
    device = prepare(job.device, job.threads)
    kernels, manifest = StoredKernels(job.input("kernel")), job.output("manifest")
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        units, entries = compute_spectra(job.parameters(), job.code, kernels, store, job.title, device, job.say)
        artifacts.write_manifest(manifest, "spectrum", store.path.name, units, spec=job.parameters(), kernels=entries)


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
