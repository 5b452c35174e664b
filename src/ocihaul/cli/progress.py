"""Events on stderr while a transfer runs, as lines.

What belongs here: threads and locks. What is said, and in which words, is in `event_text.py` and
`progress_text.py`; what waits at the beginning, in `quiet_start.py`; the bar, in `status_bar.py`.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol, TextIO

from ocihaul.cli import compat
from ocihaul.cli.event_text import (
    EventFormatter,
    LineStyle,
    debug_line,
    is_essential,
    is_public,
    is_routine,
    official_lines,
)
from ocihaul.cli.invocation import is_terminal
from ocihaul.cli.progress_text import (
    Piece,
    TokenLife,
    planned_progress,
    status_line,
    transfer_text,
)
from ocihaul.cli.quiet_start import SHORT, QuietStart
from ocihaul.events import (
    AttemptFinished,
    BytesReceived,
    BytesSent,
    DownloadFinished,
    DownloadPlanned,
    Event,
    MultipartUploadCreated,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.printable import without_braces
from ocihaul.printing import say
from ocihaul.threads import started

#: Seconds between two plain lines.
INTERVAL = 30.0

Clock = Callable[[], float]

_ENDS = (UploadFinished, DownloadFinished)


class Screen(Protocol):
    """Where lines go."""

    def say(self, text: str, *, public: bool = False) -> None:
        """Show one line, which has no secret where it is `public`; callable from any thread."""


class PlainOutput:
    """Lines on a stream. Where it is no terminal, no brace is in them but those of JSON errors."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._escapes = not is_terminal(stream)
        self._lock = threading.Lock()  # guards the stream: a line stays in one piece

    def say(self, text: str, *, public: bool = False) -> None:
        """Write one line; a reader that has gone away does not stop the work."""
        shown_text = without_braces(text) if self._escapes else text
        with self._lock, suppress(OSError, ValueError):
            say(self._stream, shown_text, public=public)


class Reporter:
    """The listener of one transfer: says what is worth saying, and how far it is."""

    def __init__(
        self,
        screen: Screen,
        *,
        debug: bool = False,
        monotonic: Clock = time.monotonic,
        now: Clock = time.time,
        quiet_for: float = 0.0,
        style: LineStyle = LineStyle(),  # noqa: B008  a frozen value
    ) -> None:
        """`quiet_for`: so many seconds the usual lines wait, and perhaps are never said."""
        self._style = style
        self._screen = screen
        self._start = QuietStart(monotonic() + quiet_for if quiet_for else 0.0)
        self._debug = debug
        self._monotonic = monotonic
        self._now = now
        self._speaker = EventFormatter(label=style.label, verbose=style.verbose)
        self._lock = threading.Lock()  # guards all below, and the speaker's memory
        self._token = TokenLife()
        self._progress: TransferProgress | None = None
        self._moved_at = 0.0  # monotonic
        self.running = False

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if isinstance(event, (BytesSent, BytesReceived)):
            return  # they are many, and summed up in progress
        at, now = self._monotonic(), self._now()
        with self._lock:
            self._token.add(event)
            lines = self._speaker.lines(event, at=at, now=now)
            if isinstance(event, TransferProgress):
                self._progress, self._moved_at = event, at
            elif isinstance(event, (UploadPlanned, DownloadPlanned)):
                self.running = True
                self._progress, self._moved_at = planned_progress(event), at
            elif isinstance(event, (UploadFinished, DownloadFinished)):
                self.running = False
            if self._style.quiet and not is_essential(event):
                return
            lines = self._to_say(event, lines, at)
        if self._debug and isinstance(event, AttemptFinished):
            lines.append(debug_line(event, now))
        for line in lines:
            self._screen.say(line, public=is_public(event))

    def _to_say(self, event: Event, lines: list[str], at: float) -> list[str]:
        """The lines to say now: those of an ordinary beginning wait."""
        ends = isinstance(event, _ENDS)
        if ends and self._start.is_on(at):
            return self._start.official()
        if ends and self._style.object:
            lines = []  # the result says how it ended, and more
        if isinstance(event, MultipartUploadCreated):
            if not self._style.object:  # they are said as they are
                return lines
            self._start.hold_official(official_lines(event))
        return self._start.lines(lines, at, routine=is_routine(event))

    def notice(self, text: str) -> None:
        """Say something of the command's own."""
        with self._lock:
            self._start.said()
        self._screen.say(self._speaker.stamped(text, self._now()) if self._style.object else text)

    def finish(self, text: str, *, routine: bool) -> None:
        """Say how it ended; what is `routine` only where the beginning is over."""
        at, now = self._monotonic(), self._now()
        with self._lock:
            lines = self._start.official() if self._start.is_on(at) else self._start.end()
            silent = self._start.is_silent(at)
        if not (silent and routine):
            lines.append(self._speaker.stamped(text, now))
        for line in lines:
            self._screen.say(line)

    def state(self) -> str:
        """How far the transfer is, as a sentence; empty before it is planned."""
        with self._lock:
            if self._progress is None:
                return ""
            still = self._monotonic() - self._moved_at
            return transfer_text(self._progress, token=self._token.text(self._now()), still=still)

    def status(self, columns: int) -> Sequence[Piece] | None:
        """How far it is, in so many columns; None where nothing has moved yet, or it is over."""
        with self._lock:
            if self._progress is None or not self.running or not self._progress.done:
                return None
            token, still = self._token.text(self._now()), self._monotonic() - self._moved_at
            return status_line(self._progress, columns, token=token, still=still)

    def beat(self) -> None:
        """Say how far the transfer is, if it has begun and is not over."""
        with self._lock:
            if self._start.is_forever or self._style.quiet:
                return
            held = self._start.end()
        for line in held:
            self._screen.say(line)
        if self.running:
            self._screen.say(self._speaker.stamped(self.state(), self._now()))


def keep_heartbeat(
    beat: Callable[[], None], wait: Callable[[float], bool], interval: float = INTERVAL
) -> None:
    """Call `beat` every `interval` until `wait` (such as Event.wait) says that it is over."""
    while not wait(interval):
        beat()


@contextmanager
def heartbeat(beat: Callable[[], None], interval: float = INTERVAL) -> Iterator[None]:
    """Keep heartbeat for the length of a command; without a thread to be had, nothing beats."""
    over = threading.Event()
    thread = threading.Thread(
        target=keep_heartbeat, args=(beat, over.wait, interval), name="progress", daemon=True
    )
    beats = started(thread)
    try:
        yield
    finally:
        over.set()
        if beats:
            thread.join(timeout=1)


@contextmanager
def reporting(stream: TextIO, *, debug: bool) -> Iterator[Reporter]:
    """What listens for the length of a command that is no transfer."""
    quiet_for = math.inf if compat.is_official() else SHORT
    quiet_for = 0.0 if debug or is_terminal(stream) else quiet_for
    reporter = Reporter(PlainOutput(stream), debug=debug, quiet_for=quiet_for)
    with heartbeat(reporter.beat):
        yield reporter
