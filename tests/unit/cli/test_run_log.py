"""The log of a transfer: JSON by its schema, the result line, the file, metrics and hooks."""

import dataclasses
import errno
import json
import os
import stat
import types
import typing
from collections.abc import Mapping
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from ocihaul import events
from ocihaul.cli.error_text import error_fields, summary
from ocihaul.cli.event_text import EventFormatter
from ocihaul.cli.hooks import run_finish_hooks
from ocihaul.cli.output import in_local_time
from ocihaul.cli.run_result import (
    FileCounts,
    LogOrigin,
    RunCounter,
    RunResult,
    result_text,
    state_of,
    transfer_exposition,
    update_metrics,
)
from ocihaul.cli.transfer_log import (
    FileOutput,
    JsonLog,
    LogFile,
    LogOptions,
    event_fields,
    event_name,
    is_summed,
    log_options,
    schema,
)
from ocihaul.errors import ServiceError, UsageError
from ocihaul.events import (
    AttemptFinished,
    BytesSent,
    CredentialRejected,
    DirectoryProgress,
    FileFinished,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    PartResent,
    RenewalFailed,
    RetryScheduled,
    SessionPaused,
    TokenChanged,
    TransferProgress,
    UploadPlanned,
)
from tests.unit.cli.test_printing import ACTIVE, EVENTS, any_event

MIB = 2**20
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
RESULT = RunResult(
    command="put",
    object="backups/db.tar",
    state="done",
    exit=0,
    bytes=30 * MIB,
    moved=30 * MIB,
    seconds=6.0,
    renewals=2,
    rejections=1,
    retries=3,
    resent_bytes=10 * MIB,
    compared="CRC32C",
    receipt="/r.json",
)
FAILED = dataclasses.replace(
    RESULT, state="failed", exit=1, bytes=0, moved=MIB, compared=None, reason="no luck"
)


def attempt(status: int | None) -> AttemptFinished:
    return AttemptFinished("PutObject", "PUT", "/n/o", status, None, None, 0.1, 1, 0)


# JSON

VALIDATOR = jsonschema.Draft202012Validator(schema())


class Lines(list[str]):
    """What was written, read again and held to the schema."""

    def read(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self]
        for each in found:
            VALIDATOR.validate(each)
        return found


@pytest.fixture
def written() -> Lines:
    return Lines()


def log_to(lines: Lines, *, directory: bool = False) -> JsonLog:
    origin = LogOrigin("put", "backups/db.tar")
    return JsonLog(lines.append, origin, directory=directory)


@pytest.mark.parametrize("kind", EVENTS)
def test_every_event_there_is_becomes_a_line_by_the_schema(kind: type[events.Event]) -> None:
    @settings(max_examples=10, deadline=None)
    @given(any_event(kind))
    def check(event: events.Event) -> None:
        lines = Lines()
        log_to(lines)(event)
        if is_summed(kind):
            assert lines == []
            return
        (line,) = lines
        assert "\n" not in line
        assert not ACTIVE.search(line)
        (record,) = lines.read()
        assert record["event"] == event_name(kind)
        assert record["object"] == "backups/db.tar"

    check()


SIMPLE = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def expected_type(kind: Any) -> object:
    if isinstance(kind, types.UnionType):
        return [SIMPLE[each] for each in typing.get_args(kind)]
    return SIMPLE[kind]


@pytest.mark.parametrize("kind", [each for each in EVENTS if not is_summed(each)])
def test_the_schema_has_each_field_of_each_event(kind: type[events.Event]) -> None:
    name, hints = event_name(kind), typing.get_type_hints(kind)
    branches = {each["if"]["properties"]["event"]["const"]: each for each in schema()["allOf"]}
    assert name in branches, f"add {name} to log_schema.json"
    described = {key: each["type"] for key, each in branches[name]["then"]["properties"].items()}
    assert described == {
        each.name: expected_type(hints[each.name]) for each in dataclasses.fields(kind)
    }


