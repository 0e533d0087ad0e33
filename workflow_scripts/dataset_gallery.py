"""Draw the figure of the datasets: PNG, PDF and the plotted numbers as CSV."""

from lazyrich import jobs
from lazyrich.datasets.reading import Dataset
from lazyrich.figures.dataset_gallery import draw_gallery
from lazyrich.figures.save import save


def main(job: jobs.Job) -> None:
    samples = {path.stem: Dataset(path) for path in job.input_list("datasets")}
    figure, plotted = draw_gallery(job.parameters(), samples)
    png = job.output("png")
    save(figure, plotted, png.parent / png.stem)


if __name__ == "__main__":
    jobs.run(main, globals().get("snakemake"))
