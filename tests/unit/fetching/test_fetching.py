"""Fetching dataset files, against a server on this machine that behaves as servers do, and worse."""

import gzip
import re
from pathlib import Path

import pytest
from file_server import BLOCK, GOOD, REAL, ROOT, WRONG, Way, md5, offline, put, sha256, source, tree

from lazyrich.datasets.errors import DataFileError
from lazyrich.datasets.files import downloading
from lazyrich.datasets.files.fetching import Places, fetch, local_file, verify
from lazyrich.datasets.files.sources import load_sources, parse_source

# Places


def test_the_places_are_tried_in_order_and_the_data_folder_is_never_written(server, places, said):
    wanted = source(server.url("a", Way()))
    target = places.downloads / "set" / "file.bin"
    found = fetch(wanted, places, said.append)["file.bin"]
    assert (found.path, found.size, found.sha256) == (target, len(GOOD), sha256(GOOD))
    assert target.read_bytes() == GOOD and not list((target.parent / ".partial").iterdir())
    assert server.ranges("a") == [None]
    assert any("Terms: the terms" in line for line in said)

    silent: list[str] = []
    assert fetch(wanted, places, silent.append)["file.bin"].path == target
    for own in (places.data / "set" / "file.bin", places.data / "file.bin"):
        put(own, GOOD)
        assert fetch(wanted, places, silent.append)["file.bin"].path == own
    assert len(server.asked) == 1 and silent == []
    assert tree(places.data) == {"file.bin": GOOD, "set/file.bin": GOOD}


def test_a_good_file_of_the_user_needs_no_writable_downloads(tmp_path, places):
    put(places.data / "file.bin", GOOD)
    nowhere = put(tmp_path / "a file", b"") / "downloads"
    assert fetch(source(), Places(places.data, nowhere, True), print)["file.bin"].path == places.data / "file.bin"


def test_a_wrong_file_of_the_user_is_an_error_naming_both_digests_unless_a_good_one_can_be_had(server, places, said):
    own = put(places.data / "file.bin", WRONG[:-1])
    good, gone = server.url("good", Way()), server.url("gone", Way(status=404))
    for wanted, where in ((source(good), offline(places)), (source(gone), places)):
        with pytest.raises(DataFileError) as error:
            fetch(wanted, where, said.append)
        for part in (str(own), md5(WRONG[:-1]), md5(GOOD), "has 399999 bytes, expected 400000"):
            assert part in str(error.value)
    assert own.read_bytes() == WRONG[:-1]

    said.clear()
    assert fetch(source(good), places, said.append)["file.bin"].path == places.downloads / "set" / "file.bin"
    assert any(str(own) in line and md5(WRONG[:-1]) in line and "not used" in line for line in said)
    said.clear()
    assert fetch(source(good), places, said.append)["file.bin"].path == places.downloads / "set" / "file.bin"
    assert len(said) == 1 and "not used" in said[0] and server.ranges("good") == [None]
    assert tree(places.data) == {"file.bin": WRONG[:-1]}


def test_a_wrong_file_among_the_downloads_is_moved_aside_and_downloaded_again(server, places, said):
    target = put(places.downloads / "set" / "file.bin", WRONG)
    wanted = source(server.url("a", Way()))
    with pytest.raises(DataFileError, match=md5(WRONG)):
        fetch(wanted, offline(places), said.append)
    assert target.read_bytes() == WRONG
    fetch(wanted, places, said.append)
    assert target.read_bytes() == GOOD
    kept = target.parent / "rejected" / f"file.bin.{sha256(WRONG)[:12]}"
    assert kept.read_bytes() == WRONG
    assert any(str(target) in line and str(kept) in line and md5(WRONG) in line for line in said)


# Mirrors


def test_a_mirror_with_wrong_content_is_left_for_the_next_and_its_file_is_kept_aside(server, places, said):
    bad = server.url("bad", Way(body=WRONG))
    assert fetch(source(bad, server.url("good", Way())), places, said.append)["file.bin"].sha256 == sha256(GOOD)
    kept = places.downloads / "set" / "rejected" / f"file.bin.{sha256(WRONG)[:12]}"
    assert kept.read_bytes() == WRONG
    assert server.ranges("bad") == server.ranges("good") == [None]  # a reply in one piece is not asked for twice


