"""Put the verdicts of all papers into results/claims.csv."""

import json

from lazyrich import jobs
from lazyrich.artifacts import write_text
from lazyrich.claims.table import to_csv


def main(job: jobs.Job) -> None:
    records = [record for path in job.input_list("claims") for record in json.loads(path.read_text(encoding="utf-8"))]
    write_text(job.output("table"), to_csv(records))


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
