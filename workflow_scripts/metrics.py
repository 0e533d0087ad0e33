"""Measure every member of a run with every metric of its experiment."""

import json

from lazyrich import artifacts, jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.devices import prepare
from lazyrich.kernels.store import StoredKernels
from lazyrich.metrics.measuring import measure_run
from lazyrich.metrics.member import MemberData
from lazyrich.spectra.store import StoredSpectra
from lazyrich.training.reading import TrainedRun


def main(job: jobs.Job) -> None:
    prepare(job.device, job.threads)
    run, dataset, output = TrainedRun(job.input("run")), Dataset(job.input("dataset")), job.output("table")
    kernels = {stored.name: stored for stored in map(StoredKernels, job.input_list("kernels"))}
    spectra = {stored.name: stored for stored in map(StoredSpectra, job.input_list("spectra"))}
    members = [MemberData(name, run, dataset, kernels, spectra) for name in run.members]
    with artifacts.writing(output, f"{output.stem}.zarr") as store:
        table = measure_run(job.parameters(), json.loads(job.code), members, store, job.say, job.title)
        artifacts.write_json(output, table)


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