def test_a_wrong_mirror_never_touches_a_good_file(server, places, said):
    put(places.data / "file.bin", WRONG)
    target = put(places.downloads / "set" / "file.bin", GOOD)
    fetch(source(server.url("bad", Way(body=WRONG))), places, said.append)
    assert target.read_bytes() == GOOD and server.asked == []
    target.write_bytes(WRONG[::-1])  # a bad file is not replaced by another bad one either
    with pytest.raises(DataFileError, match=md5(WRONG)) as error:
        fetch(source(server.url("bad", Way(body=WRONG))), places, said.append)
    assert f"found, but wrong: {target}" not in str(error.value)
    assert not target.exists() and set(tree(target.parent / "rejected").values()) == {WRONG, WRONG[::-1]}


def test_when_all_mirrors_fail_the_error_lists_them_and_how_to_place_the_file(server, places, said):
    urls = [server.url("bad", Way(body=WRONG)), server.url("gone", Way(status=404)), server.url("no", Way(status=403))]
    with pytest.raises(DataFileError) as error:
        fetch(source(*urls), places, said.append)
    kept = places.downloads / "set" / "rejected" / f"file.bin.{sha256(WRONG)[:12]}"
    target = places.downloads / "set" / "file.bin"
    for part in (
        f"{urls[0]}: md5 is {md5(WRONG)}, expected {md5(GOOD)}", str(kept), f"{urls[1]}: answers 404",
        f"{urls[2]}: answers 403", f"put it at {target}", "400000 bytes", "https://example.org/home", "the terms",
    ):  # fmt: skip
        assert part in str(error.value)
    assert [len(server.ranges(path)) for path in ("bad", "gone", "no")] == [1, 1, 1]
    assert not target.exists() and kept.read_bytes() == WRONG


def test_a_file_gets_its_final_name_only_after_it_was_verified(server, places, said, monkeypatch):
    target, seen = places.downloads / "set" / "file.bin", []
    url = server.url("a", Way(during=lambda: seen.append(target.exists())))
    from lazyrich.datasets.files import fetching

    examine = fetching._examine
    monkeypatch.setattr(fetching, "_examine", lambda *all: (seen.append(target.exists()), examine(*all))[1])
    fetch(source(url), places, said.append)
    assert seen == [False, False] and target.exists()


