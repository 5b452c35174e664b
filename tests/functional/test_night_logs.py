"""Nights without a terminal: what cron's mail, the log file, the hooks and the metrics then say."""

import json
import re
from pathlib import Path

import jsonschema

from ocihaul.cli.json_log import schema
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


def test_a_night_of_a_file_has_a_log_a_result_a_hook_and_metrics(tmp_path: Path) -> None:
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


def test_json_on_stderr_is_json_to_its_last_line(tmp_path: Path) -> None:
    with world(tmp_path, token_ttl=4.0, bandwidth=6e6) as oci:
        ran = oci.run(*put(oci, oci.file(30 * MIB), "--log-format", "json"), **TOKYO)
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


def test_a_full_or_missing_log_does_not_cost_the_backup(tmp_path: Path) -> None:
    with world(tmp_path) as oci:
        for name, log in (("a.tar", "/dev/full"), ("b.tar", str(tmp_path / "no" / "x.log"))):
            source = oci.file(1000, name)
            ran = oci.run(*put(oci, source, "--log-file", log))
            assert ran.code == 0, ran.err
            assert f"--log-file {log}: " in ran.err
            assert oci.arrived_whole(source)


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
