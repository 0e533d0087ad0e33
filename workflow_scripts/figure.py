"""Draw one figure from the tidy rows of its experiment: PNG, PDF and the plotted numbers as CSV."""

from lazyrich import jobs, tidy
from lazyrich.figures.save import save
from lazyrich.plugins import load


def main(job: jobs.Job) -> None:
    spec, png = job.parameters(), job.output("png")
    figure, plotted = load("figures", spec["figure"]).draw(tidy.from_runs(job.input_list("runs")), spec)
    save(figure, plotted, png.parent / png.name.removesuffix(".png"))


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
