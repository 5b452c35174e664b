"""What the official tests have found, each fault with its siblings, as scripts run the commands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import MIB, Ran, World, world

BN = ("-ns", "ns1", "-bn", "backups")


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path, enforce_min_part_size=False) as made:
        yield made


def osx(w: World, *words: str, typed: bytes = b"") -> Ran:
    """`ocihaul os …` with `typed` piped in, both streams apart."""
    flags = ("--config-file", str(w.config), "--auth", "security_token")
    command = (sys.executable, "-m", "ocihaul", *flags, "--endpoint", w.oci.endpoint, "os", *words)
    done = subprocess.run(
        command, input=typed, capture_output=True, env=w.environ(), check=False, timeout=100
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def stored(w: World, name: str, data: bytes = b"old") -> None:
    path = w.home / "stored"
    path.write_bytes(data)
    ran = osx(w, "object", "put", *BN, "--file", str(path), "--name", name, "--force")
    assert ran.code == 0, ran.err


def begun(w: World, name: str) -> str:
    """An upload without any part; its id."""
    with w.storage() as storage:
        return storage.create_multipart_upload("ns1", "backups", {"object": name}, {})


def par(w: World) -> str:
    made = osx(
        w,
        *("preauth-request", "create", *BN, "--name", "p", "--access-type", "AnyObjectRead"),
        *("--time-expires", "2100-02-03"),
    )
    return str(json.loads(made.out)["data"]["id"])


def questions(w: World) -> dict[str, tuple[str, ...]]:
    """Every command that asks first; what it names exists."""
    stored(w, "night/1")
    upload = begun(w, "half")
    path = str(w.file(10, "new"))
    return {
        "delete": ("object", "delete", *BN, "--name", "night/1"),
        "bulk-delete": ("object", "bulk-delete", *BN, "--prefix", "night/"),
        "bulk-delete-versions": ("object", "bulk-delete-versions", *BN, "--prefix", "night/"),
        "put": ("object", "put", *BN, "--file", path, "--name", "night/1"),
        "abort": ("multipart", "abort", *BN, "--object-name", "half", "--upload-id", upload),
        "par": ("preauth-request", "delete", *BN, "--par-id", par(w)),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "which", ["delete", "bulk-delete", "bulk-delete-versions", "put", "abort", "par"]
)
def test_finding_c02_a_piped_answer_is_an_answer(w: World, which: str) -> None:
    words = questions(w)[which]
    no = osx(w, *words, typed=b"n\n")
    assert no.code != 0, no
    ended = osx(w, *words)
    assert ended.code != 0
    yes = osx(w, *words, typed=b"y\n")
    assert yes.code == 0, yes.err


def test_finding_c02_with_nothing_to_delete_nothing_is_asked(w: World) -> None:
    for command in ("bulk-delete", "bulk-delete-versions"):
        ran = osx(w, "object", command, *BN, "--prefix", "nothing/")
        assert ran.code == 0, ran.err


@pytest.mark.parametrize("size", ["2", "1", "3"])
def test_finding_c03_small_parts_are_sent(w: World, size: str) -> None:
    source = w.file(5 * MIB)
    ran = osx(
        w, "object", "put", *BN, "--file", str(source), "--part-size", size, "--name", source.name
    )
    assert ran.code == 0, ran.err
    assert w.oci.object_info("backups", source.name).part_count == -(-5 // int(size))
    assert w.arrived_whole(source)


@pytest.mark.parametrize("command", ["list", "list-object-versions"])
def test_finding_c04_no_fields_are_names_only(w: World, command: str) -> None:
    stored(w, "x")
    ran = osx(w, "object", command, *BN, "--fields", "")
    (entry,) = json.loads(ran.out)["data"]
    assert entry["name"] == "x"
    assert entry["size"] is entry["md5"] is entry["time-created"] is None
    operation = "ListObjects" if command == "list" else "ListObjectVersions"
    assert w.oci.log.entries(operation=operation)[-1].query["fields"] == ""


@pytest.mark.parametrize(
    "words",
    [
        ("object", "head", *BN, "--name", "none"),
        ("object", "get", *BN, "--name", "none", "--file", "-"),
        ("object", "delete", *BN, "--name", "none", "--force"),
        ("object", "list", "-ns", "ns1", "-bn", "none"),
        ("bucket", "get", "-ns", "ns1", "-bn", "none"),
        ("preauth-request", "get", *BN, "--par-id", "none"),
        ("multipart", "abort", *BN, "--object-name", "o", "--upload-id", "none", "--force"),
        ("object", "rename", *BN, "--source-name", "none", "--new-name", "x"),
        ("object", "restore", *BN, "--name", "none"),
        ("retention-rule", "get", *BN, "--retention-rule-id", "none"),
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_finding_c07_what_begins_with_a_brace_ends_with_one(
    w: World, words: tuple[str, ...]
) -> None:
    ran = osx(w, *words)
    assert ran.code == 1
    text = ran.err[ran.err.index("{") :]
    told = json.loads(text)
    assert (told["status"], text.strip()[-1]) == (404, "}")
    assert told["message"]


@pytest.mark.parametrize("compat", ["", "official"])
@pytest.mark.parametrize("source", ["device", "file", "pipe"])
def test_finding_c05_nothing_on_stdin_is_an_empty_object_but_from_a_pipe(
    w: World, source: str, compat: str
) -> None:
    """A producer that fails leaves an empty pipe; a file that is empty was meant so."""
    empty = w.file(0)
    place = {"device": Path("/dev/null"), "file": empty}
    put = ("os", *("object", "put"), *BN, "--file", "-", "--name", "x", "--force")
    argv = [sys.executable, "-m", "ocihaul", *put, "--auth", "security_token"]
    environ = w.environ() | ({"OCIHAUL_COMPAT": compat} if compat else {})
    if source == "pipe":
        ran = subprocess.run(argv, env=environ, input=b"", capture_output=True, check=False)
    else:
        with place[source].open("rb") as stdin:
            ran = subprocess.run(argv, env=environ, stdin=stdin, capture_output=True, check=False)
    refused = source == "pipe" and not compat
    assert ran.returncode == (1 if refused else 0), ran.stderr
    assert w.oci.object_names("backups") == ([] if refused else ["x"])


@pytest.mark.parametrize(
    "words",
    [("head", "--name", "absent"), ("get", "--name", "absent", "--file", "-")],
    ids=["head", "get"],
)
def test_finding_c06_a_head_that_fails_has_a_message(w: World, words: tuple[str, ...]) -> None:
    ran = osx(w, "object", words[0], *BN, *words[1:])
    assert ran.code == 1
    told = json.loads(ran.err[ran.err.index("{") :])
    assert told["message"] == "The service returned error code 404"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("object", "put", "-bn", "b"), "UsageError: Missing option(s) --file."),
        (("object", "list"), "UsageError: Missing option(s) --bucket-name."),
        (("object", "put", "--no-such"), "Error: No such option '--no-such'."),
        (("object", "list", "-bn"), "Error: Option '-bn' requires an argument."),
    ],
    ids=["missing", "missing bucket", "unknown", "without a value"],
)
def test_finding_c09_usage_errors_have_the_official_status_and_first_words(
    w: World, words: tuple[str, ...], says: str
) -> None:
    ran = osx(w, *words)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("way", ["put", "parts", "bulk-upload"])
def test_finding_c08_a_key_over_an_object_without_one(w: World, way: str) -> None:
    (w.home / "in").mkdir()
    source = w.file(3 * MIB, "in/x")
    key = w.home / "key"
    key.write_text("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
    stored(w, "x")
    words = {
        "put": ("object", "put", *BN, "--file", str(source), "--name", "x"),
        "parts": ("object", "put", *BN, "--file", str(source), "--name", "x", "--part-size", "2"),
        "bulk-upload": ("object", "bulk-upload", *BN, "--src-dir", str(source.parent)),
    }[way]
    ran = osx(w, *words, "--encryption-key-file", str(key), typed=b"y\n")
    assert ran.code == 0, ran.err
    looked = w.oci.log.entries(operation="HeadObject")
    assert looked or way == "bulk-upload"
    back = w.home / "back"
    got = osx(
        w,
        *("object", "get", *BN, "--name", "x", "--file", str(back)),
        *("--encryption-key-file", str(key)),
    )
    assert got.code == 0, got.err
    assert back.read_bytes() == source.read_bytes()


@pytest.mark.slow
def test_finding_c10_the_callers_request_id_goes_with_every_request(w: World) -> None:
    directory = w.home / "in"
    directory.mkdir()
    w.file(3 * MIB, "in/x")
    for words in (
        ("object", "put", *BN, "--file", str(directory / "x"), "--part-size", "2"),
        ("object", "bulk-upload", *BN, "--src-dir", str(directory), "--object-prefix", "b/"),
        ("object", "list", *BN),
        ("object", "get", *BN, "--name", "x", "--file", str(w.home / "back")),
        ("object", "bulk-download", *BN, "--download-dir", str(w.home / "down")),
        ("bucket", "list", "-ns", "ns1", "--compartment-id", "c"),
    ):
        w.oci.log.clear()
        ran = osx(w, *words, "--request-id", "night-17")
        assert ran.code == 0, ran.err
        sent = {entry.headers.get("opc-client-request-id") for entry in w.oci.log.entries()}
        assert sent == {"night-17"}, words


def test_finding_c11_a_dry_run_makes_the_directory(w: World) -> None:
    stored(w, "a/x")
    target = w.home / "down" / "deep"
    ran = osx(w, "object", "bulk-download", *BN, "--download-dir", str(target), "--dry-run")
    assert ran.code == 0, ran.err
    assert target.is_dir()
    assert list(target.rglob("*")) == []