def test_lines_name_their_run_and_grow_by_a_clock_that_is_not_set() -> None:
    lines, now = Lines(), iter((2e9, 1e9, 1e9))  # set back
    monotonic = iter((50.0, 50.5, 51.25, 60.0, 61.0, 62.0))
    origin = LogOrigin("put", "backups/db.tar")
    log = JsonLog(
        lines.append,
        origin,
        directory=False,
        now=lambda: next(now),
        monotonic=lambda: next(monotonic),
    )
    log.begin()
    log.notice("one")
    log.notice("two")
    found = lines.read()
    assert [each["elapsed"] for each in found] == [0.5, 1.25, 10.0]
    assert {each["run"] for each in found} == {origin.run}
    assert LogOrigin("put", "backups/db.tar").run != origin.run


def test_bytes_that_move_are_summed_up_in_progress(written: Lines) -> None:
    log = log_to(written)
    log.begin()
    log(UploadPlanned("db.tar", 4 * MIB, MIB, 4, 2, multipart=True))
    log(BytesSent(1, MIB))
    log(PartFinished(1, MIB))
    log(TransferProgress(MIB, 4 * MIB, 0.25, 2.0 * MIB, 1.5, 1, 4))
    log.beat()
    *_, finished, progress = written.read()
    assert (finished["event"], progress["event"]) == ("part_finished", "progress")
    assert (progress["fraction"], progress["rate"], progress["seconds_left"]) == (
        0.25,
        2 * MIB,
        1.5,
    )
    assert (progress["bytes"], progress["size"]) == (MIB, 4 * MIB)
    assert (progress["parts"], progress["part_count"]) == (1, 4)


def test_progress_of_a_directory_counts_files(written: Lines) -> None:
    log = log_to(written, directory=True)
    log(events.DirectoryScanned(7, 700, complete=True))
    log(FileFinished("a", 100))
    log(events.FileFailed("b", "broken"))
    log(DirectoryProgress(100, 700, 1 / 7, 50.0, 12.0, 1, 2, 1, 7, complete=True))
    log.beat()
    *_, failed, progress = written.read()
    assert failed["level"] == "error"
    assert [progress[key] for key in ("files", "files_found", "bytes", "failed")] == [1, 7, 100, 1]
    assert [progress[key] for key in ("unchanged", "size", "fraction")] == [2, 700, 0.1429]
    assert progress["complete"] is True


def test_the_last_line_is_the_result_and_an_error_comes_before_it(written: Lines) -> None:
    log = log_to(written)
    error = ServiceError(
        status=404,
        code="BucketNotFound",
        message=f"no bucket {TOKEN}",
        operation="HeadObject",
        headers={"opc-request-id": "fra-1"},
    )
    log.failed(error_fields(error))
    log.result(FAILED)
    failure, result = written.read()
    assert failure["service"]["status"] == 404
    assert failure["service"]["code"] == "BucketNotFound"
    assert (result["state"], result["exit"], result["reason"]) == ("failed", 1, "no luck")
    assert TOKEN not in "".join(written)


def test_no_secret_is_in_a_field(written: Lines) -> None:
    log_to(written)(Notice(f"the token is {TOKEN}"))
    (record,) = written.read()
    assert record["text"] == "the token is [redacted]"


# The result


def test_the_result_line_has_all_that_an_operator_asks_for() -> None:
    assert result_text(RESULT) == (
        "RESULT done, 30.0 MiB in 6 s, 5.0 MiB/s, renewals 2, 401s 1, retries 3, "
        "sent twice 10.0 MiB, compared CRC32C, exit 0"
    )
    assert "0 bytes in 6 s, 1.0 MiB moved now, 170.7 KiB/s" in result_text(FAILED)
    assert result_text(FAILED).endswith("compared nothing, exit 1")


