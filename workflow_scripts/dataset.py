"""Draw one dataset: every split of every draw, into a Zarr store beside the manifest."""

from lazyrich import artifacts, jobs
from lazyrich.datasets.drawing import draw_dataset, shape
from lazyrich.datasets.files.record import read_record


def main(job: jobs.Job) -> None:
    spec, manifest = job.parameters(), job.output("manifest")
    files = read_record(job.input_list("files"))
    with artifacts.writing(manifest, f"{manifest.stem}.zarr") as store:
        units = draw_dataset(spec, job.code, store, files)
        input_shape, outputs = shape(units[0])
        artifacts.write_manifest(
            manifest, "dataset", store.path.name, units, spec=spec, input_shape=input_shape, outputs=outputs
        )


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
