"""One file from one mirror over HTTP, into a partial file that a later attempt goes on with.

pooch (on requests) makes the request and reads the body; what stands here decides what may be written. The partial file may come
from an earlier process or another mirror: nobody has checked it yet, and :mod:`lazyrich.datasets.files.fetching` does when it is whole.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin, urlsplit

import pooch
import requests
from urllib3.exceptions import NewConnectionError

from lazyrich.datasets.files.sources import SourceFile
from lazyrich.progress import Progress

#: Seconds until there is a connection, and without any byte on it.
TIMEOUT = (10.0, 60.0)
#: Seconds before each new attempt after a dropped connection. An attempt that brings the file further starts the count anew.
#: Where no connection was possible at all, there is one new attempt.
PAUSES = (1.0, 4.0, 15.0)
#: Most bytes accepted of a file whose size is not registered.
LARGEST = 64 * 10**9
#: Seconds between two lines of progress.
INTERVAL = 10.0

_CHUNK = 2**16
_TRANSIENT = (408, 429)  # besides 5xx


class MirrorError(Exception):
    """Why a mirror cannot give the file, in words; the next mirror may."""


class _Interrupted(Exception):
    """The connection ended early, or the server is overloaded: worth another attempt."""


class _Unreachable(_Interrupted):
    """There was no connection at all: most often no network, so not worth many attempts."""


class _Restart(Exception):
    """The server cannot go on where the partial file ends: fetch the file from its start."""


class _Complete(Exception):
    """The server says that the partial file is the whole file."""


def transfer(url: str, partial: Path, file: SourceFile, say: Callable[[str], object]) -> bool:
    """Bring ``partial`` to the whole of ``url``, going on where it ends. True if it was put together from several replies.

    :class:`MirrorError` if this mirror cannot give the file; ``OSError`` if ``partial`` cannot be written.
    """
    most, failures = _length(partial), 0
    while True:
        offset = _length(partial)
        if file.size is not None and offset > file.size:
            partial.unlink()
            offset = 0
        if offset == file.size:
            return True
        try:
            return _request(url, partial, file, offset)
        except _Complete:
            return True
        except _Restart:
            partial.unlink()
        except _Interrupted as interruption:
            length = _length(partial)
            failures = 1 if length > most else failures + 1
            most = max(most, length)
            if failures > (1 if isinstance(interruption, _Unreachable) else len(PAUSES)):
                raise MirrorError(f"{interruption} ({failures} attempts)") from None
            pause = PAUSES[failures - 1]
            say(f"{url}: {interruption}; going on in {pause:g} s")
            time.sleep(pause)


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _request(url: str, partial: Path, file: SourceFile, offset: int) -> bool:
    """One request. Returns when ``partial`` is whole; True if the reply went on from ``offset``."""
    body = _Body(partial, file, offset)
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    get = pooch.HTTPDownloader(chunk_size=_CHUNK, timeout=TIMEOUT, headers=headers, hooks={"response": body.accept})
    try:
        get(url, body, None)
        body.sync()
    except (requests.exceptions.SSLError, requests.TooManyRedirects, ValueError) as error:  # ValueError: a bad address
        raise MirrorError(_why(error)) from None
    except requests.RequestException as error:
        raise (_Unreachable if _unreachable(error) else _Interrupted)(_why(error)) from None
    finally:
        body.close()
    if not body.length:
        raise MirrorError("sends an empty file")
    if body.total is not None and body.length < body.total:
        raise _Interrupted(f"the connection ended after {body.length} of {body.total} bytes")
    _tag(partial).unlink(missing_ok=True)
    return body.start > 0


def _tag(partial: Path) -> Path:
    """Where the version (ETag or date) is noted that a partial file without checksum is of."""
    return partial.with_name(f"{partial.name}.version")


class _Body:
    """Decides on each reply whether its body may be written, and writes it behind the partial file."""

    def __init__(self, partial: Path, file: SourceFile, offset: int) -> None:
        self.partial, self.file, self.start, self.length = partial, file, offset, offset
        #: Bytes of the whole file, as registered or announced.
        self.total = file.size
        self._handle: IO[bytes] | None = None
        self._progress: Progress | None = None

    def accept(self, response: Any, **_: object) -> None:
        """Called by requests with each reply, redirects among them, before its body is read."""
        if response.is_redirect:
            target = urljoin(response.url, response.headers["location"])
            if urlsplit(target).scheme not in ("http", "https"):
                raise MirrorError(f"redirects to {target}, which is no http:// or https:// address")
            return
        self._accept_status(response)
        announced = response.headers.get("content-length", "")
        length = int(announced) if announced.isdecimal() else None
        if response.status_code == 206:
            self._accept_part(response, length)
        else:
            self.start = self.length = 0
            self._accept_whole(response, length)
        # A .gz file is wanted as it is, also from a server that calls its compression a matter of transport.
        response.raw.headers.pop("content-encoding", None)
        if self.total is not None:
            self._progress = Progress(self.file.name, self.total / 1e6, "MB", done=self.start / 1e6, interval=INTERVAL)

    def _accept_status(self, response: Any) -> None:
        status, kind = response.status_code, response.headers.get("content-type", "")
        answer = f"answers {status} ({response.reason})"
        if status == 416 and self.start:
            whole = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("content-range", ""))
            if whole and int(whole[1]) == self.start and self.file.size is None:
                raise _Complete
            raise _Restart
        if status in _TRANSIENT or status >= 500:
            raise _Interrupted(answer)
        if status not in (200, 206):
            raise MirrorError(answer)
        if kind.startswith("text/html"):
            raise MirrorError(f"answers with a web page ({kind}), not with the file")

    def _accept_part(self, response: Any, length: int | None) -> None:
        """A reply to a request for a range: it has to go on exactly where the partial file ends, to the end of the same file."""
        if not self.start:
            raise MirrorError("answers with a part (206), though the whole file was asked for")
        part = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("content-range", ""))
        if not part:
            raise _Restart
        first, last, total = map(int, part.groups())
        wanted = first == self.start and last == total - 1 and length in (None, total - first)
        if not wanted or total != (self.file.size or total):
            raise _Restart
        if not self.file.checksums and (not _version(response) or _version(response) != self._noted()):
            raise _Restart  # another version of the file, and no checksum to find that out later
        self.total = total

    def _accept_whole(self, response: Any, length: int | None) -> None:
        size = self.file.size
        if size is not None and length not in (None, size):
            raise MirrorError(f"announces {length} bytes, but the file has {size}")
        if size is None and length is not None and length > LARGEST:
            raise MirrorError(f"announces {length} bytes, more than the limit of {LARGEST}")
        chunked = "chunked" in response.headers.get("transfer-encoding", "")
        if size is None and length is None and not chunked and not self.file.checksums:
            raise MirrorError("does not say how long the file is, and neither size nor checksum is registered")
        self.total = length if size is None else size
        if not self.file.checksums:
            _tag(self.partial).write_text(_version(response), encoding="utf-8")

    def _noted(self) -> str:
        try:
            return _tag(self.partial).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""

    def write(self, chunk: bytes) -> None:
        limit = LARGEST if self.file.size is None else self.file.size
        if self.length + len(chunk) > limit:
            self.close()
            self.partial.unlink(missing_ok=True)
            registered = "limit of" if self.file.size is None else "registered"
            raise MirrorError(f"sends more than the {registered} {limit} bytes; stopped there")
        if self._handle is None:
            self._handle = self.partial.open("ab" if self.start else "wb", buffering=0)
        self._handle.write(chunk)
        self.length += len(chunk)
        if self._progress:
            self._progress.advance(len(chunk) / 1e6)

    def flush(self) -> None:
        """Called by pooch after every chunk, of which nothing is buffered here."""

    def sync(self) -> None:
        """Bring the file to the disk, before it gets its final name."""
        if self._handle is not None:
            os.fsync(self._handle.fileno())

    def close(self) -> None:
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _version(response: Any) -> str:
    return response.headers.get("etag") or response.headers.get("last-modified") or ""


def _unreachable(error: requests.RequestException) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(error, requests.ConnectTimeout) or isinstance(reason, NewConnectionError)


def _why(error: Exception) -> str:
    """The cause of a failed request without the nest of exceptions around it."""
    cause: Any = error.args[0] if error.args else error
    cause = getattr(cause, "reason", None) or cause
    text = str(cause.args[0] if isinstance(cause, Exception) and cause.args else cause)
    return re.sub(r"^(<[^>]*>|\w+\([^)]*\)): ", "", text)
