"""Where each artifact lies, relative to the results folder. The rules state the same grammar as patterns."""

from pathlib import PurePosixPath as Path


def dataset(name: str) -> Path:
    return Path("datasets", f"{name}.json")


def run(experiment: str, run: str) -> Path:
    return Path("runs", experiment, run, "run.json")


def kernel(experiment: str, run: str, kernel: str) -> Path:
    return Path("kernels", experiment, run, f"{kernel}.json")


def spectrum(experiment: str, run: str, spectrum: str) -> Path:
    return Path("spectra", experiment, run, f"{spectrum}.json")


def metrics(experiment: str, run: str) -> Path:
    return Path("metrics", experiment, f"{run}.json")


def metrics_table(paper: str) -> Path:
    return Path("metrics", f"{paper}.csv")


def figure(paper: str, figure: str, extension: str) -> Path:
    return Path("figures", paper, f"{figure}.{extension}")


def claims(paper: str) -> Path:
    return Path("claims", f"{paper}.json")
