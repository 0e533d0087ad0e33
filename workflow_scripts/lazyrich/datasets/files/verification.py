"""SHA-256 of a file, or of all files of a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

#: Bytes read at once.
BLOCK = 2**20


def sha256(path: Path) -> str:
    """Of a file its SHA-256; of a folder, such as a Zarr group, that of the names and digests of its files, in order."""
    total = hashlib.sha256()
    if path.is_dir():
        for file in sorted(found for found in path.rglob("*") if found.is_file()):
            total.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\n".encode())
        return total.hexdigest()
    with path.open("rb") as handle:
        while block := handle.read(BLOCK):
            total.update(block)
    return total.hexdigest()
