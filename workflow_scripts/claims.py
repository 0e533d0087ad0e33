"""Judge the claims of one paper by its metrics."""

import yaml

from lazyrich import jobs, tidy
from lazyrich.artifacts import write_json
from lazyrich.claims.evaluate import evaluate


def main(job: jobs.Job) -> None:
    spec = job.parameters()
    reference = yaml.safe_load(job.input("reference").read_text(encoding="utf-8"))
    table = tidy.read(job.input("table"))
    write_json(
        job.output("claims"), evaluate(spec["paper"], spec["claims"], table, scale=spec["scale"], reference=reference)
    )


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
