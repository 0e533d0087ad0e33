"""Put the tidy rows of all runs of a paper into one table."""

from lazyrich import artifacts, jobs, tidy


def main(job: jobs.Job) -> None:
    artifacts.write_text(job.output("table"), tidy.from_runs(job.input_list("runs")).to_csv(index=False))


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