@pytest.mark.parametrize(
    ("way", "reason", "requests"),
    [
        (Way(body=GOOD + b"x", length=-1), "sends more than the registered 400000 bytes", 1),
        (Way(length=399_999), "announces 399999 bytes, but the file has 400000", 1),
        (Way(status=302, headers={"Location": "file:///etc/passwd"}), "redirects to file:///etc/passwd", 1),
        (Way(headers={"Content-Type": "text/html; charset=utf-8"}), "answers with a web page", 1),
        (Way(body=b"", length=-1), "sends an empty file", 1),
        (Way(status=503), "answers 503", 4),
        (Way(drop=0), "4 attempts", 4),
        (Way(drop=100_000, ranges=False), "4 attempts", 4),
        (Way(hang=1.0), "Read timed out", 4),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_mirror_does_wrong_is_said_and_the_next_one_is_asked(
    server, places, said, monkeypatch, way, reason, requests
):
    monkeypatch.setattr(downloading, "TIMEOUT", (5.0, 0.2 if way.hang else 5.0))
    first = server.url("first", way)
    fetch(source(first, server.url("second", Way())), places, said.append)
    assert any(line.startswith(f"{first}: ") and reason in line for line in said), said
    assert len(server.ranges("first")) == requests
    assert (places.downloads / "set" / "file.bin").read_bytes() == GOOD
    with pytest.raises(DataFileError, match=re.escape(reason)):
        fetch(source(first, name="other.bin"), places, said.append)
    assert not (places.downloads / "set" / "other.bin").exists()


def test_a_body_that_never_ends_is_stopped_at_the_registered_size(server, places, said):
    server_way = Way(body=GOOD * 50, length=-1)
    with pytest.raises(DataFileError, match="stopped there"):
        fetch(source(server.url("a", server_way)), places, said.append)
    assert not list((places.downloads / "set" / ".partial").iterdir())


def test_without_a_registered_size_there_is_a_limit(server, places, said, monkeypatch):
    monkeypatch.setattr(downloading, "LARGEST", 300_000)
    for length, reason in ((None, "announces 400000 bytes, more than the limit"), (-1, "sends more than the limit of")):
        with pytest.raises(DataFileError, match=reason):
            fetch(source(server.url("a", Way(length=length)), size=None), places, said.append)


def test_redirects_within_http_are_followed_and_an_unreachable_mirror_is_named(server, places, said):
    there = server.url("there", Way())
    moved = server.url("moved", Way(status=302, headers={"Location": there}))
    fetch(source("http://127.0.0.1:1/file.bin", moved), places, said.append)
    assert (places.downloads / "set" / "file.bin").read_bytes() == GOOD
    assert any("127.0.0.1:1/" in line and "Connection refused (2 attempts)" in line for line in said)


def test_a_gz_file_stays_as_it_is_when_its_compression_is_called_an_encoding(server, places, said):
    packed = gzip.compress(GOOD)
    wanted = parse_source(
        "set",
        {
            "title": "t", "homepage": "https://example.org", "licence": "l", "citation": "c",
            "files": {"a.gz": {"md5": md5(packed), "mirrors": [
                server.url("a", Way(body=packed, headers={"Content-Encoding": "gzip"}))
            ]}},
        },
    )  # fmt: skip
    assert fetch(wanted, places, said.append)["a.gz"].size == len(packed)
    assert server.encodings == {"identity"}


# Files that cannot be had


def test_offline_contacts_nothing_and_says_where_to_put_each_file(server, places, said):
    url = server.url("a", Way())
    with pytest.raises(DataFileError) as error:
        fetch(source(url), offline(places), said.append)
    for part in (
        "offline", f"file.bin (400000 bytes, md5 {md5(GOOD)})", f"put it at {places.downloads / 'set' / 'file.bin'}",
        str(places.data / "file.bin"), str(places.data / "set" / "file.bin"), url, "https://example.org/home", "the terms",
    ):  # fmt: skip
        assert part in str(error.value)
    assert server.asked == [] and not places.downloads.exists()
    with pytest.raises(DataFileError, match="the folder of your own data, /absent, does not exist"):
        fetch(source(url), Places(Path("/absent"), places.downloads, True), said.append)


def test_a_set_without_mirrors_is_left_to_the_user(places, said):
    celeba = load_sources(ROOT / "resources" / "sources.yaml")["celeba"]
    with pytest.raises(DataFileError) as error:
        fetch(celeba, places, said.append)
    for part in (
        *celeba.files, celeba.homepage, "the terms leave it to you", "no redistribution", "00d2c5bc6d35e252742224ab0c1e8fcb",
        str(places.downloads / "celeba" / "img_align_celeba.zip"),
    ):  # fmt: skip
        assert part in str(error.value)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full, which stands for a full disk")
def test_a_full_disk_is_named(server, places, said):
    partial = places.downloads / "set" / ".partial" / "file.bin"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(DataFileError, match=f"{places.downloads / 'set'}: cannot be written: No space left on device"):
        fetch(source(server.url("a", Way())), places, said.append)


def test_a_folder_that_cannot_be_made_is_named(server, tmp_path, places, said):
    nowhere = put(tmp_path / "a file", b"") / "downloads"
    with pytest.raises(DataFileError, match=f"{nowhere / 'set'}: cannot be written: Not a directory"):
        fetch(source(server.url("a", Way())), Places(None, nowhere), said.append)
    assert server.asked == []


# Progress


def test_progress_is_shown_on_standard_error_and_small_files_are_quiet(server, places, said, capfd, monkeypatch):
    url = server.url("a", Way(pace=0.01))
    fetch(source(url), places, said.append)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(downloading, "INTERVAL", 0.0)
    put(places.downloads / "set" / ".partial" / "other.bin", GOOD[: 2 * BLOCK])
    fetch(source(url, name="other.bin"), places, said.append)
    lines = capfd.readouterr().err.splitlines()
    assert re.fullmatch(r"other\.bin: 49%, [\d,]+ MB/s, \d+ s left at most", lines[0])
    assert lines[-1].startswith("other.bin: 100%")


# Single files


def test_verify_names_what_it_expected_and_what_it_found(tmp_path):
    path = put(tmp_path / "a", GOOD)
    assert verify(path, len(GOOD), {"md5": md5(GOOD), "sha256": sha256(GOOD)}) == sha256(GOOD)
    assert verify(path, None, {"md5": md5(GOOD).upper()}) == verify(path, None, {}) == sha256(GOOD)
    for size, checksums in ((5, {}), (None, {"md5": md5(WRONG)}), (None, {"md5": md5(GOOD), "sha256": sha256(WRONG)})):
        with pytest.raises(DataFileError) as error:
            verify(path, size, checksums)
        parts = [str(path)]
        parts += ["has 400000 bytes, expected 5"] if size else []
        parts += [f"sha256 is {sha256(GOOD)}, expected {sha256(WRONG)}"] if "sha256" in checksums else []
        assert all(part in str(error.value) for part in parts)
        assert (md5(GOOD) in str(error.value)) == (checksums.get("md5") == md5(WRONG))
    with pytest.raises(DataFileError, match="there is no such file"):
        verify(tmp_path / "absent", None, {})
    with pytest.raises(DataFileError, match="cannot be read: Is a directory"):
        verify(tmp_path, None, {})


def test_a_file_of_the_users_own_is_found_by_relative_or_absolute_path(tmp_path, places, monkeypatch):
    inside, outside = put(places.data / "sub" / "x.bin", GOOD), put(tmp_path / "y.bin", WRONG)
    assert local_file("sub/x.bin", {"md5": md5(GOOD).upper()}, places).path == inside
    assert local_file("../y.bin", {}, places).sha256 == sha256(WRONG)
    assert local_file(str(outside), {"sha256": sha256(WRONG)}, Places(None, places.downloads)).size == len(WRONG)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert local_file("~/y.bin", {}, places).path == outside
    assert not places.downloads.exists()
    for name, expected, where, message in (
        ("sub/x.bin", {"sha256": sha256(WRONG)}, places, f"sha256 is {sha256(GOOD)}, expected {sha256(WRONG)}"),
        ("sub/x.bin", {"sha265": sha256(GOOD)}, places, "unknown checksum 'sha265'; did you mean 'sha256'"),
        ("sub/x.bin", {"md5": "12"}, places, "give 32 hexadecimal digits"),
        ("z.bin", {}, places, f"{places.data / 'z.bin'}: there is no such file"),
        (
            "z.bin",
            {},
            Places(None, places.downloads),
            "z.bin: is relative to the folder of your own data, and none is set",
        ),
    ):
        with pytest.raises(DataFileError, match=re.escape(message)):
            local_file(name, expected, where)


# Real files

real_files = pytest.mark.skipif(not REAL.is_dir(), reason=f"the folder of real images {REAL} is absent")


@real_files
def test_the_official_files_of_mnist_are_accepted(tmp_path, said):
    mnist = load_sources(ROOT / "resources" / "sources.yaml")["mnist"]
    found = fetch(mnist, Places(REAL, tmp_path / "downloads", True), said.append)
    assert len(found) == 4 and said == []
    sums = {line.split("/")[-1]: line.split()[0] for line in (REAL / "SHA256SUMS").read_text().splitlines()}
    assert {name: located.sha256 for name, located in found.items()} == {name: sums[name] for name in mnist.files}


@real_files
def test_a_rebuilt_batch_of_cifar10_is_no_official_one_but_the_file_that_its_own_checksum_names():
    cifar10 = load_sources(ROOT / "resources" / "sources.yaml")["cifar10"]
    member = cifar10.files["cifar-10-binary.tar.gz"].members["cifar-10-batches-bin/data_batch_1.bin"]
    name = "cifar10/rebuilt-cifar-10-batches-bin/data_batch_1.bin"
    places = Places(REAL, Path("nowhere"), True)
    with pytest.raises(DataFileError, match="md5 is [0-9a-f]{32}, expected 5dd7e06a14cb22eb9f671a540d1b7c25"):
        local_file(name, member.checksums, places)
    sums = dict(line.split()[::-1] for line in (REAL / "SHA256SUMS").read_text().splitlines())
    assert local_file(name, {"sha256": sums[f"./{name}"]}, places).size == member.size
