"""Events on stderr while a transfer runs: as lines, and as a bar below them.

What belongs here: threads and locks. What is said, and in which words, is in `event_text.py` and
`progress_text.py`.

What is routine waits in the first seconds (`QuietStart`): a transfer that is over by then says none
of it. Where nobody looks at a terminal, stderr of a moment's transfer is what the official CLI
writes there, so scripts can read it. What goes on for longer is a log, from its first line.

The bar (`StatusBar`) is a line at the bottom of a terminal. The cursor stays at its beginning: when
the terminal gets narrower and breaks the old line into two, both are below the cursor, and the next
drawing clears them.
"""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol, TextIO

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
from ocihaul.cli.process import mimics_official_cli
from ocihaul.cli.progress_text import (
    Piece,
    TokenLife,
    planned_progress,
    status_line,
    transfer_text,
)
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
from ocihaul.printing import clear_status, draw_status, say
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
        self._speaker = EventFormatter(label=style.label, verbose=style.verbose, again=style.again)
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
            return []  # `finish` says what there is to say
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
            lines = [] if self._start.is_forever else self._start.end()
        lines.append(self._speaker.stamped(text, self._now()) if self._style.object else text)
        for line in lines:
            self._screen.say(line)

    def finish(self, text: str, *, routine: bool) -> None:
        """Say how it ended; what is `routine` only where the beginning is over."""
        at, now = self._monotonic(), self._now()
        with self._lock:
            silent = self._start.is_on(at)
            lines = self._start.official() if silent and routine else self._start.end()
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
    quiet_for = math.inf if mimics_official_cli() else SHORT
    quiet_for = 0.0 if debug or is_terminal(stream) else quiet_for
    reporter = Reporter(PlainOutput(stream), debug=debug, quiet_for=quiet_for)
    with heartbeat(reporter.beat):
        yield reporter


#: Where nobody looks at a terminal, a transfer that is over so soon needs no lines, seconds.
SHORT = 2.0


class QuietStart:
    """Lines that wait. `until` 0.0 lets everything pass, `math.inf` never lets routine pass."""

    def __init__(self, until: float) -> None:
        self._until = until
        self._held: list[str] = []
        self._official: list[str] = []

    @property
    def is_forever(self) -> bool:
        """Whether nothing routine is ever said."""
        return self._until == math.inf

    @property
    def holds(self) -> bool:
        """Whether lines wait."""
        return bool(self._held)

    def is_on(self, at: float) -> bool:
        """Whether what is routine still waits."""
        return at < self._until

    def lines(self, lines: list[str], at: float, *, routine: bool) -> list[str]:
        """The lines to say now."""
        if self.is_on(at) and (routine or not lines):
            self._held += lines
            return []
        return lines if self.is_forever else [*self.end(), *lines]

    def hold_official(self, lines: Sequence[str]) -> None:
        """Keep the official CLI's own lines for `official`; the same wait with time and object."""
        self._official += lines

    def official(self) -> list[str]:
        """The official CLI's own lines, for a transfer that has ended while this was on."""
        held, self._official = self._official, []
        return held

    def end(self) -> list[str]:
        """Let everything pass from now on; returns what has waited."""
        held, self._held, self._until = self._held, [], 0.0
        self._official.clear()
        return held


#: Seconds between two drawings: soon enough after a resize, whose signal others may want.
REFRESH = 0.2
#: Terminals that cannot move the cursor.
_DUMB = frozenset({"", "dumb", "unknown"})
_COLUMNS = 80

#: The line for so many columns; None where there is none yet, or no more.
Content = Callable[[int], Sequence[Piece] | None]


def can_draw(stream: TextIO) -> bool:
    """Whether it is a terminal on which a line can be drawn anew."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in _DUMB
    except ValueError:  # closed
        return False


class StatusBar:
    """Writes lines, and keeps what `content` says below them. Thread-safe."""

    def __init__(self, stream: TextIO, *, refresh: float = REFRESH) -> None:
        self._stream = stream
        self._refresh = refresh
        self._colours = not os.environ.get("NO_COLOR")
        self._lock = threading.RLock()  # guards the terminal
        self._content: Content | None = None
        self._drawn = False
        self._hidden = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, content: Content) -> None:
        """Draw from now on; without a thread to be had, at each line only."""
        self._content = content
        thread = threading.Thread(target=self._keep_drawing, name="progress", daemon=True)
        if started(thread):
            self._thread = thread

    def say(self, text: str, *, public: bool = False) -> None:
        """Write one line above it; a terminal that has gone away does not stop the work."""
        with self._lock, suppress(OSError, ValueError):
            self._clear()
            say(self._stream, text, public=public)
            self._draw()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Leave the terminal to a question."""
        with self._lock, suppress(OSError, ValueError):
            self._hidden = True
            self._clear()
        try:
            yield
        finally:
            self._hidden = False

    def close(self) -> None:
        """Clear the line and give the terminal back; harmless when repeated."""
        self._over.set()
        if self._thread is not None:
            self._thread.join(timeout=1)
        with self._lock, suppress(OSError, ValueError):
            self._clear()
            self._content = None

    def _keep_drawing(self) -> None:
        while not self._over.wait(self._refresh):
            with self._lock, suppress(OSError, ValueError):
                self._draw()

    def _draw(self) -> None:
        if self._content is None or self._hidden or self._over.is_set():
            return
        if not self._is_in_front():
            self._drawn = False  # the shell has written there since
            return
        pieces = self._content(max(1, self._columns() - 1))  # some terminals wrap at the last one
        if pieces is None:
            self._clear()
            return
        draw_status(self._stream, pieces, colours=self._colours)
        self._drawn = True

    def _clear(self) -> None:
        if self._drawn and self._is_in_front():
            clear_status(self._stream)
        self._drawn = False

    def _is_in_front(self) -> bool:
        """Whether the line at the cursor is ours: in the background it is what a person types."""
        try:
            return os.tcgetpgrp(self._stream.fileno()) == os.getpgrp()
        except (OSError, ValueError):  # it is not the terminal that we were started at
            return True

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS
        except (OSError, ValueError):
            return _COLUMNS
