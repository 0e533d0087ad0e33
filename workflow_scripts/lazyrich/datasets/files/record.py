"""The files that a dataset is made from, as the record of the job that found them has them, checked again before they are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lazyrich.artifacts import read_manifest
from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.files.verification import sha256


class Files(Mapping[str, Path]):
    """Name -> path. ``digests`` has the SHA-256 of each, or of a folder's files together, as recorded."""

    def __init__(self, paths: Mapping[str, Path], digests: Mapping[str, str], record: Path | str = "") -> None:
        self._paths, self.digests, self._record = dict(paths), dict(digests), record

    def __getitem__(self, name: str) -> Path:
        return self._paths[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def check(self) -> None:
        """:class:`DataFileError` if a file is gone or is not what it was: it may be long since it was found."""
        for name, path in self._paths.items():
            mend = f"delete {self._record} and rerun to find or download it again"
            if not path.exists():
                raise DataFileError(path, f"this file of {name!r} is gone; {mend}")
            found = sha256(path)
            if found != self.digests[name]:
                raise DataFileError(
                    path,
                    f"this file has SHA-256 {found[:12]}... and had {self.digests[name][:12]}... when found; {mend}",
                )


NONE = Files({}, {})


def read_record(records: Sequence[Path]) -> Files:
    """The files of a record (a list of one path), or none (of no path)."""
    if not records:
        return NONE
    (record,) = records
    entries = read_manifest(record)["files"]
    return Files(
        {name: Path(entry["path"]) for name, entry in entries.items()},
        {name: entry["sha256"] for name, entry in entries.items()},
        record,
    )
