"""`ocihaul.events`: all of them are one union, and a logger can have them."""

import logging
import threading
from typing import assert_never, get_args

import pytest

import ocihaul
from ocihaul import events
from ocihaul.events import (
    AnyEvent,
    AttemptFinished,
    BytesFound,
    BytesReceived,
    BytesSent,
    ClockCorrected,
    CredentialRejected,
    DirectoryProgress,
    DirectoryScanned,
    DownloadFinished,
    DownloadPlanned,
    Event,
    FileFailed,
    FileFinished,
    LoginOffered,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    PartResent,
    RenewalFailed,
    RetryScheduled,
    SessionPaused,
    SessionResumed,
    TokenChanged,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
    log_events,
)
from tests.world import MIB, World

TOKEN = "ST$eyJraWQiOiJhIn0.eyJzdWIiOiJiIn0.c2lnbmF0dXJl"


def test_the_union_has_every_event() -> None:
    defined = {
        each
        for each in vars(events).values()
        if isinstance(each, type) and issubclass(each, Event) and each is not Event
    }
    assert set(get_args(events.AnyEvent)) == defined
    assert len(defined) > 20


def moved(event: AnyEvent) -> int:
    """mypy finds here that all cases are named."""
    match event:
        case BytesSent() | BytesReceived():
            return event.count
        case (
            Notice()
            | TokenChanged()
            | RenewalFailed()
            | SessionPaused()
            | LoginOffered()
            | SessionResumed()
            | CredentialRejected()
            | ClockCorrected()
            | AttemptFinished()
            | RetryScheduled()
            | UploadPlanned()
            | MultipartUploadCreated()
            | BytesFound()
            | PartFinished()
            | PartResent()
            | UploadFinished()
            | DownloadPlanned()
            | DownloadFinished()
            | DirectoryScanned()
            | FileFinished()
            | FileFailed()
            | TransferProgress()
            | DirectoryProgress()
        ):
            return 0
        case _:
            assert_never(event)


def test_a_match_over_the_union_can_be_exhaustive() -> None:
    assert [moved(BytesSent(1, 7)), moved(Notice("a"))] == [7, 0]


def logger_of(name: str, level: int) -> logging.Logger:
    logger = logging.getLogger(f"{__name__}.{name}")
    logger.setLevel(level)
    return logger


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (FileFailed("a/b", "permission denied"), logging.ERROR),
        (RetryScheduled("UploadPart", 2, 1.5, "503"), logging.WARNING),
        (MultipartUploadCreated("id-1", 3), logging.INFO),
        (BytesSent(1, 65536), logging.DEBUG),
    ],
)
def test_an_event_is_a_line_at_its_level(
    event: AnyEvent, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    log_events(logger_of("levels", logging.DEBUG))(event)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (level, repr(event))
    assert vars(record)["ocihaul_event"] is event


def test_what_the_logger_leaves_out_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    listener = log_events(logger_of("quiet", logging.INFO))
    listener(BytesSent(1, 10))
    listener(UploadFinished("big.bin", 10, 1.0))
    assert [record.getMessage() for record in caplog.records] == [
        "UploadFinished(name='big.bin', size=10, seconds=1.0, moved=None)"
    ]


def test_a_text_of_two_lines_with_a_token_is_one_line_without_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log_events(logger_of("secrets", logging.DEBUG))(Notice(f"refused:\n{TOKEN}\x1b[2J"))
    (line,) = caplog.messages
    assert line.startswith("Notice(text='refused:\\n")
    assert "eyJ" not in line
    assert not set(line) & {"\n", "\x1b"}


def test_an_upload_is_logged_without_any_token(
    here: World, caplog: pytest.LogCaptureFixture
) -> None:
    source = here.file(3 * MIB)
    with ocihaul.Client.from_profile(
        listener=log_events(logger_of("upload", logging.DEBUG))
    ) as client:
        client.upload(source, "backups", part_size=MIB)
    kinds = [type(vars(record)["ocihaul_event"]) for record in caplog.records]
    assert kinds.count(UploadFinished) == 1
    assert kinds.count(AttemptFinished) >= 5  # create, three parts, commit
    assert not [token for token in here.oci.auth.token_texts() if token in caplog.text]


def test_threads_write_whole_lines(caplog: pytest.LogCaptureFixture) -> None:
    listener = log_events(logger_of("threads", logging.DEBUG))
    threads = [
        threading.Thread(target=listener, args=(BytesSent(number, 1),)) for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(caplog.messages) == sorted(repr(BytesSent(number, 1)) for number in range(20))
