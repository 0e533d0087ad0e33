"""A server on this machine that behaves as servers of files do, and worse; and the file that is wanted of it."""

import hashlib
import http.server
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from lazyrich.datasets.files.fetching import Places
from lazyrich.datasets.files.sources import Source, parse_source

ROOT = Path(__file__).resolve().parents[3]
REAL = ROOT.parent / "shared" / "data"
BLOCK = 2**16

GOOD = random.Random(1).randbytes(400_000)
WRONG = random.Random(2).randbytes(400_000)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Way:
    """How the server answers one request."""

    body: bytes = GOOD
    status: int | None = None
    ranges: bool = True
    shift: int = 0  # added to the start in Content-Range
    drop: int | None = None  # bytes after which the connection is cut
    length: int | None = None  # Content-Length; -1 for none
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0  # seconds of silence after the head
    pace: float = 0  # seconds of pause after each block
    during: Callable[[], None] | None = None  # called after the body has been sent, before the end of the reply


class Server:
    """Answers by path: a list of ways, of which the last stays. Notes what was asked for and how much was sent."""

    def __init__(self) -> None:
        self.ways: dict[str, list[Way]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.sent: list[int] = []
        self.encodings: set[str | None] = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, path: str, *ways: Way) -> str:
        self.ways[path] = list(ways)
        return f"http://127.0.0.1:{self.http.server_port}/{path}"

    def ranges(self, path: str) -> list[str | None]:
        return [asked for name, asked in self.asked if name == path]

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        path, asked = request.path.lstrip("/"), request.headers["Range"]
        self.asked.append((path, asked))
        self.encodings.add(request.headers["Accept-Encoding"])
        ways = self.ways[path]
        way = ways.pop(0) if len(ways) > 1 else ways[0]
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and way.ranges else 0
        total, body = len(way.body), way.body[start:]
        status = way.status or (206 if start else 200)
        if start and start >= total:
            status, body = 416, b""
        request.send_response(status)
        if status in (206, 416):
            span = f"{start + way.shift}-{total - 1}" if status == 206 else "*"
            request.send_header("Content-Range", f"bytes {span}/{total}")
        if way.length != -1:
            request.send_header("Content-Length", str(len(body) if way.length is None else way.length))
        for name, value in way.headers.items():
            request.send_header(name, value)
        request.end_headers()
        time.sleep(way.hang)
        body, sent = body[: way.drop], 0
        try:
            for first in range(0, len(body), BLOCK):
                request.wfile.write(body[first : first + BLOCK])
                sent += len(body[first : first + BLOCK])
                time.sleep(way.pace)
            if way.during:
                way.during()
        except OSError:  # the other side has gone
            pass
        self.sent.append(sent)


def offline(places: Places) -> Places:
    return Places(places.data, places.downloads, True)


def source(*mirrors: str, checked: bool = True, size: int | None = len(GOOD), name: str = "file.bin") -> Source:
    file: dict = {"mirrors": list(mirrors)} | ({"size": size} if size else {}) | ({"md5": md5(GOOD)} if checked else {})
    texts = {"title": "A set", "homepage": "https://example.org/home", "licence": "the terms", "citation": "cited"}
    return parse_source("set", {**texts, "files": {name: file}})


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
