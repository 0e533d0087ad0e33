"""A server, places for files, and no waiting."""

import pytest
from file_server import Server

from lazyrich.datasets.files import downloading
from lazyrich.datasets.files.fetching import Places


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(downloading, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(downloading, "TIMEOUT", (5.0, 5.0))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def places(tmp_path) -> Places:
    (tmp_path / "data").mkdir()
    return Places(tmp_path / "data", tmp_path / "downloads", False)


@pytest.fixture
def said() -> list[str]:
    return []
