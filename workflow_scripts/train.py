"""Train the members of one run, several at once where that is faster, with checkpoints by step."""

from lazyrich import artifacts, jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.devices import prepare
from lazyrich.training.members import read_members
from lazyrich.training.run import train_run


def main(job: jobs.Job) -> None:
    device = prepare(job.device, job.threads)
    dataset, manifest, spec = Dataset(job.input("dataset")), job.output("manifest"), job.parameters()
    members = read_members(spec, job.code, dataset)
    with artifacts.writing(manifest, "checkpoints.zarr") as store:
        units = train_run(members, dataset, store, device, job.say, job.title)
        input_shape, outputs = dataset.shape()
        artifacts.write_manifest(
            manifest, "run", store.path.name, units, spec=spec, input_shape=list(input_shape), outputs=outputs
        )


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
