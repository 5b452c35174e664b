"""What a script sees: stderr that a parser can read, and the official behaviour where wanted."""

import io
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ocihaul.cli.error_text import error_text
from ocihaul.cli.process import mimics_official_cli, official_code
from ocihaul.cli.progress import PlainOutput, Reporter
from ocihaul.emulator import Emulator
from ocihaul.errors import OcihaulError, ServiceError, UsageError
from ocihaul.events import (
    Event,
    MultipartUploadCreated,
    RetryScheduled,
    UploadFinished,
    UploadPlanned,
)
from tests.unit.cli.conftest import Outcome

Run = Callable[..., Outcome]
PLACE = ("-bn", "backups")
MIB = 2**20
PLANNED = UploadPlanned("x", 31, 31, 1, 1, multipart=False)
FINISHED = UploadFinished("x", 31, 0.1)
RETRY = RetryScheduled("PutObject", 1, 0.5, "PutObject: connection reset")


# --- errors


@pytest.mark.parametrize("hint", [None, "Give {a name}."])
@pytest.mark.parametrize("wrapped", [False, True])
def test_what_begins_with_a_brace_ends_with_one(hint: str | None, *, wrapped: bool) -> None:
    error: OcihaulError = ServiceError(
        status=404, code="BucketNotFound", message="no bucket", operation="PutObject", hint=hint
    )
    if wrapped:
        cause, error = error, OcihaulError("nothing was stored", hint="Look again.")
        error.__cause__ = cause
    text = error_text(error, now=datetime(2026, 1, 31, tzinfo=UTC))
    assert text.endswith("}")
    document = json.loads(text[text.index("{") :])
    assert (document["code"], document["status"]) == ("BucketNotFound", 404)
    assert document["hint"]
    assert ("Give {a name}." in document["hint"]) is (hint is not None)
    assert ("Error: nothing was stored\n" in text) is wrapped


def test_an_answer_without_a_body_has_a_message_all_the_same() -> None:
    error = ServiceError(status=412, code=None, message="", operation="HeadObject")
    assert '"message": "The service returned error code 412"' in error_text(error)


def test_a_wrong_command_line_is_told_as_the_official_cli_tells_it() -> None:
    assert error_text(UsageError("no")).startswith("UsageError: no")
    assert error_text(OcihaulError("no")).startswith("Error: no")


# --- progress where there is no terminal


def said(*events: Event, quiet_for: float, seconds: float = 0.0) -> str:
    """What is said of the events, each `seconds` after the one before."""
    now = 0.0
    stream = io.StringIO()
    reporter = Reporter(
        PlainOutput(stream), monotonic=lambda: now, now=lambda: now, quiet_for=quiet_for
    )
    for event in events:
        now += seconds
        reporter(event)
    return stream.getvalue()


def test_a_transfer_that_is_over_at_once_has_no_lines() -> None:
    assert said(PLANNED, FINISHED, quiet_for=2.0) == ""
    assert "uploaded x" in said(PLANNED, FINISHED, quiet_for=0.0)


def test_a_transfer_that_lasts_has_all_its_lines() -> None:
    text = said(PLANNED, FINISHED, quiet_for=2.0, seconds=1.5)
    assert re.findall(r"(uploading|uploaded) x", text) == ["uploading", "uploaded"]


def test_trouble_is_told_at_once_with_what_went_before() -> None:
    text = said(PLANNED, RETRY, FINISHED, quiet_for=2.0)
    found = re.findall(r"uploading x|connection reset|uploaded x", text)
    assert found == ["uploading x", "connection reset", "uploaded x"]


def test_the_upload_id_does_not_wait() -> None:
    created = MultipartUploadCreated("ID-1", 3)
    assert said(PLANNED, created, FINISHED, quiet_for=2.0).startswith("Upload ID: ID-1\n")


# --- the official behaviour


@pytest.mark.parametrize(("code", "official"), [(0, 0), (1, 1), (2, 1), (75, 1), (130, 130)])
def test_the_official_cli_has_fewer_statuses(code: int, official: int) -> None:
    assert official_code(code) == official


def test_one_word_is_known() -> None:
    assert not mimics_official_cli({})
    assert mimics_official_cli({"OCIHAUL_COMPAT": "official"})
    with pytest.raises(UsageError, match="it can be 'official'"):
        mimics_official_cli({"OCIHAUL_COMPAT": "yes"})


def test_a_usage_error_ends_with_1_where_that_is_wanted(
    official_forms: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = ("object", "list", *PLACE, "--all", "--limit", "3")
    assert official_forms(*argv).code == 2
    monkeypatch.setenv("OCIHAUL_COMPAT", "official")
    assert official_forms(*argv).code == 1


# --- what is asked, and what is stored


def test_fields_that_are_empty_are_names_only(service: Emulator, official_forms: Run) -> None:
    service.put_object("backups", "it", b"x")
    [told] = json.loads(official_forms("object", "list", *PLACE, "--fields", "").out)["data"]
    assert (told["name"], told["size"], told["md5"]) == ("it", None, None)


@pytest.mark.parametrize("source", ["/dev/null", "empty"])
def test_an_empty_file_as_stdin_is_an_empty_object(
    service: Emulator,
    official_forms: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    path = Path(source)
    if source == "empty":
        path = tmp_path / source
        path.touch()
    argv = ("object", "put", *PLACE, "--file", "-", "--name", "it", "--force")
    with path.open() as stdin:
        outcome = official_forms(*argv, stdin=stdin)
    assert outcome.code == 0, outcome.err
    assert service.read_object("backups", "it") == b""


def test_a_small_part_is_sent(service: Emulator, official_forms: Run, tmp_path: Path) -> None:
    file = tmp_path / "it"
    file.write_bytes(b"x" * 5 * MIB)
    argv = ("object", "put", *PLACE, "--file", str(file), "--part-size", "2")
    outcome = official_forms(*argv)
    assert outcome.code == 0, outcome.err
    assert service.log.count(operation="UploadPart") == 3
