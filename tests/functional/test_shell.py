"""`ocihaul ls`, `du`, `cp` and `rm` against the emulator."""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.terminal import Terminal
from tests.world import MIB, Ran, World
from tests.world import world as make_world


@pytest.fixture
def w(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as world:
        yield world


def ocihaul(w: World, *args: str, stdin: bytes = b"") -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "ocihaul", *args],
        input=stdin,
        capture_output=True,
        env=w.environ() | {"OCI_CLI_AUTH": "security_token", "TZ": "Asia/Tokyo"},
        cwd=w.home,
        timeout=100,
        check=False,
    )
    out = done.stdout.decode("latin-1")
    return w.checked(Ran(done.returncode, out, done.stderr.decode()))


def stored(w: World, name: str) -> str | None:
    return w.oci.object_digest("backups", name) if name in w.oci.object_names("backups") else None


def fill(w: World) -> None:
    for name, size in {"a": 10, "2026/x": 2000, "2026/y/z": 3 * MIB, "2026-old": 5}.items():
        source = w.file(size, "source")
        assert ocihaul(w, "cp", str(source), f"oci://backups/{name}").code == 0


def test_finding_d12_cp_there_and_back_is_silent_and_exact(w: World) -> None:
    source = w.file(12 * MIB, "db-20261127.tar")
    up = ocihaul(w, "cp", source.name, "oci://backups/night/", "--part-size", "5M")
    assert (up.code, up.out) == (0, ""), up.err
    assert stored(w, "night/db-20261127.tar") == hashlib.sha256(source.read_bytes()).hexdigest()
    assert w.oci.log.count(operation="UploadPart") == 3
    down = ocihaul(w, "cp", "oci://backups@ns1/night/db-20261127.tar", "back")
    assert (down.code, down.out) == (0, ""), down.err
    assert (w.home / "back").read_bytes() == source.read_bytes()


def test_cp_reads_stdin_and_writes_stdout(w: World) -> None:
    assert ocihaul(w, "cp", "-", "oci://backups/piped", stdin=b"from a pipe").code == 0
    out = ocihaul(w, "cp", "oci://backups/piped", "-")
    assert (out.code, out.out) == (0, "from a pipe")


@pytest.mark.slow
def test_cp_replaces_unless_it_is_told_to_keep(w: World) -> None:
    (w.home / "f").write_text("old")
    assert ocihaul(w, "cp", "f", "oci://backups/f").code == 0
    old = stored(w, "f")
    (w.home / "f").write_text("new")
    assert ocihaul(w, "cp", "-n", "f", "oci://backups/f").code == 0
    assert stored(w, "f") == old
    kept = ocihaul(w, "cp", "-n", "oci://backups/f", "f")
    assert "kept" in kept.err
    assert (w.home / "f").read_text() == "new"
    assert ocihaul(w, "cp", "f", "oci://backups/f").code == 0
    assert stored(w, "f") != old


@pytest.mark.slow
def test_directories_go_there_and_back(w: World) -> None:
    root = w.home / "photos"
    (root / "sub").mkdir(parents=True)
    (root / "one").write_text("1")
    (root / "sub" / "two").write_text("22")
    up = ocihaul(w, "cp", "-r", "photos", "oci://backups/all/")
    assert (up.code, up.out) == (0, ""), up.err
    assert ocihaul(w, "ls", "-R", "oci://backups/all").out.split() == [
        "photos/one",
        "photos/sub/two",
    ]
    down = ocihaul(w, "cp", "-r", "oci://backups/all/photos/", "restored")
    assert down.code == 0, down.err
    assert (w.home / "restored" / "sub" / "two").read_text() == "22"
    assert "is a directory" in ocihaul(w, "cp", "photos", "oci://backups").err


