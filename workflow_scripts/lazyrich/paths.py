"""Where each artifact lies, relative to the results folder. The rules state the same grammar as patterns."""

from pathlib import PurePosixPath as Path


def dataset(name: str) -> Path:
    return Path("datasets", f"{name}.json")


def download(dataset: str) -> Path:
    """The record of the files that a dataset is made from."""
    return Path("downloads", f"{dataset}.json")


def run(experiment: str, run: str) -> Path:
    return Path("runs", experiment, run, "run.json")


def kernel(experiment: str, run: str, kernel: str) -> Path:
    return Path("kernels", experiment, run, f"{kernel}.json")


def kernel_store(experiment: str, run: str, kernel: str) -> Path:
    """The record that the store of a banded kernel is prepared."""
    return Path("kernels", experiment, run, f"{kernel}.bands", "store.json")


def kernel_band(experiment: str, run: str, kernel: str, band: int) -> Path:
    """The record that a band of a kernel is computed."""
    return Path("kernels", experiment, run, f"{kernel}.bands", f"band-{band}.json")


def spectrum(experiment: str, run: str, spectrum: str) -> Path:
    return Path("spectra", experiment, run, f"{spectrum}.json")


def metrics(experiment: str, run: str) -> Path:
    return Path("metrics", experiment, f"{run}.json")


def metrics_table(paper: str) -> Path:
    return Path("metrics", f"{paper}.csv")


def figure(paper: str, figure: str, extension: str) -> Path:
    return Path("figures", paper, f"{figure}.{extension}")


def gallery(extension: str) -> Path:
    """The figure of the datasets."""
    return Path("figures", f"datasets.{extension}")


def claims(paper: str) -> Path:
    return Path("claims", f"{paper}.json")
