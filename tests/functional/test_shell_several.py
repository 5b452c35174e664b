"""`ocihaul cp`, `rm`, `ls` and `du` of several names: one that fails does not stop the others."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jsonschema
import pytest

from ocihaul.cli.transfer_log import schema
from ocihaul.emulator import Fault
from tests.support import until
from tests.terminal import Terminal
from tests.world import Ran, World
from tests.world import world as make_world

REPORTS = (
    *("--log-file", "night.jsonl", "--log-format", "json", "--report", "page.html"),
    *("--metrics-file", "night.prom", "--on-finish", "env | grep ^OCIHAUL_ >> finished"),
    *("--on-failure", "echo $OCIHAUL_EXIT >> failures"),
)


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
    return w.checked(Ran(done.returncode, done.stdout.decode(), done.stderr.decode()))


def put(w: World, *names: str) -> None:
    for name in names:
        w.upload(w.file(len(name), "source"), name=name)


def files(w: World, **sizes: int) -> Sequence[str]:
    for name, size in sizes.items():
        w.file(size, name)
    return list(sizes)


def lines(w: World, name: str = "night.jsonl") -> list[dict[str, object]]:
    return [json.loads(line) for line in (w.home / name).read_text().splitlines()]


def metric(w: World, name: str) -> float:
    text = (w.home / "night.prom").read_text()
    found = re.search(rf"^ocihaul_transfer_{name}\{{[^}}]*\}} (.*)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def hook(w: World) -> dict[str, str]:
    """What --on-finish was given; it was run once."""
    pairs = [line.partition("=") for line in (w.home / "finished").read_text().splitlines()]
    names = [name for name, _, _ in pairs if name in {"OCIHAUL_STATE", "OCIHAUL_EXIT"}]
    assert sorted(names) == ["OCIHAUL_EXIT", "OCIHAUL_STATE"]
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("form", ["json", "text"])
def test_one_page_one_hook_and_one_metric_tell_of_all_sources(w: World, form: str) -> None:
    fault = w.oci.faults.add(
        Fault(operation="PutObject", object_name="night/b", status=409, code="IncorrectState")
    )
    names = files(w, a=1000, b=2000, c=4000)
    done = ocihaul(w, "cp", *names, "oci://backups/night/", *REPORTS, "--log-format", form)
    assert fault.fired == 1
    assert (done.code, done.out) == (1, ""), done.err
    assert "failed: b: " in done.err
    assert "1 of 3 failed; the others are done." in done.err
    assert sorted(w.oci.object_names("backups")) == ["night/a", "night/c"]

    page = (w.home / "page.html").read_text()
    assert all(f"backups/night/{name}" in page for name in "abc")
    assert "The night did not end well." in page
    told = hook(w)
    assert (told["OCIHAUL_STATE"], told["OCIHAUL_EXIT"]) == ("partial", "1")
    assert (told["OCIHAUL_OBJECT"], told["OCIHAUL_BYTES"]) == ("backups/night/", "5000")
    assert "backups/night/b: " in told["OCIHAUL_REASON"]
    assert (w.home / "failures").read_text() == "1\n"
    assert (metric(w, "success"), metric(w, "failures"), metric(w, "bytes")) == (0, 1, 5000)
    assert (metric(w, "runs_total"), metric(w, "failed_runs_total")) == (1, 1)


@pytest.mark.slow
def test_the_log_has_a_result_of_each_source_and_of_the_command(w: World) -> None:
    names = files(w, a=1000, b=2000)
    w.oci.faults.add(
        Fault(operation="PutObject", object_name="night/a", status=409, code="IncorrectState")
    )
    for _ in range(2):  # mended by the second run: the page says so
        ocihaul(w, "cp", *names, "oci://backups/night/", *REPORTS)
    w.oci.faults.assert_all_fired()
    found = lines(w)
    for line in found:
        jsonschema.validate(line, schema())
    results = [
        (line["object"], line["state"], line["exit"], line.get("sources"))
        for line in found
        if line["event"] == "result"
    ]
    assert results == [
        ("backups/night/a", "failed", 1, None),
        ("backups/night/b", "done", 0, None),
        ("backups/night/", "partial", 1, 2),
        ("backups/night/a", "done", 0, None),
        ("backups/night/b", "done", 0, None),
        ("backups/night/", "done", 0, 2),
    ]
    assert found[-1]["files"] == {"transferred": 2, "unchanged": 0, "deleted": 0, "failed": 0}
    drawn = ocihaul(w, "report", "night.jsonl", "-o", "other.html")
    for page in ("page.html", "other.html"):
        assert "The night ended well." in (w.home / page).read_text(), drawn.err
    assert (metric(w, "success"), metric(w, "runs_total")) == (1, 2)


def test_the_text_log_ends_with_the_result_of_the_command(w: World) -> None:
    names = files(w, a=1000, b=2000)
    done = ocihaul(w, "cp", *names, "missing", "oci://backups/", "--log-file", "night.log")
    assert done.code == 1
    text = (w.home / "night.log").read_text().splitlines()
    assert "backups/: RESULT partial, 2 transferred, 0 unchanged, 0 deleted, 1 failed" in text[-1]
    assert sum("RESULT" in line for line in text) == 4
    assert sum("there is no such file" in line for line in text) == 1


def test_the_token_is_said_once_and_the_devices_hint_is_cps(w: World) -> None:
    names = files(w, a=1000, b=2000)
    done = ocihaul(w, "cp", "missing", *names, "/dev/null", "oci://backups/", "--verbose")
    assert done.code == 1
    assert done.err.count("session token 1") == 1
    assert "cat /dev/null | ocihaul cp - " in done.err
    assert "--file" not in done.err


def test_what_cannot_begin_is_told_too(w: World) -> None:
    for number, words in enumerate(
        [("missing", "oci://backups/"), ("-r", "oci://backups/none/", "here")], 1
    ):
        done = ocihaul(w, "cp", *words, *REPORTS)
        assert done.code in {1, 2}
        assert len((w.home / "failures").read_text().splitlines()) == number
        assert lines(w)[-1]["event"] == "result"
        assert metric(w, "failed_runs_total") == number


def test_kept_files_have_a_result(w: World) -> None:
    put(w, "a")
    files(w, a=5)
    done = ocihaul(w, "cp", "-n", "oci://backups/a", "a", *REPORTS)
    assert (done.code, lines(w)[-1]["state"]) == (0, "kept")
    assert "a is there, and is kept" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["text", "json"])
def test_what_is_wrong_for_all_stops_at_once_and_is_said_once(w: World, format_: str) -> None:
    names = files(w, a=1000, b=2000, c=4000)
    w.oci.revoke_all(refreshable=False)
    words = ("cp", *names, "oci://backups/", "--session-wait", "0")
    done = ocihaul(w, *words, *REPORTS, "--log-format", format_)
    assert done.code == 75, done.err
    assert hook(w)["OCIHAUL_STATE"] == "resumable"
    assert metric(w, "exit_status") == 75
    text = (w.home / "night.jsonl").read_text()
    assert ("backups/b" in text, text.count("Error: ")) == (False, int(format_ == "text"))


def test_an_interrupt_stops_all(w: World) -> None:
    names = files(w, a=1000, b=2000, c=4000)
    fault = w.oci.faults.add(Fault(object_name="a", stall_at_byte=500, stall_seconds=600.0))
    argv = [sys.executable, "-m", "ocihaul", "cp", *(str(w.home / name) for name in names)]
    environ = w.environ() | {"OCI_CLI_AUTH": "security_token"}
    with Terminal([*argv, "oci://backups/"], environ, columns=90) as terminal:
        until(lambda: fault.fired, seconds=100.0)
        terminal.type("\x03")
        assert terminal.wait() == 130
        assert "RESULT interrupted" in terminal.text()
    assert w.oci.object_names("backups") == []
    assert w.oci.log.count(operation="PutObject") <= 1


def test_rm_goes_on_behind_a_name_that_is_missing(w: World) -> None:
    put(w, "a", "b", "c/x", "d/y")
    done = ocihaul(w, "rm", "-f", *(f"oci://backups/{name}" for name in ("a", "no", "b", "none")))
    assert (done.code, done.out) == (1, "")
    said = [line for line in done.err.splitlines() if line.startswith("failed: ")]
    assert [line.split()[1] for line in said] == ["oci://backups/no:", "oci://backups/none:"]
    assert sorted(w.oci.object_names("backups")) == ["c/x", "d/y"]
    words = ("rm", "-rf", "oci://backups/c", "oci://backups/no", "oci://backups/d")
    done = ocihaul(w, *words, *REPORTS)
    assert (done.code, w.oci.object_names("backups")) == (1, []), done.err


@pytest.mark.slow
def test_rm_stops_at_what_is_wrong_for_all(w: World) -> None:
    put(w, "a", "b")
    w.oci.revoke_all(refreshable=False)
    words = ("rm", "-f", "oci://backups/a", "oci://backups/b", "--session-wait", "0")
    done = ocihaul(w, *words)
    assert (done.code, "failed: oci:" in done.err) == (75, False), done.err
    assert len(w.oci.object_names("backups")) == 2


@pytest.mark.parametrize("command", ["ls", "du"])
def test_ls_and_du_go_on_behind_a_name_that_is_missing(w: World, command: str) -> None:
    put(w, "a", "c")
    done = ocihaul(w, command, "oci://backups/a", "oci://none/x", "oci://backups/c")
    assert done.code == 1
    assert "failed: oci://none/x: " in done.err
    assert len(re.findall(r"backups/[ac]", done.out)) == 2


@pytest.mark.slow
def test_a_folder_that_is_an_object_is_removed_where_it_is_empty(w: World) -> None:
    put(w, "folder/", "full/", "full/x", "only/x")
    done = ocihaul(w, "rm", "-f", "oci://backups@ns1/folder/")
    assert (done.code, done.out) == (0, ""), done.err
    assert sorted(w.oci.object_names("backups")) == ["full/", "full/x", "only/x"]
    for name, says in (("full/", "is not empty"), ("only/", "is a prefix, and no object")):
        refused = ocihaul(w, "rm", "-f", f"oci://backups/{name}")
        assert (refused.code, says in refused.err) == (2, True), refused.err
        assert f"ocihaul rm -r oci://backups/{name}" in refused.err
    missing = ocihaul(w, "rm", "-f", "oci://backups/folder/")
    assert (missing.code, "there is no such object" in missing.err) == (1, True), missing.err
    assert len(w.oci.object_names("backups")) == 3


@pytest.mark.slow
def test_hints_speak_of_addresses_and_name_what_failed_once(w: World) -> None:
    files(w, f=3)
    for words in (
        ("ls", "oci://none/x"),
        ("du", "oci://backups@wrong"),
        ("rm", "-f", "oci://none/x"),
        ("cp", "f", "oci://none/"),
        ("cp", "oci://backups/none", "x"),
        ("cp", "f", "f2", "oci://none/", "--log-file", "f.log"),
    ):
        done = ocihaul(w, *words)
        assert done.code == 1, words
        assert not re.search(r"--(bucket-)?name|--namespace", done.err), done.err
        assert "namespace" in done.err
    assert "--bucket-name" not in (w.home / "f.log").read_text()
    lists = ocihaul(w, "ls", "oci://backups/none", "oci://backups")
    assert lists.err.count("oci://backups/none") == 1
    other = ocihaul(w, "os", "object", "list", "-bn", "none", "-ns", "ns1")
    assert "--bucket-name" in other.err


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a b", "new\nline", "../up", "/lead", "esc\x1b[31m", "{x}", "-"])
def test_names_of_any_kind_go_there_and_back(w: World, name: str) -> None:
    source = w.file(9, "source")
    into = w.home / "into"
    into.mkdir()
    up = ocihaul(w, "cp", "source", f"oci://backups/{name}")
    assert (up.code, w.oci.object_names("backups")) == (0, [name]), up.err
    for command in ("ls", "du"):
        listed = ocihaul(w, command, f"oci://backups/{name}")
        assert (listed.code, listed.out.count("\n"), "\x1b" in listed.out) == (0, 1, False)
    down = ocihaul(w, "cp", f"oci://backups/{name}", "into/")
    assert down.code == 0, down.err
    assert [each.name for each in into.iterdir()] == [name.rpartition("/")[2]]
    assert (into / name.rpartition("/")[2]).read_bytes() == source.read_bytes()
    assert ocihaul(w, "rm", "-f", f"oci://backups/{name}").code == 0
    assert w.oci.object_names("backups") == []


def test_a_local_name_that_is_not_utf8_is_said_and_can_be_named(w: World) -> None:
    name = "n\udcff\udcfe"
    (w.home / name).write_text("x")
    files(w, f=3)
    done = ocihaul(w, "cp", name, "f", "oci://backups/")
    assert (done.code, "is not valid UTF-8" in done.err) == (1, True), done.err
    assert w.oci.object_names("backups") == ["f"]
    assert "--name" not in done.err
    assert ocihaul(w, "cp", name, "oci://backups/named").code == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_cannot_be_read_is_said(w: World) -> None:
    files(w, f=3, secret=3)
    (w.home / "secret").chmod(0)
    done = ocihaul(w, "cp", "secret", "f", "oci://backups/")
    assert (done.code, w.oci.object_names("backups")) == (1, ["f"]), done.err
    assert "failed: secret: " in done.err
