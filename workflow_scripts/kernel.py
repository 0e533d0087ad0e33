"""Compute one kernel of a run: of every member, at every checkpoint that the configuration names. Or complete what bands computed."""

from lazyrich import artifacts, jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.devices import prepare
from lazyrich.kernels.bands import assemble_kernels
from lazyrich.kernels.computing import compute_kernels
from lazyrich.kernels.wanted import WantedKernels
from lazyrich.training.reading import TrainedRun


def main(job: jobs.Job) -> None:
    device = prepare(job.device, job.threads)
    run, dataset = TrainedRun(job.input("run")), Dataset(job.input("dataset"))
    wanted = WantedKernels(job.parameters(), job.code, run, dataset)
    manifest, bands = job.output("manifest"), job.input_list("bands")
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        if bands:
            units = assemble_kernels(wanted, bands, store, job.say)
        else:
            units = compute_kernels(wanted, store, device, job.say, job.title)
        content = {"spec": wanted.options, "kernels": wanted.entries}
        artifacts.write_manifest(manifest, "kernel", store.path.name, units, **content)


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
