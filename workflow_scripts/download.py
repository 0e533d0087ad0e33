"""Find or download the files that a dataset is made from, and verify them."""

from pathlib import Path

from lazyrich import artifacts, jobs
from lazyrich.datasets.files.fetching import Places
from lazyrich.datasets.files.locating import locate


def main(job: jobs.Job) -> None:
    data, downloads = job.places["data"], job.places["downloads"]
    places = Places(Path(data) if data else None, Path(downloads), offline=job.places["offline"] == "1")
    artifacts.write_json(job.output("record"), {"files": locate(job.parameters(), places, job.say)})


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
