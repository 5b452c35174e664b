"""Progress on stderr: plain lines, the bar, and the threads between them."""

import io
import threading

import pytest

from ocihaul.cli.progress import INTERVAL, PlainOutput, Reporter, keep_heartbeat, reporting
from ocihaul.events import (
    AttemptFinished,
    BytesReceived,
    BytesSent,
    DownloadFinished,
    DownloadPlanned,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    TokenChanged,
    UploadFinished,
    UploadPlanned,
)

MIB = 1024 * 1024
PLANNED = UploadPlanned("x", 20 * MIB, 10 * MIB, 2, 2, multipart=True)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def test_a_line_is_said_every_thirty_seconds_also_when_nothing_happens() -> None:
    stream, clock = io.StringIO(), Clock()
    reporter = Reporter(PlainOutput(stream), monotonic=clock, now=clock)
    reporter(PLANNED)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        clock.time += seconds
        return len(waits) > 3

    keep_heartbeat(reporter.beat, wait)
    assert waits == [INTERVAL] * 4
    beats = [line for line in stream.getvalue().splitlines() if "parts 0/2" in line]
    assert len(beats) == 3


def test_no_line_is_said_before_the_upload_and_after_it() -> None:
    stream = io.StringIO()
    reporter = Reporter(PlainOutput(stream))
    reporter.beat()
    assert stream.getvalue() == ""
    reporter(PLANNED)
    reporter(UploadFinished("x", 20 * MIB, 1.0))
    length = len(stream.getvalue())
    reporter.beat()
    assert len(stream.getvalue()) == length


@pytest.mark.parametrize("debug", [False, True])
def test_attempts_are_logged_with_debug_only(debug: bool) -> None:
    stream = io.StringIO()
    reporter = Reporter(PlainOutput(stream), debug=debug)
    reporter(AttemptFinished("GetNamespace", "GET", "/n", 200, None, "id", 0.1, 1, 0))
    assert ("GET /n 200" in stream.getvalue()) is debug


def test_secrets_in_events_do_not_reach_the_stream() -> None:
    stream = io.StringIO()
    reporter = Reporter(PlainOutput(stream), debug=True)
    reporter(Notice(f"token {TOKEN}"))
    reporter(AttemptFinished("Get", "GET", f"/p/{'s' * 20}/n/x", None, TOKEN, None, 0.1, 1, 0))
    assert TOKEN not in stream.getvalue()
    assert "s" * 20 not in stream.getvalue()


def test_a_reader_that_has_gone_away_does_not_stop_the_upload() -> None:
    stream = io.StringIO()
    stream.close()
    Reporter(PlainOutput(stream))(Notice("nobody reads this"))


def test_lines_of_many_threads_stay_whole() -> None:
    stream = io.StringIO()
    reporter = Reporter(PlainOutput(stream))

    def talk() -> None:
        for _ in range(50):
            reporter(Notice("a b c"))

    threads = [threading.Thread(target=talk) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 400
    assert all(line.endswith(" a b c") for line in lines)


def test_without_a_terminal_the_beating_thread_ends_with_the_command() -> None:
    with reporting(io.StringIO(), terminal=False, debug=False) as (listener, _):
        listener(PLANNED)
        assert any(thread.name == "progress" for thread in threading.enumerate())
    assert not any(thread.name == "progress" for thread in threading.enumerate())


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.mark.usefixtures("wide")
def test_on_a_terminal_a_bar_shows_bytes_rate_parts_and_token() -> None:
    stream = Terminal()
    with reporting(stream, terminal=True, debug=False) as (listener, reporter):
        listener(TokenChanged("start", 1, 4e9, None))
        listener(PLANNED)
        listener(MultipartUploadCreated("u-1", 2))
        listener(BytesSent(1, 10 * MIB))
        listener(PartFinished(1, 10 * MIB))
        reporter.notice("a [bold]line[/bold] above the bar")
        listener(BytesSent(2, 10 * MIB))
        listener(PartFinished(2, 10 * MIB))
        listener(UploadFinished("x", 20 * MIB, 1.0))
    text = stream.getvalue()
    assert "Upload ID: u-1" in text
    assert "a [bold]line[/bold] above the bar" in text
    assert "100% (20.0 MiB of 20.0 MiB)" in text
    assert "parts 2/2" in text
    assert "token" in text
    assert "uploaded x: 20.0 MiB in 1 s" in text


@pytest.mark.usefixtures("wide")
def test_the_bar_does_not_begin_before_bytes_flow_so_that_a_question_can_be_asked() -> None:
    stream = Terminal()
    with reporting(stream, terminal=True, debug=False) as (listener, _):
        listener(TokenChanged("start", 1, 4e9, None))
        listener(PLANNED)
        assert "MiB of" not in stream.getvalue()


@pytest.mark.usefixtures("wide")
def test_a_command_that_fails_gives_the_terminal_back() -> None:
    stream = Terminal()

    def fail() -> None:
        with reporting(stream, terminal=True, debug=False) as (listener, _):
            listener(PLANNED)
            listener(BytesSent(1, 1))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert stream.getvalue().rstrip().endswith("\x1b[?25h")  # the cursor is shown again


@pytest.mark.usefixtures("wide")
def test_with_debug_there_is_no_bar_even_on_a_terminal() -> None:
    stream = Terminal()
    with reporting(stream, terminal=True, debug=True) as (listener, _):
        listener(PLANNED)
        listener(BytesSent(1, 10 * MIB))
    assert "\x1b[" not in stream.getvalue()


@pytest.mark.usefixtures("wide")
def test_a_download_is_followed_like_an_upload() -> None:
    stream = Terminal()
    with reporting(stream, terminal=True, debug=False) as (listener, reporter):
        listener(DownloadPlanned("x", 20 * MIB, 10 * MIB, 2, 2))
        listener(BytesReceived(1, 10 * MIB))
        listener(PartFinished(1, 10 * MIB))
        listener(PartFinished(2, 10 * MIB))  # an earlier run had brought it
        assert "100% (20.0 MiB of 20.0 MiB)" in reporter.state()
        listener(DownloadFinished("x", 20 * MIB, 2.0, "CRC32C"))
    text = stream.getvalue()
    assert "downloading x: 20.0 MiB in 2 ranges of 10.0 MiB, 2 at a time" in text
    assert "parts 2/2" in text
    assert "downloaded x: 20.0 MiB in 2 s (10.0 MiB/s), CRC32C compared" in text
