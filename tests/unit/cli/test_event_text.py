"""What is said about events, and how often."""

import time
from datetime import timedelta, timezone

import pytest

from ocihaul.cli.event_text import QUIET, EventFormatter, debug_line
from ocihaul.events import (
    AttemptFinished,
    BytesSent,
    ClockCorrected,
    CredentialRejected,
    DownloadFinished,
    Event,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    PartResent,
    RenewalFailed,
    RetryScheduled,
    TokenChanged,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.printing import shown
from ocihaul.redaction import redact

TOKYO = timezone(timedelta(hours=9))
NOW = 1_764_000_000.0
STAMP = "2025-11-25 01:00:00+09:00"
MIB = 1024 * 1024


def said(event: Event, speaker: EventFormatter | None = None, at: float = 0.0) -> list[str]:
    return (speaker or EventFormatter(TOKYO)).lines(event, at=at, now=NOW)


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Notice("mind the gap"), "mind the gap"),
        (
            UploadPlanned("a", 300 * MIB, 128 * MIB, 3, 15, multipart=True),
            "uploading a: 300.0 MiB in 3 parts of 128.0 MiB, 15 at a time",
        ),
        (
            UploadPlanned("a", None, 16 * MIB, None, 10, multipart=True),
            "uploading a: a stream in parts of 16.0 MiB and more, up to 10 at a time",
        ),
        (
            UploadPlanned("a", 5, 128 * MIB, 1, 1, multipart=False),
            "uploading a: 5 bytes in one piece",
        ),
        (
            TokenChanged("start", 1, NOW + 3600, None),
            "session token 1, valid until 2025-11-25 02:00:00+09:00 (1 h 00 min)",
        ),
        (
            TokenChanged("start", 1, NOW - 60, None),
            "session token 1, expired at 2025-11-25 00:59:00+09:00 by this machine's clock",
        ),
        (
            TokenChanged("refresh", 2, NOW + 59, NOW + 120),
            (
                "session renewed (refresh): token 2, valid until 2025-11-25 01:00:59+09:00 (59 s); "
                "the session ends 2025-11-25 01:02:00+09:00"
            ),
        ),
        (
            RenewalFailed("refresh", "503", 4.0),
            "renewing the session (refresh) failed: 503; next try in 4 s",
        ),
        (
            RenewalFailed("refresh", "401", None),
            "renewing the session (refresh) failed: 401; no further try",
        ),
        (
            CredentialRejected(3, "UploadPart"),
            "the service rejected token 3 (401, UploadPart); renewing the session",
        ),
        (
            ClockCorrected(3600.0),
            "the local clock is 1 h 00 min behind the service's; requests carry the service's time",
        ),
        (
            ClockCorrected(-30.0),
            "the local clock is 30 s ahead of the service's; requests carry the service's time",
        ),
        (
            RetryScheduled("UploadPart", 1, 2.0, "503 ServiceUnavailable"),
            "UploadPart: 503 ServiceUnavailable; trying again in 2 s",
        ),
        (
            RetryScheduled("UploadPart", 1, 2.0, "UploadPart: cannot connect to x:443"),
            "UploadPart: cannot connect to x:443; trying again in 2 s",
        ),
        (
            RetryScheduled("ListObjects", 1, 0.3, "no such host"),
            "ListObjects: no such host; trying again at once",
        ),
        (PartResent(7, 2 * MIB, "cut"), "part 7 is sent again (2.0 MiB lost): cut"),
        (UploadFinished("a", 10 * MIB, 5.0), "uploaded a: 10.0 MiB in 5 s (2.0 MiB/s)"),
        (UploadFinished("a", 10 * MIB, 5.0, 12 * MIB), "uploaded a: 10.0 MiB in 5 s (2.4 MiB/s)"),
        (DownloadFinished("a", 0, 5.0, None, 0), "downloaded a: 0 bytes in 5 s (0 bytes/s)"),
    ],
)
def test_what_matters_is_said_with_the_local_time(event: Event, text: str) -> None:
    assert said(event) == [f"{STAMP} {text}"]


