"""What waits while a transfer may be over in a moment."""

import io
import math

import pytest

from ocihaul.cli.directories.progress import DirectoryReporter
from ocihaul.cli.event_text import LineStyle
from ocihaul.cli.progress import PlainOutput, QuietStart, Reporter
from ocihaul.events import (
    DirectoryScanned,
    Event,
    FileFailed,
    FileFinished,
    MultipartUploadCreated,
    Notice,
    RetryScheduled,
    TokenChanged,
    UploadFinished,
    UploadPlanned,
)

PLANNED = UploadPlanned("x", 20, 10, 2, 2, multipart=True)
CREATED = MultipartUploadCreated("ID-1", 2)
FINISHED = UploadFinished("x", 20, 1.0)
STYLE = LineStyle(object="b/x")
BEGIN = (TokenChanged("start", 1, 4e9, None), PLANNED, Notice("it lasts", routine=True), CREATED)


def said(*events: Event, seconds: float = 0.0, good: bool = True, until: float = 2.0) -> list[str]:
    """Lines without their times, of events that come `seconds` after each other, and a result."""
    stream, now = io.StringIO(), 0.0

    def clock() -> float:
        return now

    screen = PlainOutput(stream)
    reporter = Reporter(screen, monotonic=clock, now=clock, quiet_for=until, style=STYLE)
    for event in events:
        now += seconds
        reporter(event)
    now += seconds
    reporter.finish("RESULT", routine=good)
    return [line.partition(" b/x: ")[2] or line for line in stream.getvalue().splitlines()]


def test_a_moment_has_the_official_lines_and_nothing_else() -> None:
    official = ["Upload ID: ID-1", "Split file into 2 parts for upload."]
    assert said(*BEGIN, FINISHED) == official
    token, planned, *rest = said(*BEGIN, FINISHED, good=False)
    assert token.startswith("session token 1")
    assert planned.startswith("uploading 20 bytes")
    assert rest == ["it lasts", *official, "RESULT"], "whatever is said beside them has the time"
    assert said(TokenChanged("start", 1, 4e9, None)) == []


def test_what_lasts_is_a_log_from_its_first_line() -> None:
    lines = said(*BEGIN, FINISHED, seconds=0.6)
    token, planned, estimate, *official, result = lines
    assert token.startswith("session token 1")
    assert planned.startswith("uploading 20 bytes")
    assert estimate == "it lasts"
    assert official == ["Upload ID: ID-1", "Split file into 2 parts for upload."]
    assert result == "RESULT"


def test_trouble_ends_it() -> None:
    lines = said(PLANNED, RetryScheduled("PutObject", 1, 0.5, "reset"), FINISHED)
    assert [line.split()[0] for line in lines] == ["uploading", "PutObject:", "RESULT"]
    lines = said(PLANNED, Notice("odd"), seconds=0.1)
    assert [line.split()[0] for line in lines] == ["uploading", "odd", "RESULT"]


def test_what_is_quiet_for_ever_says_trouble_only() -> None:
    start = QuietStart(math.inf)
    assert start.lines(["a"], 1e9, routine=True) == []
    assert start.lines(["b"], 1e9, routine=False) == ["b"]
    assert start.lines(["c"], 1e9, routine=True) == []


def test_what_is_not_quiet_passes() -> None:
    assert QuietStart(0.0).lines(["a"], 5.0, routine=True) == ["a"]


def test_a_notice_of_the_command_brings_the_result_with_it() -> None:
    stream = io.StringIO()
    reporter = Reporter(PlainOutput(stream), quiet_for=60.0, style=STYLE)
    reporter.notice("kept")
    reporter.finish("RESULT", routine=True)
    assert [line.rpartition(" ")[2] for line in stream.getvalue().splitlines()] == [
        "kept",
        "RESULT",
    ]


@pytest.mark.parametrize(("good", "lines"), [(True, 0), (False, 1)])
def test_a_directory_that_is_done_at_once(good: bool, lines: int) -> None:
    stream = io.StringIO()
    reporter = DirectoryReporter(PlainOutput(stream), quiet_for=60.0, style=STYLE)
    for event in (DirectoryScanned(1, 5, complete=True), FileFinished("a", 5)):
        reporter(event)
    reporter.beat()
    reporter.finish("RESULT", routine=good)
    assert len(stream.getvalue().splitlines()) == lines


def test_a_failure_in_a_directory_is_said_at_once() -> None:
    stream = io.StringIO()
    reporter = DirectoryReporter(PlainOutput(stream), quiet_for=60.0, style=STYLE)
    reporter(FileFailed("a", "broken"))
    assert stream.getvalue().endswith("b/x: failed: a: broken\n")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "text"), [(io.StringIO(), "a\\x7bb\\x7d\n"), (Terminal(), "a{b}\n")]
)
def test_only_programs_are_spared_braces(stream: io.StringIO, text: str) -> None:
    PlainOutput(stream).say("a{b}")
    assert stream.getvalue() == text