def test_the_result_of_a_directory_has_four_counts() -> None:
    files = FileCounts(transferred=3, unchanged=9, deleted=1, failed=2)
    text = result_text(dataclasses.replace(RESULT, state="partial", files=files, exit=1))
    assert text.startswith("RESULT partial, 3 transferred, 9 unchanged, 1 deleted, 2 failed, ")
    assert "compared" not in text


@pytest.mark.parametrize(
    ("code", "state"),
    [(0, "done"), (1, "failed"), (2, "failed"), (75, "resumable"), (130, "interrupted")],
)
def test_states_go_by_the_exit_status(code: int, state: str) -> None:
    assert state_of(code) == state
    some = FileCounts(transferred=1, unchanged=0, deleted=0, failed=1)
    assert state_of(1, files=some) == "partial"


def test_what_is_counted() -> None:
    counter = RunCounter()
    for event in (
        TokenChanged("start", 1, 9.0, None),
        TokenChanged("refresh", 2, 9.0, None),
        attempt(401),
        attempt(200),
        attempt(None),
        RetryScheduled("PutObject", 1, 0.5, "reset"),
        PartResent(1, 7, "damaged"),
        BytesSent(1, 10),
        BytesSent(1, -4),
        FileFinished("a", 5),
    ):
        counter(event)
    assert (counter.renewals, counter.rejections, counter.retries) == (1, 1, 1)
    assert (counter.resent_bytes, counter.moved, counter.file_bytes) == (7, 6, 5)


# Lines: one zone, a reason once, the cure on its own line

TOKYO = timezone(timedelta(hours=9))


def test_a_line_has_one_zone() -> None:
    said = in_local_time(
        "ends at 2026-11-28 09:07:57 UTC (its login: 2026-11-28 23:00:00 UTC)", TOKYO
    )
    assert said == "ends at 2026-11-28 18:07:57+09:00 (its login: 2026-11-29 08:00:00+09:00)"
    assert in_local_time("2026-99-28 09:07:57 UTC", TOKYO) == "2026-99-28 09:07:57 UTC"


def test_a_reason_is_said_once_and_the_cure_has_a_line_of_its_own() -> None:
    formatter = EventFormatter(zone=TOKYO, label="backups/db.tar: ")
    reason = "refresh: 401 NotAuthenticated: no"
    said = [
        line
        for event in (
            RenewalFailed("refresh", f"{reason}.", None),
            SessionPaused(f"it cannot be renewed: {reason}", 3600.0, "Log in again with: x"),
            SessionPaused(f"it cannot be renewed: {reason}", 3600.0, "Log in again with: x"),
        )
        for line in formatter.lines(event, at=0.0, now=0.0)
    ]
    stamp = "1970-01-01 09:00:00+09:00 backups/db.tar: "
    assert all(line.startswith(stamp) for line in said)
    assert "\n".join(said).count(reason) == 1
    assert said[1] == (
        f"{stamp}it cannot be renewed: see above. Waiting for a new login until "
        "1970-01-01 10:00:00+09:00"
    )
    assert said[2] == f"{stamp}Log in again with: x"
    assert said[3] == f"{stamp}still waiting for a new login until 1970-01-01 10:00:00+09:00"


def test_the_official_lines_have_time_and_object_in_a_log() -> None:
    created = MultipartUploadCreated("u-1", 3)
    (first, second) = EventFormatter(zone=TOKYO, label="b/o: ").lines(created, at=0.0, now=0.0)
    assert first == "1970-01-01 09:00:00+09:00 b/o: Upload ID: u-1"
    assert second.endswith("b/o: Split file into 3 parts for upload.")


def test_verbose_says_each_retry_and_part() -> None:
    retry = RetryScheduled("PutObject", 1, 0.5, "reset")
    for verbose, lines in ((False, 1), (True, 4)):
        formatter = EventFormatter(verbose=verbose)
        said = [
            formatter.lines(event, at=0.0, now=0.0) for event in (*[retry] * 3, PartFinished(1, 5))
        ]
        assert len([line for each in said for line in each]) == lines


