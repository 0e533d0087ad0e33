"""The registry of data sets: what it holds, and what is said of a mistake in an entry."""

import copy
import subprocess
import sys
from pathlib import Path

import pytest

from lazyrich.configuration_errors import ConfigurationError
from lazyrich.datasets.files.sources import Member, Source, SourceFile, load_sources, parse_source

ROOT = Path(__file__).resolve().parents[2]
REGISTRY = ROOT / "resources" / "sources.yaml"

MD5 = "0123456789abcdef" * 2
ENTRY = {
    "title": "A set",
    "homepage": "https://example.org/",
    "licence": "no licence stated",
    "citation": "Someone: Something. 2001",
    "files": {
        "all.tar.gz": {
            "size": 10,
            "md5": MD5,
            "mirrors": ["https://example.org/all.tar.gz", "http://example.com/all.tar.gz"],
            "members": {"folder/one.bin": {"size": 3, "md5": MD5}, "folder/two.bin": {}},
        }
    },
}


def test_an_entry_becomes_a_source():
    member = Member(3, {"md5": MD5})
    file = SourceFile(
        "all.tar.gz",
        10,
        {"md5": MD5},
        ("https://example.org/all.tar.gz", "http://example.com/all.tar.gz"),
        {"folder/one.bin": member, "folder/two.bin": Member(None, {})},
    )
    wanted = Source("set", "A set", "https://example.org/", "no licence stated", "Someone: Something. 2001", {})
    found = parse_source("set", ENTRY)
    assert found.files == {"all.tar.gz": file}
    assert found.title == wanted.title and found.citation == wanted.citation and found.note == ""


def test_all_but_the_name_of_a_file_is_optional_and_digests_come_in_lower_case():
    entry = {**ENTRY, "note": "placed by hand", "files": {"a.txt": {}, "b.txt": {"sha256": "AB" * 32}}}
    files = parse_source("set", entry).files
    assert files["a.txt"] == SourceFile("a.txt", None, {}, (), {})
    assert files["b.txt"].checksums == {"sha256": "ab" * 32}
    assert parse_source("set", entry).note == "placed by hand"


FILE = ("files", "all.tar.gz")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("titel",), "A set", "unknown key 'titel'; did you mean 'title'?"),
        ((*FILE, "mirors"), [], "unknown key 'mirors'; did you mean 'mirrors'?"),
        ((*FILE, "sha1"), "0" * 40, "Allowed: md5, members, mirrors, sha256, size"),
        ((*FILE, "members", "folder/one.bin", "mirrors"), [], "Allowed: md5, sha256, size"),
        ((*FILE, "md5"), "12", "give 32 hexadecimal digits (this has 2)"),
        ((*FILE, "md5"), "g" * 32, "give 32 hexadecimal digits"),
        ((*FILE, "sha256"), MD5, "no sha256: give 64 hexadecimal digits (this has 32)"),
        ((*FILE, "md5"), 12345678901234567890123456789012, "write it in quotes"),
        ((*FILE, "size"), 0, "0 is no size; give a positive whole number"),
        ((*FILE, "size"), -5, "-5 is no size"),
        ((*FILE, "size"), True, "true is no size"),
        ((*FILE, "size"), "10", "'10' is no size"),
        ((*FILE, "mirrors"), "https://example.org/", "is no list of addresses"),
        ((*FILE, "mirrors"), ["ftp://example.org/a"], "'ftp://example.org/a' is no http:// or https:// address"),
        ((*FILE, "mirrors"), ["https:///a"], "is no http:// or https:// address"),
        ((*FILE, "mirrors"), ["http://[::1/a"], "is no http:// or https:// address"),
        ((*FILE, "mirrors"), [7], "7 is no http:// or https:// address"),
        ((*FILE, "members", "/etc/passwd"), {}, "'/etc/passwd' leads out of the archive"),
        ((*FILE, "members", "a/../../b"), {}, "'a/../../b' leads out of the archive"),
        ((*FILE, "members"), ["a"], "no mapping of members by name"),
        (("files", "../up.bin"), {}, "'../up.bin' is no name of a file"),
        (("files", "sub/file.bin"), {}, "'sub/file.bin' is no name of a file"),
        (("files", ".lock"), {}, "'.lock' is no name of a file"),
        (("files",), {}, "name at least one"),
        (("files",), None, "null is no mapping of files by name"),
        (("homepage",), "example.org", "'example.org' is no http:// or https:// address"),
        (("title",), 7, "7 is no text"),
        (("licence",), " ", "is no text"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place_and_what_is_allowed(path, value, message):
    entry = copy.deepcopy(ENTRY)
    place = entry
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ValueError) as error:
        parse_source("set", entry)
    assert message in str(error.value)
    assert str(error.value).startswith(f"set.{path[0]}")


def test_a_missing_key_and_a_bad_name_of_a_set_are_named():
    with pytest.raises(ValueError, match="the key 'licence' is missing"):
        parse_source("set", {key: value for key, value in ENTRY.items() if key != "licence"})
    with pytest.raises(ValueError, match="'a/b' is no name of a set"):
        parse_source("a/b", ENTRY)


def test_a_mistake_in_the_registry_is_named_with_file_and_line(tmp_path):
    registry = tmp_path / "sources.yaml"
    registry.write_text(REGISTRY.read_text().replace("size: 9912422", "size: many"))
    line = next(number for number, text in enumerate(registry.read_text().splitlines(), 1) if "size: many" in text)
    with pytest.raises(ConfigurationError) as error:
        load_sources(registry)
    assert str(error.value).startswith(
        f"{registry}:{line}: mnist.files.'train-images-idx3-ubyte.gz'.size: 'many' is no"
    )
    registry.write_text("mnist: [1, 2]\n")
    with pytest.raises(ConfigurationError, match=r"sources.yaml:1: mnist: \[1, 2\] is no mapping"):
        load_sources(registry)
    with pytest.raises(ConfigurationError, match="missing"):
        load_sources(tmp_path / "absent.yaml")


def test_the_registry_holds_six_sets_whose_sizes_follow_from_their_formats():
    sources = load_sources(REGISTRY)
    assert list(sources) == ["mnist", "cifar10", "cifar100", "cifar5m", "svhn", "celeba"]
    for name, label_bytes, archive, records in (
        ("cifar10", 1, "cifar-10-binary.tar.gz", [10000] * 6),
        ("cifar100", 2, "cifar-100-binary.tar.gz", [50000, 10000]),
    ):
        members = sources[name].files[archive].members.values()
        assert [member.size for member in members] == [count * (label_bytes + 32 * 32 * 3) for count in records]
    assert [len(sources[name].files["img_align_celeba.zip"].mirrors) for name in ("celeba",)] == [0]
    assert all(not file.checksums and len(file.mirrors) == 1 for file in sources["cifar5m"].files.values())
    assert all(len(file.mirrors) == 3 for file in sources["mnist"].files.values())
    for source in sources.values():
        for file in source.files.values():
            assert all(url.endswith("/" + file.name) for url in file.mirrors)
            assert file.checksums or source.name == "cifar5m"


def test_reading_the_registry_loads_no_heavy_library():
    code = (
        "import sys, lazyrich.datasets.files.sources as s, pathlib; s.load_sources(pathlib.Path(sys.argv[1]));"
        "print([name for name in ('numpy', 'torch', 'requests', 'pooch', 'zarr') if name in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(REGISTRY)],
        capture_output=True, text=True, check=True, cwd=ROOT / "workflow_scripts",
    )  # fmt: skip
    assert run.stdout.strip() == "[]"