@pytest.mark.slow
def test_the_service_copies_between_prefixes(w: World) -> None:
    fill(w)
    done = ocihaul(w, "cp", "oci://backups/a", "oci://backups/copies/b")
    assert done.code == 0, done.err
    assert stored(w, "copies/b") == stored(w, "a")
    done = ocihaul(w, "cp", "-r", "oci://backups/2026", "oci://backups/copies/")
    assert done.code == 0, done.err
    assert stored(w, "copies/2026/y/z") == stored(w, "2026/y/z")
    assert stored(w, "copies/2026-old") is None
    assert w.oci.log.count(operation="GetObject") == 0
    kept = ocihaul(w, "cp", "-n", "oci://backups/2026/x", "oci://backups/copies/b")
    assert (kept.code, "1 of 1 are there" in kept.err) == (0, True)
    assert stored(w, "copies/b") == stored(w, "a")


@pytest.mark.slow
def test_ls_shows_one_level_or_all(w: World) -> None:
    fill(w)
    assert ocihaul(w, "ls", "oci://backups").out.splitlines() == ["2026-old", "2026/", "a"]
    assert ocihaul(w, "ls", "oci://backups@ns1/2026").out.splitlines() == ["x", "y/"]
    assert ocihaul(w, "ls", "-R", "oci://backups/2026/").out.splitlines() == ["x", "y/z"]
    assert ocihaul(w, "ls", "oci://backups/a").out.splitlines() == ["a"]
    two = ocihaul(w, "ls", "oci://backups/2026/y", "oci://backups/a").out.splitlines()
    assert two == ["oci://backups/2026/y:", "z", "oci://backups/a:", "a"]


@pytest.mark.slow
def test_finding_d12_ls_l_has_sizes_and_local_times(w: World) -> None:
    fill(w)
    lines = ocihaul(w, "ls", "-l", "oci://backups/2026/").out.splitlines()
    assert re.fullmatch(r" +2000  \d{4}-\d\d-\d\d \d\d:\d\d  x", lines[0])
    assert re.fullmatch(r" +-  - {15}  y/", lines[1])
    human = ocihaul(w, "ls", "-lhR", "oci://backups").out
    assert re.search(r" 3\.0 MiB  .*  2026/y/z\n", human)


@pytest.mark.slow
def test_finding_d12_du_adds_up(w: World) -> None:
    fill(w)
    total = 10 + 2000 + 3 * MIB + 5
    assert ocihaul(w, "du", "oci://backups").out.split() == [
        *(str(2000 + 3 * MIB), "oci://backups/2026"),
        *(str(total), "oci://backups/"),
    ]
    assert ocihaul(w, "du", "-hs", "oci://backups").out == "       3.0 MiB  oci://backups/\n"
    assert ocihaul(w, "du", "oci://backups/a").out.split() == ["10", "oci://backups/a"]


@pytest.mark.slow
def test_what_is_not_there_is_an_error_that_says_where_to_look(w: World) -> None:
    for args in (
        ("ls", "oci://backups/nope"),
        ("du", "oci://backups/nope/"),
        ("rm", "-f", "oci://backups/nope"),
        ("cp", "oci://backups/nope", "oci://backups/x"),
        ("cp", "-r", "oci://backups/nope/", "x"),
    ):
        done = ocihaul(w, *args)
        assert done.code == 1, args
        assert "there is no such object" in done.err, done.err
    assert ocihaul(w, "cp", "oci://backups/nope", "x").code == 1
    assert not (w.home / "x").exists()
    done = ocihaul(w, "ls", "backups")
    assert done.code == 2
    assert "Write it as oci://backups" in done.err
    assert ocihaul(w, "ls", "oci://nobucket/x").code == 1


@pytest.mark.slow
def test_rm_asks_and_takes_no_answer_for_no(w: World) -> None:
    fill(w)
    asked = ocihaul(w, "rm", "oci://backups/a")
    assert (asked.code, stored(w, "a") is None) == (1, False)
    assert "--force" in asked.err
    assert ocihaul(w, "rm", "oci://backups/a", stdin=b"n\n").code == 1
    assert stored(w, "a") is not None
    assert ocihaul(w, "rm", "oci://backups/a", stdin=b"y\n").code == 0
    assert stored(w, "a") is None


