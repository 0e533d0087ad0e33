"""What there is to do for datasets: the files that they are made from, their draws, and the figure that shows them.

A part of :class:`lazyrich.plan.Plan`, and like it imported by the Snakefile: the standard library, PyYAML and jsonschema only.
"""

import os
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from lazyrich import paths, plugins, yaml_source
from lazyrich.fingerprints import canonical, code_digest

#: Keys of a dataset that say which files it is made from.
FILE_KEYS = ("files", "path", "parts")

#: Keys of a dataset that say how much of it is drawn.
POINT_KEYS = ("train", "test", "probe", "draws")


class DatasetPlan:
    """The plan of the datasets of one configuration.

    ``data``, ``downloads`` and ``offline`` say where files are looked for and put. They stand in no ``spec``, as they decide nothing
    about a result.
    """

    def __init__(
        self, datasets: Mapping[str, dict], settings: Mapping[str, Any], registry: Path, used: Collection[str]
    ) -> None:
        self._datasets, self._registry, self._used = datasets, registry, used
        self._results: str = settings["results"]
        self.data: str = os.environ.get("LAZYRICH_DATA") or settings["data"] or ""
        self.downloads: str = settings["downloads"]
        self.offline: int = int(settings["offline"])

    def module(self, name: str) -> str:
        """The module that makes a dataset."""
        return plugins.module_name("datasets", self._datasets[name]["generator"])

    def spec(self, wildcards) -> str:
        return canonical({"dataset": wildcards.dataset, **self._datasets[wildcards.dataset]})

    def code(self, wildcards) -> str:
        return code_digest("dataset.py", (self.module(wildcards.dataset),))

    # -- files ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _sources(self) -> dict[str, dict]:
        """The registry of files, by generator."""
        content: Any = yaml_source.read(self._registry, f"resources/{self._registry.name}")[0]
        return content or {}

    def record(self, wildcards) -> list[str]:
        """The record of the files that a dataset is made from; none of a dataset that needs no file."""
        spec = self._datasets[wildcards.dataset]
        needed = "path" in spec or spec["generator"] in self._sources
        return [f"{self._results}/{paths.download(wildcards.dataset)}"] if needed else []

    def own_files(self, wildcards) -> list[str]:
        """The user's own file that a dataset is made from, so that a change in it is seen; of a Zarr group, its metadata."""
        spec = self._datasets[wildcards.dataset]
        if "path" not in spec:
            return []
        path = Path(spec["path"])
        if not path.exists() and self.data and (Path(self.data) / path).exists():
            path = Path(self.data) / path
        return [str(path / "zarr.json" if path.is_dir() else path)]

    def download_spec(self, wildcards) -> str:
        """What the registry says of the files, and the keys of the dataset that choose among them or name others."""
        spec = self._datasets[wildcards.dataset]
        chosen = {key: spec[key] for key in ("generator", *FILE_KEYS) if key in spec}
        entry = None if "files" in spec else self._sources.get(spec["generator"])
        return canonical({"dataset": wildcards.dataset, **chosen, "entry": entry})

    def download_code(self, wildcards) -> str:
        return code_digest("download.py", (self.module(wildcards.dataset),))

    # -- the figure -----------------------------------------------------------------------------------------------------

    def gallery_spec(self, wildcards) -> str:
        """Every dataset with a target in closed form, and of the others those that an experiment uses."""
        shown = [name for name in self._datasets if name in self._used or self._is_pictured(name)]
        return canonical({name: {key: self._datasets[name][key] for key in self._seen(name)} for name in shown})

    def _seen(self, name: str) -> list[str]:
        """The keys of a dataset that show: a target does not depend on how many points are drawn."""
        return [key for key in self._datasets[name] if not (key in POINT_KEYS and self._is_pictured(name))]

    def gallery_code(self, wildcards) -> str:
        pictured = {self.module(name) for name in self._datasets if self._is_pictured(name)}
        return code_digest("dataset_gallery.py", tuple(sorted(pictured)))

    def gallery_samples(self, wildcards) -> list[str]:
        """The datasets of which samples are shown."""
        shown = [name for name in self._datasets if name in self._used and not self._is_pictured(name)]
        return [f"{self._results}/{paths.dataset(name)}" for name in shown]

    def _is_pictured(self, name: str) -> bool:
        """Whether a dataset is shown from what it is, by its module's ``picture``, and not by its samples."""
        return plugins.defines("datasets", self._datasets[name]["generator"], "picture")