def test_a_summary_has_each_reason_once() -> None:
    error = ServiceError(status=403, code="x", message="y", operation="PutObject", headers={})
    outer = UsageError(f"it failed: {error.message}", hint="Do this.")
    outer.__cause__ = error
    reason, hints = summary(outer)
    assert reason.count(error.message) == 1
    assert hints[0] == "Do this."


# The file


def test_the_log_file_is_private_and_appended(tmp_path: Path) -> None:
    path, said = tmp_path / "night.log", list[str]()
    for number in (1, 2):
        file = LogFile(path, said.append)
        FileOutput(file).say(f"line {number} {TOKEN}")
        file.close()
    assert path.read_text() == "line 1 [redacted]\nline 2 [redacted]\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert said == []


@pytest.mark.parametrize("where", ["missing/night.log", "."])
def test_a_file_that_cannot_be_opened_is_said_once(tmp_path: Path, where: str) -> None:
    said: list[str] = []
    file = LogFile(tmp_path / where, said.append)
    file.write("a")
    file.close()
    assert len(said) == 1
    assert said[0].startswith(f"--log-file {tmp_path / where}: ")
    assert said[0].endswith("; the transfer goes on")


def test_a_pipe_without_a_reader_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    said: list[str] = []
    LogFile(tmp_path / "pipe", said.append).write("a")
    assert len(said) == 1


def test_a_full_disk_costs_lines_and_says_how_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    file, write, left = LogFile(tmp_path / "log", said.append), os.write, [4, 0]

    def full(descriptor: int, data: bytes) -> int:
        if not left:
            return write(descriptor, data)
        if room := left.pop(0):
            return write(descriptor, data[:room])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ocihaul.cli.transfer_log.os.write", full)
    for text in ("first line", "second", "third", "fourth"):
        file.write(text)
    file.close()
    assert left == []
    assert (tmp_path / "log").read_text() == "firs\nthird\nfourth\n"
    assert said == [
        f"--log-file {tmp_path / 'log'}: No space left on device; the transfer goes on",
        f"--log-file {tmp_path / 'log'}: 2 lines are missing",
    ]


def test_two_logs_of_one_file_keep_lines_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    files = [LogFile(path, pytest.fail), LogFile(path, pytest.fail)]
    for number in range(200):
        files[number % 2].write(f"{number % 2}" * 300)
    for each in files:
        each.close()
    assert [set(line) for line in path.read_text().splitlines()] == [{"0"}, {"1"}] * 100


# Options


def test_options_come_from_flags_and_variables() -> None:
    environ = {"OCIHAUL_LOG_FORMAT": "json", "OCIHAUL_LOG_FILE": "/v.log", "OCIHAUL_QUIET": "true"}
    assert log_options({}, environ) == LogOptions(format="json", file=Path("/v.log"), quiet=True)
    given = {"log_format": "text", "log_file": "/f.log", "progress_interval": "5m"}
    found = log_options(given, environ)
    assert (found.format, found.file, found.interval) == ("text", Path("/f.log"), 300.0)
    assert not found.stderr_is_json
    assert log_options({"log_format": "json"}, {}).stderr_is_json


@pytest.mark.parametrize(
    "values",
    [{"quiet": True, "verbose": True}, {"progress_interval": "0.1s"}, {"progress_interval": "x"}],
)
def test_wrong_options_are_usage_errors(values: Mapping[str, object]) -> None:
    with pytest.raises(UsageError):
        log_options(values, {})
    with pytest.raises(UsageError):
        log_options({}, {"OCIHAUL_LOG_FORMAT": "xml"})


# Metrics and hooks


def values_of(text: str) -> dict[str, float]:
    pairs = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name.split("{")[0]: float(value) for name, value in pairs}


