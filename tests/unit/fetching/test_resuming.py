"""Downloads that break off, from a server on this machine: they go on where they were, if what is there is of the same file."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from file_server import BLOCK, GOOD, ROOT, WRONG, Way, md5, offline, put, sha256, source, tree

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.files import downloading
from lazyrich.datasets.files.fetching import Places, fetch

# Going on after an interruption


def test_a_dropped_connection_is_taken_up_where_it_ended(server, places, said):
    url = server.url("a", Way(drop=150_000), Way(drop=100_000), Way())
    fetch(source(url), places, said.append)
    first, second, third = server.ranges("a")
    assert first is None and second == f"bytes={2 * BLOCK}-" and third == f"bytes={3 * BLOCK}-"
    assert (places.downloads / "set" / "file.bin").read_bytes() == GOOD
    assert any("going on in 0 s" in line for line in said)


def test_as_many_drops_are_borne_as_it_takes_while_each_attempt_brings_the_file_further(server, places, said):
    drops = [Way(drop=70_000) for _ in range(5)]
    assert len(drops) > len(downloading.PAUSES) + 1
    fetch(source(server.url("a", *drops, Way())), places, said.append)
    assert server.ranges("a") == [None, *(f"bytes={count * BLOCK}-" for count in range(1, 6))]


def test_another_mirror_goes_on_with_what_the_first_one_gave(server, places, said):
    first = server.url("first", Way(drop=200_000), Way(status=404))
    fetch(source(first, server.url("second", Way())), places, said.append)
    assert server.ranges("second") == [f"bytes={3 * BLOCK}-"]
    assert (places.downloads / "set" / "file.bin").read_bytes() == GOOD


@pytest.mark.parametrize(
    ("way", "ranges"),
    [
        (Way(ranges=False), ["bytes=1000-"]),
        (Way(shift=1), ["bytes=1000-", None]),
        (Way(shift=1, length=-1), ["bytes=1000-", None]),
        (Way(shift=-1000), ["bytes=1000-", None]),
    ],
    ids=["range ignored", "later start", "later start without length", "earlier start"],
)
def test_a_server_that_cannot_go_on_starts_anew(server, places, said, way, ranges):
    put(places.downloads / "set" / ".partial" / "file.bin", GOOD[:1000])
    fetch(source(server.url("a", way)), places, said.append)
    assert server.ranges("a") == ranges
    assert (places.downloads / "set" / "file.bin").read_bytes() == GOOD
    assert not (places.downloads / "set" / "rejected").exists()


def test_a_resumed_file_that_is_wrong_is_fetched_once_more_from_the_start(server, places, said):
    put(places.downloads / "set" / ".partial" / "file.bin", WRONG[:1000])
    fetch(source(server.url("a", Way())), places, said.append)
    assert server.ranges("a") == ["bytes=1000-", None]
    mixed = WRONG[:1000] + GOOD[1000:]
    assert tree(places.downloads / "set" / "rejected") == {f"file.bin.{sha256(mixed)[:12]}": mixed}

    put(places.downloads / "set" / ".partial" / "other.bin", WRONG[:1000])
    with pytest.raises(DataFileError, match=md5(WRONG)):
        fetch(source(server.url("b", Way(body=WRONG)), name="other.bin"), places, said.append)
    assert server.ranges("b") == ["bytes=1000-", None]


def test_a_partial_file_that_is_whole_or_too_long_is_told_from_its_size(server, places, said):
    partial = put(places.downloads / "set" / ".partial" / "file.bin", GOOD)
    fetch(source(server.url("a", Way())), places, said.append)
    assert server.asked == [] and not partial.exists()
    put(places.downloads / "set" / ".partial" / "other.bin", GOOD + b"x")
    fetch(source(server.url("b", Way()), name="other.bin"), places, said.append)
    assert server.ranges("b") == [None]


def test_the_answer_that_nothing_is_left_to_send_ends_the_file_or_starts_it_anew(server, places, said):
    put(places.downloads / "set" / ".partial" / "whole.bin", GOOD)
    fetch(source(server.url("a", Way()), size=None, name="whole.bin"), places, said.append)
    assert server.ranges("a") == ["bytes=400000-"]
    put(places.downloads / "set" / ".partial" / "long.bin", GOOD + b"x")
    fetch(source(server.url("b", Way()), size=None, name="long.bin"), places, said.append)
    assert server.ranges("b") == ["bytes=400001-", None]
    assert (places.downloads / "set" / "long.bin").read_bytes() == GOOD
    assert not (places.downloads / "set" / "rejected").exists()


FETCH = """
import sys
from pathlib import Path
from lazyrich.datasets.files.fetching import Places, fetch
from lazyrich.datasets.files.sources import parse_source
url, md5, downloads = sys.argv[1:]
texts = dict(title="t", homepage="https://example.org", licence="l", citation="c")
entry = {**texts, "files": {"file.bin": {"size": 400000, "md5": md5, "mirrors": [url]}}}
print(fetch(parse_source("set", entry), Places(None, Path(downloads)), print)["file.bin"].sha256)
"""


def start(url: str, places: Places) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, url, md5(GOOD), str(places.downloads)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "workflow_scripts")},
    )  # fmt: skip


def test_a_killed_process_leaves_what_a_new_one_goes_on_with(server, places):
    url = server.url("a", Way(pace=0.2), Way())
    process = start(url, places)
    partial = places.downloads / "set" / ".partial" / "file.bin"
    deadline = time.monotonic() + 15
    while not (partial.exists() and partial.stat().st_size >= 2 * BLOCK):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    there = partial.stat().st_size
    assert 2 * BLOCK <= there < len(GOOD) and not (places.downloads / "set" / "file.bin").exists()

    output, errors = start(url, places).communicate(timeout=20)
    assert output.split()[-1] == sha256(GOOD), errors
    assert server.ranges("a") == [None, f"bytes={there}-"]
    assert len(GOOD) - there in server.sent  # what the second process was sent


def test_two_processes_at_once_download_once(server, places):
    url = server.url("a", Way(pace=0.3))
    both = [start(url, places), start(url, places)]
    for process in both:
        output, errors = process.communicate(timeout=20)
        assert output.split()[-1] == sha256(GOOD), errors
    assert server.ranges("a") == [None]


# Files without a published checksum


def test_the_first_copy_is_trusted_and_recorded_as_sha256sum_does(server, places, said):
    wanted = source(server.url("a", Way()), checked=False, size=None)
    fetch(wanted, places, said.append)
    folder = places.downloads / "set"
    assert (folder / "file.bin.sha256").read_text() == f"{sha256(GOOD)}  file.bin\n"
    if shutil.which("sha256sum"):
        assert subprocess.run(["sha256sum", "-c", "file.bin.sha256"], cwd=folder, capture_output=True).returncode == 0

    (folder / "file.bin").write_bytes(WRONG)  # damaged on the disk: downloaded again
    assert fetch(wanted, places, said.append)["file.bin"].sha256 == sha256(GOOD)

    (folder / "file.bin").unlink()  # replaced by its publisher
    server.url("a", Way(body=WRONG))
    with pytest.raises(DataFileError) as error:
        fetch(wanted, places, said.append)
    for part in (sha256(GOOD), sha256(WRONG), str(folder / "file.bin.sha256"), "delete that"):
        assert part in str(error.value)
    assert not (folder / "file.bin").exists()
    (folder / "file.bin.sha256").unlink()
    assert fetch(wanted, places, said.append)["file.bin"].sha256 == sha256(WRONG)


def test_a_copy_of_the_users_is_recorded_among_the_downloads_and_checked_later(places, said):
    own = put(places.data / "file.bin", GOOD)
    wanted, record = source(checked=False, size=None), places.downloads / "set" / "file.bin.sha256"
    fetch(wanted, offline(places), said.append)
    assert record.read_text().split()[0] == sha256(GOOD) and tree(places.data) == {"file.bin": GOOD}
    own.write_bytes(WRONG)
    with pytest.raises(DataFileError, match=f"sha256 is {sha256(WRONG)}, expected {sha256(GOOD)}"):
        fetch(wanted, offline(places), said.append)
    record.write_text("nonsense")
    with pytest.raises(DataFileError, match=r"file\.bin\.sha256: holds no SHA-256; delete it"):
        fetch(wanted, offline(places), said.append)


@pytest.mark.parametrize(("version", "second"), [("one", f"bytes={2 * BLOCK}-"), ("two", None)])
def test_without_a_checksum_only_the_same_version_is_gone_on_with(server, places, said, version, second):
    first, later = Way(body=WRONG, drop=150_000, headers={"ETag": "one"}), Way(headers={"ETag": version})
    later.body = WRONG if version == "one" else GOOD
    fetch(source(server.url("a", first, later), checked=False, size=None), places, said.append)
    assert server.ranges("a") == [None, f"bytes={2 * BLOCK}-"] + ([] if second else [None])
    assert (places.downloads / "set" / "file.bin").read_bytes() == later.body
    assert not list((places.downloads / "set" / ".partial").iterdir())


def test_without_size_and_checksum_a_reply_of_unknown_length_is_refused(server, places, said):
    with pytest.raises(DataFileError, match="does not say how long the file is"):
        fetch(source(server.url("a", Way(length=-1)), checked=False, size=None), places, said.append)
