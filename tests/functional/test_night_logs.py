"""Nights without a terminal: what cron's mail, the log file, the hooks and the metrics then say."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from ocihaul.cli.transfer_log import schema
from ocihaul.emulator import Fault
from tests.world import MIB, World, world

#: Local time with its offset, then the object: how every line of a log begins.
STAMPED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+09:00 (\S+): \S")
TOKYO = {"TZ": "Asia/Tokyo"}


def put(oci: World, source: Path, *args: str) -> tuple[str, ...]:
    return tuple(word for word in oci.put(source, *args) if word != "--debug")


def sync(oci: World, source: Path, *args: str) -> tuple[str, ...]:
    given = ("--src-dir", str(source), "--auth", "security_token", "--session-wait", "0")
    return ("os", "object", "sync", "-bn", "backups", "-ns", oci.oci.namespace, *given, *args)


def records(oci: World, text: str) -> list[dict[str, object]]:
    """The lines of a JSON log, each held to the schema, without a secret."""
    validator = jsonschema.Draft202012Validator(schema())
    found = [json.loads(line) for line in text.splitlines()]
    for each in found:
        validator.validate(each)
    assert not [secret for secret in oci.secrets() if secret in text]
    return found


@pytest.mark.slow
def test_finding_d13_a_night_of_a_file_has_a_log_a_result_a_hook_and_metrics(
    tmp_path: Path,
) -> None:
    with world(tmp_path, token_ttl=4.0, bandwidth=6e6) as oci:
        source, log, metrics = oci.file(30 * MIB), tmp_path / "night.log", tmp_path / "night.prom"
        asked = ["--log-file", str(log), "--metrics-file", str(metrics)]
        asked += ["--on-finish", f"echo $OCIHAUL_STATE $OCIHAUL_BYTES > {tmp_path}/told"]
        ran = oci.run(*put(oci, source, *asked, "--progress-interval", "1s"), **TOKYO)
        assert ran.code == 0, ran.err
        text = log.read_text()
        assert not [secret for secret in oci.secrets() if secret in text]
        lines = text.splitlines()
        for line in [*lines, *ran.err.splitlines()]:
            found = STAMPED.match(line)
            assert found is not None, line
            assert found[1] == "backups/backup.tar"
            assert "UTC" not in line
        assert "RESULT done, 30.0 MiB in" in lines[-1]
        assert lines[-1].endswith("compared CRC32C and MD5, exit 0")
        renewals = int(re.findall(r"renewals (\d+)", lines[-1])[0])
        assert renewals >= 1
        assert renewals == text.count("session renewed")
        assert [line for line in lines if "% (" in line]
        assert "RESULT done" in ran.err.splitlines()[-1]
        assert (tmp_path / "told").read_text() == f"done {30 * MIB}\n"
        assert f'ocihaul_transfer_bytes{{command="put"}} {30 * MIB}\n' in metrics.read_text()
        assert 'ocihaul_transfer_success{command="put"} 1\n' in metrics.read_text()


def test_the_next_night_keeps_the_object_and_says_so(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        source = oci.file(100)
        first = oci.run(*put(oci, source), **TOKYO)
        second = oci.run(*put(oci, source, "--quiet"), **TOKYO)
        assert (first.code, second.code, second.out) == (0, 0, "")
        assert "RESULT done" in first.err
        (kept,) = second.err.splitlines()
        assert kept.endswith("The object already exists and was not overwritten")


def test_a_night_that_fails_says_why_in_the_log_and_the_block_is_the_last_thing(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as oci:
        log = tmp_path / "night.log"
        told = f"echo $OCIHAUL_STATE $OCIHAUL_EXIT > {tmp_path}/told"
        asked = ("--log-file", str(log), "--on-failure", told)
        ran = oci.run(*oci.get("no-such", tmp_path / "out", *asked), **TOKYO)
        assert ran.code == 1
        assert ran.err.endswith("}\n")
        block = json.loads(ran.err.partition("ServiceError:\n")[2])
        assert block["status"] == 404
        *_, error, hint, result = log.read_text().splitlines()
        assert "backups/no-such: Error: HeadObject: 404" in error
        assert "There is no such object" in hint
        assert "RESULT failed" in result
        assert (tmp_path / "told").read_text() == "failed 1\n"


def test_a_source_that_is_missing_runs_the_hook(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        asked = ("--on-failure", f'echo "$OCIHAUL_REASON" > {tmp_path}/told')
        ran = oci.run(*put(oci, tmp_path / "gone.tar", *asked))
        assert ran.code != 0
        assert "gone.tar" in (tmp_path / "told").read_text()


@pytest.mark.slow
def test_finding_d13_json_on_stderr_is_json_to_its_last_line(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0, bandwidth=6e6) as oci:
        ran = oci.run(*put(oci, oci.file(30 * MIB), "--log-format", "json"), **TOKYO)
        oci.oci.configure(token_ttl=3600.0)
        oci.log_in()  # on a busy machine the last token is over before the next command
        assert ran.code == 0, ran.err
        found = records(oci, ran.err)
        names = [each["event"] for each in found]
        assert names[0] == "begin"
        assert names[-1] == "result"
        assert {"upload_planned", "attempt_finished", "part_finished"} <= set(names)
        result = found[-1]
        assert (result["state"], result["exit"], result["bytes"]) == ("done", 0, 30 * MIB)
        assert result["renewals"] == len(
            [each for each in found if each.get("source") == "refresh"]
        )
        failed = oci.run(*oci.get("no-such", tmp_path / "out", "--log-format", "json"))
        assert failed.code == 1
        *_, error, result = records(oci, failed.err)
        assert (error["event"], error["level"]) == ("error", "error")
        assert (result["state"], result["exit"]) == ("failed", 1)


@pytest.mark.slow
def test_a_full_or_missing_log_does_not_cost_the_backup(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        for name, log in (("a.tar", "/dev/full"), ("b.tar", str(tmp_path / "no" / "x.log"))):
            source = oci.file(1000, name)
            ran = oci.run(*put(oci, source, "--log-file", log))
            assert ran.code == 0, ran.err
            assert f"--log-file {log}: " in ran.err
            assert oci.arrived_whole(source)


@pytest.mark.slow
def test_a_directory_says_what_became_of_its_files(tmp_path: Path) -> None:
    source = tmp_path / "tree"
    source.mkdir()
    for number in range(5):
        (source / f"f{number}").write_text("x" * 10)
    with world(tmp_path) as oci:
        first = oci.run(*sync(oci, source, "--verbose"), **TOKYO)
        (source / "f0").write_text("changed, and longer")
        (source / "f1").unlink()
        metrics = ("--metrics-file", str(tmp_path / "m.prom"))
        second = oci.run(*sync(oci, source, "--delete", "--verbose", *metrics), **TOKYO)
        third = oci.run(*sync(oci, source, "--log-format", "json"), **TOKYO)
        assert "5 transferred, 0 unchanged, 0 deleted, 0 failed, 50 bytes" in first.err
        assert "1 transferred, 3 unchanged, 1 deleted, 0 failed, 19 bytes" in second.err
        for line in first.err.splitlines() + second.err.splitlines():
            found = STAMPED.match(line)
            assert found is not None, line
            assert found[1] == str(source)
        assert 'ocihaul_transfer_bytes{command="sync"} 19\n' in (tmp_path / "m.prom").read_text()
        *_, result = records(oci, third.err)
        files = {"transferred": 0, "unchanged": 4, "deleted": 0, "failed": 0}
        assert result["files"] == files


def test_two_nights_share_a_log(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        log = str(tmp_path / "both.json")
        asked = ("--log-file", log, "--log-format", "json")
        started = [
            oci.start(*put(oci, oci.file(20 * MIB, name), *asked)) for name in ("a.tar", "b.tar")
        ]
        assert [oci.finish(each).code for each in started] == [0, 0]
        results = [
            each for each in records(oci, Path(log).read_text()) if each["event"] == "result"
        ]
        assert {each["object"] for each in results} == {"backups/a.tar", "backups/b.tar"}


def test_the_official_words_stay_as_they_are(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        ran = oci.run(*put(oci, oci.file(30 * MIB)), OCIHAUL_COMPAT="official", NO_COLOR="1")
        assert ran.code == 0, ran.err
        assert [line for line in ran.err.splitlines() if line.startswith("Upload ID: ")]
        assert "RESULT" not in ran.err
        assert "\x1b" not in ran.err


def until(check: Callable[[], bool], running: "subprocess.Popen[str]") -> None:
    """Wait until `check` holds; the command must not have ended before."""
    while not check():
        assert running.poll() is None, running.communicate()
        time.sleep(0.02)  # another process: there is nothing else to wait on


@pytest.mark.slow
@pytest.mark.parametrize("form", ["text", "json"])
def test_finding_d05_a_night_with_a_kill_a_renewal_a_pause_and_a_resume(
    tmp_path: Path, form: str
) -> None:
    with world(tmp_path, bandwidth=12 * MIB) as oci:
        source, log = oci.file(60 * MIB), tmp_path / "night.log"
        asked = ["--log-file", str(log), "--log-format", form, "--parallel-upload-count", "2"]
        argv = put(oci, source, *asked, "--progress-interval", "1s", "--session-wait", "5m")

        def parts(number: int) -> bool:
            return oci.oci.log.count(operation="UploadPart", status=200) >= number

        killed = oci.start(*argv, **TOKYO)
        until(lambda: parts(1), killed)
        killed.kill()
        assert oci.finish(killed).code == -signal.SIGKILL
        before = log.read_text()
        night = oci.start(*argv, **TOKYO)
        until(lambda: "Resuming upload" in log.read_text(), night)
        oci.oci.revoke_all(refreshable=True)
        words = {"text": ("session renewed", "Waiting for"), "json": ('"refresh"', "session_pause")}
        until(lambda: words[form][0] in log.read_text(), night)
        oci.oci.revoke_all(refreshable=False)
        until(lambda: words[form][1] in log.read_text(), night)
        oci.log_in()
        ran = oci.finish(night)
        assert ran.code == 0, ran.err
        assert oci.arrived_whole(source)
        text = log.read_text()
        assert text.startswith(before)
        assert not [secret for secret in oci.secrets() if secret in text]
        if form == "json":
            assert_the_night_in_json(oci, text)
        else:
            assert_the_night_in_words(text)


def assert_the_night_in_words(text: str) -> None:
    lines = text.splitlines()
    for line in lines:
        found = STAMPED.match(line)
        assert found is not None, line
        assert found[1] == "backups/backup.tar"
    said = ["uploading 60.0 MiB", "uploading 60.0 MiB", "rejected token", "session renewed"]
    said += ["Waiting for a new login until", "a new login has appeared", "RESULT done, 60.0 MiB"]
    at = 0
    for words in said:  # in this order
        (at, *_) = [number for number in range(at, len(lines)) if words in lines[number]]
        at += 1
    assert at == len(lines)
    assert text.count("RESULT") == 1
    result = lines[-1]
    assert "moved now" in result  # an earlier run had brought some of it
    assert int(re.findall(r"renewals (\d+)", result)[0]) >= 2
    assert int(re.findall(r"401s (\d+)", result)[0]) >= 2
    assert result.endswith("compared CRC32C and MD5, exit 0")


def assert_the_night_in_json(oci: World, text: str) -> None:
    found = records(oci, text)
    names = [each["event"] for each in found]
    said = ["begin", "upload_planned", "begin", "upload_planned", "credential_rejected"]
    said += ["token_changed", "session_paused", "session_resumed", "upload_finished", "result"]
    at = 0
    for name in said:
        at = names.index(name, at) + 1
    assert at == len(names)
    assert names.count("result") == 1
    result = found[-1]
    assert (result["state"], result["exit"], result["bytes"]) == ("done", 0, 60 * MIB)
    assert isinstance(result["moved"], int)
    assert 0 < result["moved"] < 60 * MIB
    assert result["compared"] == "CRC32C and MD5"


@pytest.mark.slow
def test_a_json_error_can_be_parsed_whatever_stands_before_it(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        oci.oci.faults.add(Fault(operation="HeadObject", status=503, times=2))
        ran = oci.run(*oci.get("{no}-{such}", tmp_path / "out", "--verbose"), **TOKYO)
        assert ran.code == 1
        oci.oci.faults.assert_all_fired()
        found = re.search(r"\{(.*)\}", ran.err, re.DOTALL)
        assert found is not None
        block = json.loads(found[0])
        assert block["status"] == 404
        assert ran.err.endswith("}\n")
        before = ran.err[: found.start()]
        assert "RESULT failed" in before
        assert "trying again" in before
        assert "backups/\\x7bno\\x7d-\\x7bsuch\\x7d" in before
        official = oci.run(*oci.get("no", tmp_path / "out"), OCIHAUL_COMPAT="official")
        assert official.err.startswith("ServiceError:\n{") or "RESULT" not in official.err
        json.loads(official.err[official.err.index("{") :])


def test_in_one_stream_nothing_stands_behind_the_answer(tmp_path: Path) -> None:
    source = tmp_path / "tree"
    source.mkdir()
    (source / "f").write_text("x")
    with world(tmp_path) as oci:
        for argv in (put(oci, oci.file(10), "--verbose"), sync(oci, source, "--verbose")):
            ran = subprocess.run(
                [sys.executable, "-m", "ocihaul", *argv],
                env=oci.environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=True,
            )
            before, brace, answer = ran.stdout.partition("{")
            assert json.loads(brace + answer)
            assert "RESULT done" in before.splitlines()[-1]


def test_a_moment_s_transfer_says_nothing_on_stderr(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        source, log = oci.file(3 * MIB), tmp_path / "night.log"
        argv = [*put(oci, source, "--log-file", str(log), "--part-size", "1")]
        argv.remove("--verify-checksum")
        ran = oci.run(*argv, **TOKYO)
        assert ran.code == 0
        upload_id, split = ran.err.splitlines()  # as the official CLI writes them
        assert upload_id.startswith("Upload ID: ")
        assert split == "Split file into 3 parts for upload."
        assert "RESULT done, 3.0 MiB in" in log.read_text().splitlines()[-1]
        oci.oci.put_object("backups", "y", b"y" * 1000)
        got = oci.run(*oci.get("y", tmp_path / "back"), **TOKYO)
        assert (got.code, got.err) == (0, "")


@pytest.mark.slow
def test_finding_d01_an_object_that_is_not_this_file_is_kept_and_that_is_said(
    tmp_path: Path,
) -> None:
    with world(tmp_path) as oci:
        source = oci.file(1000)
        argv = [word for word in put(oci, source) if word != "--no-overwrite"]
        assert oci.run(*argv, "--force").code == 0
        same = oci.run(*argv, "--no-overwrite", "--verbose", **TOKYO)
        assert same.code == 0
        assert "It is this file" in same.err
        assert "RESULT kept, " in same.err
        source.write_bytes(b"another night")
        told = ("--on-finish", f"echo $OCIHAUL_STATE > {tmp_path}/told")
        other = oci.run(*argv, "--no-overwrite", "--quiet", *told, **TOKYO)
        assert (other.code, other.out) == (0, "")
        assert "THE OBJECT IS NOT THIS FILE" in other.err
        assert "backup.tar has 1000 bytes, modified 20" in other.err
        assert f"{source} has 13 bytes, modified 20" in other.err
        assert (tmp_path / "told").read_text() == "kept-different\n"


@pytest.mark.slow
@pytest.mark.parametrize("multipart", [True, False])
def test_finding_d01_a_file_of_the_same_size_is_told_by_its_checksum(
    tmp_path: Path, multipart: bool
) -> None:
    with world(tmp_path) as oci:
        source = oci.file(3 * MIB)
        argv = [word for word in put(oci, source) if word != "--no-overwrite"]
        argv += ["--part-size", "1"] if multipart else []
        assert oci.run(*argv, "--force").code == 0
        assert oci.run(*argv, "--if-exists", "keep-same").code == 0
        with source.open("r+b") as file:
            file.seek(2 * MIB)
            file.write(b"!")
        metrics = tmp_path / "m.prom"
        kept = oci.run(*argv, "--if-exists", "keep", "--metrics-file", str(metrics), **TOKYO)
        assert kept.code == 0
        assert "RESULT kept-different" in kept.err.splitlines()[-1]
        assert 'ocihaul_transfer_success{command="put"} 0\n' in metrics.read_text()
        refused = oci.run(*argv, "--if-exists", "keep-same", **TOKYO)
        assert refused.code == 1
        assert "THE OBJECT IS NOT THIS FILE" in refused.err
        assert not oci.arrived_whole(source)
        failed = oci.run(*argv, "--if-exists", "fail")
        assert failed.code == 1
        assert "already exists" in failed.err
        assert "terminal" not in failed.err
        assert oci.run(*argv, "--if-exists", "replace").code == 0
        assert oci.arrived_whole(source)


def test_the_official_words_compare_nothing(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        source = oci.file(1000)
        assert oci.run(*put(oci, source)).code == 0
        source.write_bytes(b"another night")
        ran = oci.run(*put(oci, source), OCIHAUL_COMPAT="official")
        assert (ran.code, ran.out) == (0, "")
        assert "NOT THIS FILE" not in ran.err


def test_finding_d01_one_word_says_what_becomes_of_an_object(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        ran = oci.run(*put(oci, oci.file(10), "--if-exists", "keep"))
        assert ran.code == 2
        assert "--if-exists" in ran.err
        assert "--no-overwrite" in ran.err
