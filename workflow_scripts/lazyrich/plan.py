"""What there is to do: runs, inputs of each step, and the two digests by which a step is rerun exactly when it must be.

The rules call the methods with their wildcards. For each stage there is ``<stage>_spec``, the canonical form of exactly the
configuration that the step reads, ``<stage>_code``, the digest of exactly the code that it can execute, and its inputs.
Only the standard library, PyYAML and jsonschema are imported here: every cluster job parses the Snakefile again.
"""

import os
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

from lazyrich import paths, sweeps
from lazyrich.configuration import Configuration
from lazyrich.fingerprints import canonical, code_digest, fingerprint
from lazyrich.metric_inputs import named
from lazyrich.plan_datasets import DatasetPlan
from lazyrich.plan_resources import ResourcePlan
from lazyrich.plugins import module_name
from lazyrich.scales import large_enough, larger
from lazyrich.tiling import band_count

#: What computes kernels: the whole in one job, or its store, its bands, and the whole once more to check and complete it.
KERNEL_SCRIPTS = ("kernel.py", "kernel_store.py", "kernel_band.py")


class Figure(NamedTuple):
    """A figure: the plugin that draws it, with which options, from the metrics of which experiments."""

    plugin: str
    options: dict
    experiments: list[str]


class Plan:
    """The plan of one configuration."""

    def __init__(self, configuration: Configuration, root: Path) -> None:
        self.configuration, self.root = configuration, root
        self.results: str = configuration.settings["results"]
        self.scale: str = configuration.scale
        self.experiments = {
            name: spec
            for name, spec in configuration.experiments.items()
            if large_enough(self.scale, spec["smallest_scale"])
        }
        """Those of which something is computed at this scale."""

        self.device: str = configuration.settings["device"]
        used = {run.spec["dataset"] for runs in self.runs.values() for run in runs.values()}
        registry = root / "resources" / "sources.yaml"
        self.datasets = DatasetPlan(configuration.datasets, configuration.settings, registry, used)
        self.resources = ResourcePlan(self.run, self.named)

    @cached_property
    def runs(self) -> dict[str, dict[str, sweeps.Run]]:
        """Experiment -> run name -> run."""
        return {name: sweeps.runs(name, spec) for name, spec in self.experiments.items()}

    @cached_property
    def papers(self) -> dict[str, list[str]]:
        """Paper -> its experiments."""
        found: dict[str, list[str]] = {paper: [] for paper in self.configuration.papers}
        for name, spec in self.experiments.items():
            found[spec["paper"]].append(name)
        return {paper: names for paper, names in found.items() if names}

    def path(self, relative: object) -> str:
        """A path of :mod:`lazyrich.paths` under the results folder."""
        return f"{self.results}/{relative}"

    def run(self, wildcards) -> sweeps.Run:
        """The run of a job."""
        return self.runs[wildcards.experiment][wildcards.run]

    # -- training -------------------------------------------------------------------------------------------------------

    def dataset(self, wildcards) -> str:
        """The dataset of a run."""
        return self.path(paths.dataset(self.run(wildcards).spec["dataset"]))

    def training_spec(self, wildcards) -> str:
        run = self.run(wildcards)
        return canonical(
            {
                "experiment": run.experiment,
                "run": run.name,
                "axes": run.axes,
                "base": {"model": run.spec["model"], "training": run.spec["training"]},
                "members": sweeps.members(run.spec),
            }
        )

    def training_code(self, wildcards) -> str:
        return code_digest("train.py", self._models(wildcards.experiment, wildcards.run))

    @cache  # noqa: B019 - a plan lives as long as the process
    def _models(self, experiment: str, run: str) -> tuple[str, ...]:
        """The modules of the architectures in a run."""
        run_spec = self.runs[experiment][run].spec
        key = "model.architecture"
        swept = (
            member["set"].get(key, run_spec["model"]["architecture"]) for member in sweeps.members(run_spec).values()
        )
        return tuple(sorted({module_name("models", architecture) for architecture in swept}))

    # -- kernels and spectra --------------------------------------------------------------------------------------------

    def run_manifest(self, wildcards) -> str:
        return self.path(paths.run(wildcards.experiment, wildcards.run))

    def _kernel(self, wildcards) -> dict:
        return self.run(wildcards).spec["kernels"][wildcards.kernel]

    def kernel_spec(self, wildcards) -> str:
        """Without ``band``, which decides who computes a tile and not what it is."""
        return canonical({option: value for option, value in self._kernel(wildcards).items() if option != "band"})

    def kernel_code(self, wildcards) -> str:
        """One digest for all scripts of the stage: whichever of them computes a kernel, it is the same kernel."""
        modules = (
            module_name("kernels", self._kernel(wildcards)["object"]),
            *self._models(wildcards.experiment, wildcards.run),
        )
        return fingerprint(*(code_digest(script, modules) for script in KERNEL_SCRIPTS))

    def kernel_store(self, wildcards) -> str:
        return self.path(paths.kernel_store(wildcards.experiment, wildcards.run, wildcards.kernel))

    def kernel_bands(self, wildcards) -> list[str]:
        """The bands of a kernel that is too large for one job; none of any other."""
        count = band_count(self._kernel(wildcards))
        place = (wildcards.experiment, wildcards.run, wildcards.kernel)
        return [self.path(paths.kernel_band(*place, band)) for band in range(count)] if count > 1 else []

    def band_spec(self, wildcards) -> str:
        options = self._kernel(wildcards)
        kernel = {option: value for option, value in options.items() if option != "band"}
        return canonical({"band": int(wildcards.band), "bands": band_count(options), "kernel": kernel})

    def spectrum_kernel(self, wildcards) -> str:
        """The kernel that a spectrum is the spectrum of."""
        kernel = self.run(wildcards).spec["spectra"][wildcards.spectrum]["kernel"]
        return self.path(paths.kernel(wildcards.experiment, wildcards.run, kernel))

    def spectrum_spec(self, wildcards) -> str:
        return canonical(self.run(wildcards).spec["spectra"][wildcards.spectrum])

    # -- metrics --------------------------------------------------------------------------------------------------------

    def metrics_spec(self, wildcards) -> str:
        return canonical(self.run(wildcards).spec["metrics"])

    def metrics_code(self, wildcards) -> str:
        """One digest a metric: an edit in one leaves the others' results alone."""
        run_spec = self.run(wildcards).spec
        shared = (self.datasets.module(run_spec["dataset"]), *self._models(wildcards.experiment, wildcards.run))
        return canonical(
            {name: code_digest("metrics.py", (module_name("metrics", name), *shared)) for name in run_spec["metrics"]}
        )

    def metrics_kernels(self, wildcards) -> list[str]:
        names = self.named(wildcards, "kernel")
        return [self.path(paths.kernel(wildcards.experiment, wildcards.run, name)) for name in names]

    def metrics_spectra(self, wildcards) -> list[str]:
        names = self.named(wildcards, "spectrum")
        return [self.path(paths.spectrum(wildcards.experiment, wildcards.run, name)) for name in names]

    def named(self, wildcards, kind: str) -> list[str]:
        """The kernels or spectra that the run's metrics name: a metric reads one exactly if an option names it."""
        metrics: Mapping[str, Mapping] = self.run(wildcards).spec["metrics"]
        return sorted({name for options in metrics.values() for name in named(options, kind)})

    def experiment_metrics(self, experiment: str) -> list[str]:
        return [self.path(paths.metrics(experiment, run)) for run in self.runs[experiment]]

    def paper_metrics(self, wildcards) -> list[str]:
        return [path for experiment in self.papers[wildcards.paper] for path in self.experiment_metrics(experiment)]

    # -- figures and claims ---------------------------------------------------------------------------------------------

    @cached_property
    def figures(self) -> dict[tuple[str, str], Figure]:
        """(paper, figure) -> what it shows, and how. A figure of one experiment is called ``<experiment>-<figure>``, one of the
        whole paper just ``<figure>``."""
        of_one = {
            (spec["paper"], f"{experiment}-{figure}"): Figure(figure, options, [experiment])
            for experiment, spec in self.experiments.items()
            for figure, options in spec["figures"].items()
        }
        of_all = {
            (paper, figure): Figure(figure, options, experiments)
            for paper, experiments in self.papers.items()
            for figure, options in self.configuration.papers[paper]["figures"].items()
        }
        return of_one | of_all

    def _figure(self, wildcards) -> Figure:
        return self.figures[wildcards.paper, wildcards.figure]

    def figure_metrics(self, wildcards) -> list[str]:
        return [path for name in self._figure(wildcards).experiments for path in self.experiment_metrics(name)]

    def figure_spec(self, wildcards) -> str:
        figure = self._figure(wildcards)
        return canonical({"figure": figure.plugin, **figure.options})

    def figure_code(self, wildcards) -> str:
        return code_digest("figure.py", (module_name("figures", self._figure(wildcards).plugin),))

    def claims_spec(self, wildcards) -> str:
        """With the claims of experiments that are not computed at this scale, which cannot be judged below theirs."""
        claims = {
            name: {
                claim: {**options, "smallest_scale": larger(options["smallest_scale"], spec["smallest_scale"])}
                for claim, options in spec["claims"].items()
            }
            for name, spec in self.configuration.experiments.items()
            if spec["paper"] == wildcards.paper
        }
        return canonical({"paper": wildcards.paper, "scale": self.scale, "claims": claims})

    def reference(self, wildcards) -> str:
        """The published numbers of a paper."""
        return os.path.relpath(self.root / "resources" / "reference" / f"{wildcards.paper}.yaml")

    def code(self, script: str) -> str:
        """The digest of a step whose code does not depend on the configuration."""
        return code_digest(script)

    # -- collections: what the named targets ask for -----------------------------------------------------------------------

    def stage(self, stage: str, papers: list[str] | None = None) -> list[str]:
        """Every artifact of a stage, for all or some papers; the figure of the datasets belongs to all."""
        chosen = [name for paper in (papers or self.papers) for name in self.papers[paper]]
        runs = [run for name in chosen for run in self.runs[name].values()]
        match stage:
            case "datasets":
                return sorted({self.path(paths.dataset(run.spec["dataset"])) for run in runs})
            case "downloads":
                used = {run.spec["dataset"] for run in runs}
                return sorted(path for name in used for path in self.datasets.record(SimpleNamespace(dataset=name)))
            case "training":
                return [self.path(paths.run(run.experiment, run.name)) for run in runs]
            case "kernels":
                return [
                    self.path(paths.kernel(run.experiment, run.name, name))
                    for run in runs
                    for name in run.spec["kernels"]
                ]
            case "spectra":
                return [
                    self.path(paths.spectrum(run.experiment, run.name, name))
                    for run in runs
                    for name in run.spec["spectra"]
                ]
            case "metrics":
                return [self.path(paths.metrics_table(paper)) for paper in (papers or self.papers)]
            case "figures":
                return [
                    self.path(paths.figure(paper, figure, "png"))
                    for paper, figure in self.figures
                    if paper in (papers or self.papers)
                ] + ([] if papers else [self.path(paths.gallery("png"))])
            case "claims":
                return [self.path(paths.claims(paper)) for paper in (papers or self.papers)]
        raise ValueError(
            f"no stage {stage!r}; there are downloads, datasets, training, kernels, spectra, metrics, figures, claims"
        )