@pytest.mark.slow
def test_rm_r_deletes_what_is_below_and_no_neighbour(w: World) -> None:
    fill(w)
    assert ocihaul(w, "rm", "--force", "oci://backups/2026/").code == 2
    asked = ocihaul(w, "rm", "-r", "oci://backups/2026", stdin=b"n\n")
    assert "Delete 2 objects below oci://backups/2026/?" in asked.err
    assert stored(w, "2026/x") is not None
    done = ocihaul(w, "rm", "-rf", "oci://backups/2026")
    assert (done.code, done.out) == (0, ""), done.err
    assert ocihaul(w, "ls", "-R", "oci://backups").out.split() == ["2026-old", "a"]
    assert ocihaul(w, "rm", "-rf", "oci://backups").code == 0
    assert ocihaul(w, "ls", "oci://backups").out == ""


def test_cp_has_the_engine_of_the_other_commands(w: World) -> None:
    fault = w.oci.faults.add(Fault(operation="UploadPart", part_number=2, status=503))
    source = w.file(12 * MIB, "big")
    environ = w.environ() | {"OCI_CLI_AUTH": "security_token"}
    argv = ["cp", str(source), "oci://backups/", "--part-size", "5M"]
    with Terminal([sys.executable, "-m", "ocihaul", *argv], environ, columns=100) as terminal:
        assert terminal.wait() == 0
        assert "RESULT done" in terminal.text()
        assert "retries 1" in terminal.text().replace("\n", "")
    assert fault.fired == 1
    assert w.arrived_whole(source)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("rm", "oci://backups/2026/x"),
        ("rm", "-r", "oci://backups/2026"),
        ("rm", "-r", "oci://backups"),
        ("os", "object", "bulk-delete", "-bn", "backups", "--prefix", "2026/"),
    ],
)
def test_ctrl_c_at_the_question_is_a_no_whatever_is_typed_behind_it(
    w: World, words: tuple[str, ...]
) -> None:
    fill(w)
    before = w.oci.object_names("backups")
    environ = w.environ() | {"OCI_CLI_AUTH": "security_token"}
    with Terminal([sys.executable, "-m", "ocihaul", *words], environ, columns=90) as terminal:
        terminal.wait_for(lambda: "y/N" in terminal.text())
        terminal.type("\x03")
        terminal.wait_for(lambda: "^C" in terminal.text())
        terminal.type("y\r")
        assert terminal.wait() == 130
    assert w.oci.object_names("backups") == before
    assert w.oci.log.count(operation="DeleteObject") == 0


def put(w: World, *names: str) -> None:
    for name in names:
        w.upload(w.file(len(name), "source"), name=name)


@pytest.mark.slow
def test_a_copy_over_itself_is_refused(w: World) -> None:
    put(w, "dir/a")
    for words in (
        ("oci://backups/dir/a", "oci://backups@ns1/dir/a"),
        ("oci://backups/dir/a", "oci://backups/dir/"),
        ("-r", "oci://backups/dir", "oci://backups/"),
        ("-r", "oci://backups/dir/", "oci://backups/dir"),
    ):
        done = ocihaul(w, "cp", *words)
        assert (done.code, "are the same" in done.err) == (2, True), words
    assert w.oci.log.count(operation="CopyObject") == 0


def test_an_object_that_stands_for_a_directory_does_not_stop_a_copy_to_a_bucket(w: World) -> None:
    put(w, "folder/", "folder/one", "folder/sub/two")
    w.oci.create_bucket("other")
    done = ocihaul(w, "cp", "-r", "oci://backups/folder/", "oci://other")
    assert done.code == 0, done.err
    assert sorted(w.oci.object_names("other")) == ["one", "sub/two"]


