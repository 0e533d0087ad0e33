"""Compute one kernel of a run: of every member, at every checkpoint that the configuration names."""

from lazyrich import artifacts, jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.devices import prepare
from lazyrich.kernels.store import compute_kernels
from lazyrich.training.reading import TrainedRun


def main(job: jobs.Job) -> None:
    device = prepare(job.device, job.threads)
    run, dataset, manifest = TrainedRun(job.input("run")), Dataset(job.input("dataset")), job.output("manifest")
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        units, kernels = compute_kernels(job.parameters(), job.code, run, dataset, store, device, job.say, job.title)
        artifacts.write_manifest(manifest, "kernel", store.path.name, units, spec=job.parameters(), kernels=kernels)


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
