"""A person at the terminal, and settings that come from elsewhere."""

import base64
import io
import sys
from pathlib import Path

import pytest

from ocihaul.emulator.faults import Fault
from tests.functional.directories import content, make, operations, run
from tests.world import MIB, world


class Terminal(io.StringIO):
    """A stream that a person is at."""

    def isatty(self) -> bool:
        return True


def test_a_person_is_asked_about_each_and_may_say_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *"abcde")
        for name in "abcd":
            w.oci.put_object("backups", name, b"there")
        monkeypatch.setattr(sys, "stdin", Terminal("y\n\nall\n"))
        ran = run(w, "bulk-upload", "--src-dir", str(src), terminal=True)
        assert ran.code == 0, ran.err
        assert sorted(ran.json["uploaded-objects"]) == ["a", "c", "d", "e"]
        assert ran.json["skipped-objects"] == ["b"]
        assert ran.err.count("Are you sure you want to overwrite it?") == 3
        assert "Are you sure" not in ran.out


def test_a_person_is_asked_once_before_objects_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        for name in "abc":
            w.oci.put_object("backups", name, b"")
        monkeypatch.setattr(sys, "stdin", Terminal("n\ny\n"))
        ran = run(w, "bulk-delete", "--exclude", "c", terminal=True)
        assert ran.code == 1
        assert "nothing was deleted" in ran.err
        ran = run(w, "bulk-delete", "--exclude", "c", terminal=True)
        assert ran.json["deleted-objects"] == ["a", "b"]
        assert "This command will delete at least 2 objects" in ran.err
        ran = run(w, "bulk-delete", "--exclude", "c", terminal=True)
        assert (ran.code, ran.out) == (0, "")
        assert "There are no objects to delete" in ran.err


def test_options_come_from_a_document_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a.txt", "b.tar", "c.log")
        document = f'{{"srcDir": "{src}", "include": ["*.txt", "*.log"], "objectPrefix": "p/"}}'
        ran = run(w, "bulk-upload", "--from-json", document)
        assert sorted(ran.json["uploaded-objects"]) == ["p/a.txt", "p/c.log"]


def test_weakness_14_no_retry_is_no_retry(tmp_path: Path) -> None:
    """Weakness 14: the official CLI tries again whatever one says."""
    with world(tmp_path) as w:
        src = make(tmp_path / "src", "a", "b", "c")
        fault = Fault(operation="PutObject", object_name="b", status=503, code="Busy", times=None)
        w.oci.faults.add(fault)
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--no-retry")
        assert list(ran.json["upload-failures"]) == ["b"]
        assert operations(w)["PutObject"] == 3


def test_an_outage_ends_the_run_instead_of_every_file_in_turn(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *map(str, range(300)))
        w.oci.faults.add(Fault(operation="PutObject", status=503, code="Busy", times=None))
        ran = run(w, "bulk-upload", "--src-dir", str(src), "--no-retry")
        assert ran.code == 1
        assert "503" in ran.err
        assert operations(w)["PutObject"] < 60


UP = ("--src-dir", "{home}/src")
DOWN = ("--dest-dir", "{home}/dest")


@pytest.mark.parametrize(
    "words",
    [("bulk-upload", *UP), ("sync", *UP), ("bulk-download", *DOWN), ("sync", *DOWN)],
    ids=["bulk-upload", "sync up", "bulk-download", "sync down"],
)
def test_a_session_that_is_too_short_is_told_before_the_first_byte(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with world(tmp_path, token_ttl=60, session_ttl=60) as w:
        make(tmp_path / "src")
        w.file(200_000, "src/up")
        w.oci.put_object("backups", "down", bytes(200_000))
        arguments = [*(word.format(home=tmp_path) for word in words), "--require-session"]
        ran = run(w, *arguments, "--expected-rate", "1k")
        assert (ran.code, ran.out) == (1, "")
        assert "will not last" in ran.err
        assert "needs 3 min" in ran.err
        assert set(operations(w)) <= {"ListObjects"}
        assert not (tmp_path / "dest").exists()
        ran = run(w, *arguments, "--expected-rate", "1k", "--dry-run")
        assert ran.code == 0, "which moves nothing"
        assert set(operations(w)) <= {"ListObjects", "GetBucket"}
        ran = run(w, *arguments, "--expected-rate", "100M")
        assert ran.code == 0, ran.err
        assert operations(w)["GetObject" if DOWN[0] in words else "PutObject"] == 1


def test_nothing_is_deleted_on_a_session_of_which_nobody_knows_whether_it_lasts(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "a", b"")
        arguments = ["bulk-delete", "--force", "--require-session", "--expected-rate", "100M"]
        w.oci.configure(token_ttl=60, session_ttl=60)
        w.log_in()  # its session ends with the token
        ran = run(w, *arguments)
        assert (ran.code, ran.out) == (1, "")
        assert "cannot be renewed" in ran.err
        assert "--expected-rate" not in ran.err, "it would not help"
        assert operations(w) == {}
        assert run(w, *arguments, "--dry-run").json["deleted-objects"] == ["a"]
        w.oci.configure(token_ttl=60, session_ttl=3600)
        w.log_in()
        ran = run(w, *arguments)
        assert ran.code == 0, ran.err
        assert w.oci.object_names("backups") == []


def test_a_customers_key_goes_both_ways(tmp_path: Path) -> None:
    """Weakness 16: small files and parts alike."""
    key = tmp_path / "key"
    key.write_text(base64.b64encode(bytes(range(32))).decode())
    with world(tmp_path) as w:
        w.hidden.add(key.read_text())
        src = make(tmp_path / "src", "small", "empty")
        (src / "empty").write_bytes(b"")
        w.file(11 * MIB, "src/large")
        flags = ["--encryption-key-file", str(key)]
        up = ["bulk-upload", "--src-dir", str(src), "--part-size", "10", *flags]
        assert run(w, *up).code == 0
        for name in ("small", "large"):
            assert w.oci.object_info("backups", name).sse_key_sha256
        down = ["bulk-download", "--dest-dir", str(tmp_path / "dest")]
        ran = run(w, *down)
        assert sorted(ran.json["download-failures"]) == ["large", "small"]
        ran = run(w, *down, *flags, "--no-overwrite")
        assert ran.code == 0, ran.err
        assert content(tmp_path / "dest") == content(src)