def test_metrics_remember_the_last_success(tmp_path: Path) -> None:
    path = tmp_path / "ocihaul.prom"
    update_metrics(path, RESULT, 1000.0)
    update_metrics(path, FAILED, 2000.0)
    update_metrics(path, FAILED, 3000.0)
    found = values_of(path.read_text())
    assert found["ocihaul_transfer_last_success_timestamp_seconds"] == 1000
    assert found["ocihaul_transfer_last_run_timestamp_seconds"] == 3000
    assert found["ocihaul_transfer_success"] == 0
    assert found["ocihaul_transfer_failures"] == 1
    assert found["ocihaul_transfer_renewals"] == 2
    assert found["ocihaul_transfer_runs_total"] == 3
    assert found["ocihaul_transfer_failed_runs_total"] == 2
    assert [each.name for each in tmp_path.iterdir()] == ["ocihaul.prom"]


def test_metrics_begin_anew_where_the_file_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "ocihaul.prom"
    path.write_bytes(b'\xff ocihaul_transfer_runs_total{command="put"} many\n')
    update_metrics(path, RESULT, 1000.0)
    assert values_of(path.read_text())["ocihaul_transfer_runs_total"] == 1
    text = transfer_exposition(FAILED, 5.0, earlier={})
    assert "ocihaul_transfer_last_success_timestamp_seconds{" not in text


def hooks(tmp_path: Path, result: RunResult, **changes: Any) -> list[str]:
    said: list[str] = []
    save = 'printf "%s|" "$OCIHAUL_STATE" "$OCIHAUL_OBJECT" "$OCIHAUL_BYTES" "$OCIHAUL_EXIT"'
    save += f' "$OCIHAUL_REASON" "$OCIHAUL_RECEIPT" "$OCIHAUL_LOG" > {tmp_path}/'
    given: dict[str, Any] = {
        "on_finish": f"{save}finish",
        "on_failure": f"{save}failure",
        "log": Path("/n.log"),
        "say": said.append,
    }
    run_finish_hooks(result, **(given | changes))
    return said


def test_on_finish_gets_the_result_and_on_failure_only_a_failure(tmp_path: Path) -> None:
    assert hooks(tmp_path, RESULT) == []
    expected = "done|backups/db.tar|31457280|0||/r.json|/n.log|"
    assert (tmp_path / "finish").read_text() == expected
    assert not (tmp_path / "failure").exists()
    assert hooks(tmp_path, FAILED) == []
    failed = "failed|backups/db.tar|0|1|no luck|/r.json|/n.log|"
    assert (tmp_path / "finish").read_text() == (tmp_path / "failure").read_text() == failed


def test_a_hook_that_fails_is_said(tmp_path: Path) -> None:
    said = hooks(tmp_path, FAILED, on_finish="echo oh >&2; exit 3", on_failure="true\x00")
    assert said[0] == "--on-finish ended with status 3: oh"
    assert said[1].startswith("--on-failure could not be run: ")


def test_a_hook_has_a_bound(tmp_path: Path) -> None:
    said = hooks(tmp_path, RESULT, on_finish="sleep 600", longest=0.0)
    assert said == ["--on-finish was ended after 0 s"]


def test_a_401_is_counted_as_an_answer_and_not_twice() -> None:
    counter = RunCounter()
    counter(CredentialRejected(1, "PutObject"))
    counter(attempt(401))
    assert counter.rejections == 1


def test_our_own_texts_are_in_the_command_lines_words_and_names_stay() -> None:
    paused = event_fields(SessionPaused("pass `session_wait`", 4e9, "`ocihaul session login`"))
    assert paused["reason"] == "pass --session-wait"
    assert paused["cure"] == "ocihaul session login (or: oci session authenticate)"
    failed = event_fields(events.FileFailed("`session_wait`", "pass `session_wait`"))
    assert (failed["name"], failed["reason"]) == ("`session_wait`", "pass --session-wait")