@pytest.mark.slow
def test_one_copy_that_fails_does_not_stop_the_others(w: World) -> None:
    names = [f"many/{number:02}" for number in range(25)]
    put(w, *names)
    done = ocihaul(w, "cp", "-r", "oci://backups/many/", "oci://backups/" + "x" * 1022)
    assert done.code == 1
    assert "25 of 25 failed" in done.err  # longer than a name may be
    fault = w.oci.faults.add(
        Fault(operation="CopyObject", status=409, code="IncorrectState", times=1)
    )
    done = ocihaul(w, "cp", "-r", "oci://backups/many/", "oci://backups/again/")
    assert fault.fired == 1
    assert (done.code, done.out) == (1, "")
    assert re.search(r"failed: oci://backups/many/\d\d: ", done.err), done.err
    assert "1 of 25 failed; the others are done." in done.err
    copies = [each for each in w.oci.object_names("backups") if each.startswith("again/")]
    assert len(copies) == 24


def test_du_counts_what_is_below_an_empty_segment(w: World) -> None:
    put(w, "/a", "/b/c", "d")
    assert ocihaul(w, "du", "oci://backups").out.split() == [
        *("6", "oci://backups//"),
        *("7", "oci://backups/"),
    ]


def test_copies_end_at_what_is_wrong_for_all(w: World) -> None:
    put(w, *(f"many/{number:02}" for number in range(25)))
    done = ocihaul(w, "cp", "-r", "oci://backups/many/", "oci://nowhere/")
    assert done.code == 1
    assert "BucketNotFound" in done.err
    assert w.oci.log.count(operation="CopyObject") <= 10


def test_a_copy_that_keeps_may_be_asked_for_twice(w: World) -> None:
    put(w, "a")
    fault = w.oci.faults.add(Fault(operation="CopyObject", cut_before_answer=True))
    done = ocihaul(w, "cp", "-n", "oci://backups/a", "oci://backups/b")
    assert (done.code, fault.fired) == (0, 1), done.err
    assert w.oci.log.count(operation="CopyObject") == 2
    assert stored(w, "b") == stored(w, "a")


def test_a_copy_by_the_service_has_log_report_and_hooks(w: World) -> None:
    put(w, "many/1", "many/2", "many/3")
    w.oci.faults.add(Fault(operation="CopyObject", status=409, code="IncorrectState"))
    words = ("cp", "-r", "oci://backups/many/", "oci://backups/again/")
    done = ocihaul(
        *(w, *words, "--log-file", "night.jsonl", "--log-format", "json"),
        *("--report", "page.html", "--on-failure", "touch told"),
    )
    assert done.code == 1, done.err
    last = json.loads((w.home / "night.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["state"], last["exit"]) == ("result", "partial", 1)
    assert (last["files"]["transferred"], last["files"]["failed"]) == (2, 1)
    assert "did not end well" in (w.home / "page.html").read_text()
    assert (w.home / "told").exists()


@pytest.mark.slow
def test_one_source_that_fails_does_not_stop_the_others(w: World) -> None:
    put(w, "a", "c")
    into = w.home / "into"
    into.mkdir()
    sources = [f"oci://backups/{name}" for name in "abc"]
    done = ocihaul(w, "cp", *sources, "into")
    assert done.code == 1
    assert "failed: oci://backups/b: " in done.err
    assert sorted(each.name for each in into.iterdir()) == ["a", "c"]
    w.oci.revoke_all(refreshable=False)
    before = w.oci.log.count(operation="RefreshToken")
    expired = ocihaul(w, "cp", *sources, "into", "--session-wait", "0")
    assert (expired.code, "failed: oci:" in expired.err) == (75, False), expired.err
    assert w.oci.log.count(operation="RefreshToken") == before + 1  # the next would fail, too


def test_a_link_to_nothing_is_kept_and_a_name_too_long_is_said(w: World) -> None:
    put(w, "a")
    (w.home / "link").symlink_to("nowhere")
    assert "is kept" in ocihaul(w, "cp", "-n", "oci://backups/a", "link").err
    assert not (w.home / "nowhere").exists()
    long = ocihaul(w, "cp", "oci://backups/a", "n" * 300)
    assert (long.code, "should not happen" in long.err) == (2, False)
