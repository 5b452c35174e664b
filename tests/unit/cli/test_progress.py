"""Progress on stderr: plain lines, the bar, and the threads between them."""

import io
import threading

import pytest

from ocihaul.cli.progress import INTERVAL, PlainOutput, Reporter, keep_heartbeat, reporting
from ocihaul.events import (
    AttemptFinished,
    Notice,
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
    with reporting(io.StringIO(), debug=False) as reporter:
        reporter(PLANNED)
        assert any(thread.name == "progress" for thread in threading.enumerate())
    assert not any(thread.name == "progress" for thread in threading.enumerate())
