"""Named members of a .tar or .tar.gz, read in one pass into memory; nothing is extracted to disk.

An archive is a sequence of 512-byte headers, each followed by its member's bytes, padded to 512; a header of zeros ends it (POSIX.1
ustar). A header holds a checksum of itself and none of the member.

``tarfile`` parses the single headers. Its walk over an archive is not used: in Python 3.11.7, 400 extended headers in a row end in
RecursionError, one of 160,000 digits takes over 10 s (CVE-2024-6232: the time is quadratic), and a negative size leads back to the
same header for ever (CVE-2025-8194).
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.formats.files import ByteStream, shown

#: Largest member whose size the caller does not state, in bytes.
MEMBER_LIMIT = 256 * 2**20
#: Most entries of an archive.
ENTRY_LIMIT = 10_000
#: Longest extended header (pax records, long names), in bytes.
EXTENDED_LIMIT = 2**16

_BLOCK = tarfile.BLOCKSIZE
#: Entries without bytes of their own, whatever size their header states.
_BARE = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
_EXTENDED = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
#: Records of an extended header that would replace what the next header says.
_OVERRIDES = ("path", "linkpath", "size", "GNU.sparse")


def read_members(
    path: Path | str,
    members: Mapping[str, int | None],
    *,
    entry_limit: int = ENTRY_LIMIT,
    total_limit: int | None = None,
) -> dict[str, bytes]:
    """The bytes of every one of ``members``, a mapping from name to size (``None``: any up to :data:`MEMBER_LIMIT`).

    ``total_limit`` bounds the decompressed archive: by default twice the members and 64 MiB. ``DataFileError`` for a damaged,
    truncated or oversized archive, for any entry whose name is absolute or contains ``..``, and for a wanted member that is missing,
    there twice, no plain file, or of another size.
    """
    if total_limit is None:
        total_limit = 2 * sum(MEMBER_LIMIT if size is None else size for size in members.values()) + 64 * 2**20
    found: dict[str, bytes] = {}
    names: list[str] = []
    with ByteStream(path, total_limit) as stream:
        while (header := _next_header(stream)) is not None:
            if len(names) == entry_limit:
                raise DataFileError(path, f"has more than {entry_limit} entries; get the official archive")
            if header.type in _EXTENDED:
                _refuse_overrides(stream, header.size)
                names.append("(an extended header)")
                continue
            name = _safe_name(path, header.name)
            names.append(name)
            if name in members:
                if name in found:
                    raise DataFileError(path, f"has the member {shown(name)} twice; get the official archive")
                _check(path, name, header, members[name])
                found[name] = bytes(stream.exactly(header.size, f"the member {shown(name)}"))
                stream.skip(-header.size % _BLOCK, f"the padding of {shown(name)}")
            elif header.type not in _BARE:
                stream.skip(header.size + -header.size % _BLOCK, f"the entry {shown(name)}")
        while rest := stream.read(2**20):  # to the end, where gzip keeps its checksum
            if rest.strip(b"\0"):
                raise DataFileError(path, "has bytes after the end of the archive; get the official archive")
    missing = [name for name in members if name not in found]
    if missing:
        there = ", ".join(map(shown, names[:20])) + (" and others" if len(names) > 20 else "")
        raise DataFileError(
            path, f"has no member {shown(missing[0])}; it has {there or 'none'}: get the official archive"
        )
    return found


def _next_header(stream: ByteStream) -> tarfile.TarInfo | None:
    block = bytes(stream.exactly(_BLOCK, "the archive, before its end mark"))
    if not block.strip(b"\0"):
        return None
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError) as error:
        problem = f"is no tar archive or is damaged: {error} in the header of an entry; get it again"
        raise DataFileError(stream.path, problem) from error
    if header.size < 0:
        raise DataFileError(stream.path, f"states the size {header.size} for an entry; get it again")
    return header


def _refuse_overrides(stream: ByteStream, size: int) -> None:
    """Pass over the records ``length key=value`` of an extended header; one that changes what the next entry is, is refused."""
    if size > EXTENDED_LIMIT:
        raise DataFileError(stream.path, f"has an extended header of {size} bytes; get the official archive")
    records = bytes(stream.exactly(size, "an extended header"))
    stream.skip(-size % _BLOCK, "the padding of an extended header")
    for record in records.split(b"\n"):
        key = record.partition(b"=")[0].rpartition(b" ")[2].decode("utf-8", "replace")
        if key.startswith(_OVERRIDES):
            raise DataFileError(
                stream.path,
                f"has an extended header with {shown(key)}, which is not supported; get the official archive, or pack it "
                "again with `tar --format=ustar`",
            )


def _safe_name(path: Path | str, name: str) -> str:
    pure = PurePosixPath(name.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts:
        raise DataFileError(
            path, f"has an entry named {shown(name)}, which points outside: do not use it; get the official archive"
        )
    return str(PurePosixPath(name))


def _check(path: Path | str, name: str, header: tarfile.TarInfo, size: int | None) -> None:
    if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
        raise DataFileError(
            path, f"the member {shown(name)} is a link, folder or device, not a file; get the official archive"
        )
    if size is None and header.size > MEMBER_LIMIT:
        raise DataFileError(path, f"the member {shown(name)} has {header.size} bytes, over the limit of {MEMBER_LIMIT}")
    if size is not None and header.size != size:
        raise DataFileError(path, f"the member {shown(name)} has {header.size} bytes instead of {size}; get it again")
