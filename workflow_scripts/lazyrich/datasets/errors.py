"""The one error of files that datasets are made from."""

from __future__ import annotations

from pathlib import Path


class DataFileError(ValueError):
    """A file that is missing, not the one that was asked for, or malformed; the message names the file and the mend."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path, self.problem = path, problem
