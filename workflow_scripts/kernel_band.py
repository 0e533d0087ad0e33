"""Compute one band of a kernel: some of its rows of tiles, of every member, at every checkpoint that the configuration names."""

from lazyrich import jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.devices import prepare
from lazyrich.kernels.bands import compute_band
from lazyrich.kernels.wanted import WantedKernels
from lazyrich.training.reading import TrainedRun


def main(job: jobs.Job) -> None:
    device, spec = prepare(job.device, job.threads), job.parameters()
    run, dataset = TrainedRun(job.input("run")), Dataset(job.input("dataset"))
    wanted = WantedKernels(spec["kernel"], job.code, run, dataset)
    compute_band(wanted, spec["band"], spec["bands"], job.output("record"), device, job.say, job.title)


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
