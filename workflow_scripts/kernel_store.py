"""Prepare the store of a kernel for the jobs that compute its bands."""

from lazyrich import artifacts, jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.kernels.bands import kernel_manifest, prepare_store
from lazyrich.kernels.wanted import WantedKernels
from lazyrich.training.reading import TrainedRun


def main(job: jobs.Job) -> None:
    run, dataset = TrainedRun(job.input("run")), Dataset(job.input("dataset"))
    wanted = WantedKernels(job.parameters(), job.code, run, dataset)
    manifest = kernel_manifest(job.output("record"))
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        prepare_store(wanted, store, job.output("record"))


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