@pytest.mark.parametrize("kind", ["uploaded", "downloaded"])
@pytest.mark.parametrize(
    ("moved", "rate"),
    [
        (0, "all of it was there already"),
        (MIB // 2, "512.0 KiB of it now, 51.2 KiB/s"),
        (40 * MIB, "4.0 MiB/s"),
    ],
)
def test_finding_e08_the_rate_is_that_of_what_moved_in_this_run(
    kind: str, moved: int, rate: str
) -> None:
    event: Event = UploadFinished("a", 40 * MIB, 10.0, moved)
    if kind == "downloaded":
        event = DownloadFinished("a", 40 * MIB, 10.0, None, moved)
    assert said(event) == [f"{STAMP} {kind} a: 40.0 MiB in 10 s ({rate})"]


def test_upload_id_and_split_are_the_lines_of_the_stock_cli() -> None:
    assert said(MultipartUploadCreated("u-1", 3)) == [
        "Upload ID: u-1",
        "Split file into 3 parts for upload.",
    ]


@pytest.mark.parametrize(
    "event",
    [
        BytesSent(1, 5),
        PartFinished(1, 5),
        AttemptFinished("GetObject", "GET", "/n", 200, None, None, 0.1, 1, 0),
    ],
)
def test_what_happens_all_the_time_is_not_said(event: Event) -> None:
    assert said(event) == []


def test_trouble_of_many_threads_makes_one_line_and_the_next_one_counts_it() -> None:
    speaker = EventFormatter(TOKYO)
    event = RetryScheduled("UploadPart", 1, 2.0, "503")
    assert len(said(event, speaker, at=10.0)) == 1
    assert [said(event, speaker, at=10.1) for _ in range(14)] == [[]] * 14
    [line] = said(event, speaker, at=10.0 + QUIET)
    assert line.endswith("(and 14 more like this)")


def test_different_troubles_do_not_silence_each_other() -> None:
    speaker = EventFormatter(TOKYO)
    assert said(RetryScheduled("UploadPart", 1, 2.0, "503"), speaker)
    assert said(PartResent(7, 1, "cut"), speaker)
    assert said(RenewalFailed("refresh", "it has ended", None), speaker)
    assert said(RenewalFailed("mint", "no such user", None), speaker)
    assert not said(RenewalFailed("mint", "no such user", None), speaker)


def test_a_rejected_token_is_named_once() -> None:
    speaker = EventFormatter(TOKYO)
    answers = [said(CredentialRejected(1, "UploadPart"), speaker) for _ in range(15)]
    assert [len(lines) for lines in answers] == [1] + [0] * 14
    assert said(CredentialRejected(2, "UploadPart"), speaker)


def test_the_debug_line_has_everything_for_a_support_ticket() -> None:
    event = AttemptFinished(
        "UploadPart", "PUT", "/n/ns/b/b/u/x?uploadPartNum=3", 401, None, "fra:1", 0.0415, 2, 1024
    )
    line = redact(debug_line(event, NOW))
    assert line.endswith(
        "DEBUG PUT /n/ns/b/b/u/x?uploadPartNum=3 401 UploadPart 42 ms generation=2 sent=1024 "
        "opc-request-id=fra:1"
    )


def test_the_debug_line_of_a_broken_connection_has_the_reason() -> None:
    event = AttemptFinished("GetObject", "GET", "/n", None, "connection reset", None, 1.0, 1, 0)
    assert "GET /n failed: connection reset GetObject" in debug_line(event, NOW)


def test_of_a_stream_the_number_of_parts_is_not_said() -> None:
    assert said(MultipartUploadCreated("u1", None)) == ["Upload ID: u1"]


def test_a_name_cannot_break_its_line() -> None:
    (line,) = said(UploadFinished("a\nb\x1b[2J", 3, 1.0))
    assert shown(line) == rf"{STAMP} uploaded a\nb\x1b[2J: 3 bytes in 1 s (3 bytes/s)"


@pytest.mark.parametrize("offset", [-7200.0, 7200.0])
def test_finding_b18_a_fresh_token_is_reckoned_by_the_clock_of_the_service(offset: float) -> None:
    speaker = EventFormatter(TOKYO)
    said(ClockCorrected(offset), speaker)
    (line,) = said(TokenChanged("refresh", 2, NOW + offset + 3600, None), speaker)
    assert line.endswith("(1 h 00 min)")
    assert "expired" not in line
    (line,) = said(TokenChanged("refresh", 3, NOW + offset - 1, None), speaker)
    assert "expired at" in line
    assert "this machine's" not in line


def test_a_clock_that_is_right_again_is_said_to_be() -> None:
    (line,) = said(ClockCorrected(0.0))
    assert line.endswith("the local clock agrees with the service's again")


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of a process cannot be set here")
def test_a_zone_that_python_cannot_reckon_with_costs_no_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC+26")
    time.tzset()
    try:
        assert said(Notice("well"), EventFormatter()) == ["2025-11-24 16:00:00+00:00 well"]
    finally:
        monkeypatch.undo()
        time.tzset()
