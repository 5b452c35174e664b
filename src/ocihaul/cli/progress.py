"""Events on stderr while a transfer runs: a bar on a terminal, plain lines everywhere else.

What belongs here: threads, locks and the terminal. What is said, and in which words, is in
`event_text.py`; what waits at the beginning, in `quiet_start.py`.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
from ocihaul.cli.formatting import duration_text, size_text
from ocihaul.cli.invocation import is_terminal
from ocihaul.cli.quiet_start import SHORT, QuietStart
from ocihaul.events import (
    AttemptFinished,
    BytesReceived,
    BytesSent,
    ClockCorrected,
    DownloadFinished,
    DownloadPlanned,
    Event,
    MultipartUploadCreated,
    PartFinished,
    TokenChanged,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.printable import without_braces
from ocihaul.printing import say, shown
from ocihaul.threads import started

#: Seconds between two plain lines.
INTERVAL = 30.0

Clock = Callable[[], float]

_ENDS = (UploadFinished, DownloadFinished)
_MOVES = (BytesSent, BytesReceived, PartFinished, MultipartUploadCreated)


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
    """The listener that the core gets: counts, and says what is worth saying."""

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
        self._lock = threading.Lock()  # guards the tally and the speaker's memory
        self.tally = Tally()
        self.running = False

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        at, now = self._monotonic(), self._now()
        with self._lock:
            self.tally.add(event, at)
            lines = self._speaker.lines(event, at=at, now=now)
            if isinstance(event, (UploadPlanned, DownloadPlanned)):
                self.running = True
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
        """How far the upload is, in one line."""
        with self._lock:
            return self.tally.line(self._monotonic(), self._now())

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


class Bar:
    """A rich progress bar below the lines; it appears when bytes begin to flow."""

    _LEAST = 0.1  # seconds between two updates

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream)
        self._lock = threading.Lock()  # guards the bar's beginning and end
        self._reporter: Reporter | None = None
        self._stop: Callable[[], None] | None = None
        self._update: Callable[[int], None] | None = None
        self._updated = 0.0

    def say(self, text: str, *, public: bool = False) -> None:
        """Print one line above the bar."""
        line = shown(text, public=public)
        self._console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def attach(self, reporter: Reporter) -> None:
        """Show what this reporter counts."""
        self._reporter = reporter

    def __call__(self, event: Event) -> None:
        """Follow one event, from any thread."""
        if isinstance(event, (UploadFinished, DownloadFinished)):
            self.close()
        elif isinstance(event, _MOVES):
            with self._lock:
                self._follow()

    def close(self) -> None:
        """Leave the bar as it is and give the terminal back."""
        with self._lock:
            if self._stop is not None and self._update is not None and self._reporter is not None:
                self._update(self._reporter.tally.done)
                self._stop()
            self._stop = self._update = None

    def _follow(self) -> None:
        reporter = self._reporter
        if reporter is None or not reporter.running:
            return
        if self._update is None:
            self._begin(reporter)
        now = time.monotonic()
        if self._update is not None and now - self._updated >= self._LEAST:
            self._updated = now
            self._update(reporter.tally.done)

    def _begin(self, reporter: Reporter) -> None:
        from rich.progress import BarColumn, Progress, ProgressColumn, Task
        from rich.text import Text

        class State(ProgressColumn):
            def render(self, task: Task) -> Text:  # noqa: ARG002  the reporter knows more
                return Text(shown(reporter.state()))

        progress = Progress(
            BarColumn(bar_width=20),
            State(),
            console=self._console,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        size = reporter.tally.size
        task = progress.add_task("", total=None if size is None else max(1, size))
        progress.start()
        self._stop = progress.stop
        self._update = lambda done: progress.update(task, completed=done)


class Audience:
    """The reporter first, then the bar."""

    def __init__(self, reporter: Reporter, bar: Bar) -> None:
        self._reporter, self._bar = reporter, bar

    def __call__(self, event: Event) -> None:
        """Hand the event on."""
        self._reporter(event)
        self._bar(event)


@contextmanager
def reporting(
    stream: TextIO, *, terminal: bool, debug: bool
) -> Iterator[tuple[Callable[[Event], None], Reporter]]:
    """A listener for the length of a command, and its reporter.

    With `--debug` there is no bar: the lines would tear it apart.
    """
    if terminal and not debug:
        bar = Bar(stream)
        reporter = Reporter(bar)
        bar.attach(reporter)
        try:
            yield Audience(reporter, bar), reporter
        finally:
            bar.close()
        return
    quiet_for = math.inf if compat.is_official() else SHORT
    reporter = Reporter(PlainOutput(stream), debug=debug, quiet_for=0.0 if debug else quiet_for)
    with heartbeat(reporter.beat):
        yield reporter, reporter


#: Seconds over which the rate is taken: long enough to be calm, short enough to be honest.
WINDOW = 60.0


@dataclass(slots=True)
class Tally:
    """The state of one transfer; its owner takes care of locking. Times are monotonic seconds."""

    size: int | None = 0  # None: of a stream whose end nobody knows
    part_count: int | None = 0
    parts_done: int = 0
    expires_at: float | None = None
    #: How far the service's clock is ahead of ours, seconds.
    clock_offset: float = 0.0
    _parts: dict[int, int] = field(default_factory=dict)
    _counted: int = 0
    _wire: int = 0
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, event: Event, at: float) -> None:
        """Take note of `event`, which happened at `at`."""
        match event:
            case UploadPlanned() | DownloadPlanned():
                self.size, self.part_count = event.size, event.part_count
                self._marks.append((at, 0))
            case BytesSent() | BytesReceived():
                self._count(event.part_number, event.count)
                self._wire += event.count
                self._mark(at)
            case PartFinished():
                self.parts_done += 1
                self._count(event.part_number, event.size - self._parts.get(event.part_number, 0))
            case TokenChanged():
                self.expires_at = event.expires_at
            case ClockCorrected():
                self.clock_offset = event.offset
            case _:
                pass

    def _count(self, part: int, count: int) -> None:
        self._parts[part] = self._parts.get(part, 0) + count
        self._counted += count

    def _mark(self, at: float) -> None:
        if not self._marks or at - self._marks[-1][0] >= 1:
            self._marks.append((at, self._wire))
        while len(self._marks) > 2 and at - self._marks[1][0] >= WINDOW:
            self._marks.popleft()

    @property
    def done(self) -> int:
        """Bytes that are where they belong, or on their way."""
        return max(0, self._counted if self.size is None else min(self._counted, self.size))

    def rate(self, at: float) -> float | None:
        """Bytes per second over the last minute; None before there is anything to tell."""
        if not self._marks or at <= self._marks[0][0]:
            return None
        since, before = self._marks[0]
        return max(0.0, (self._wire - before) / (at - since))

    def seconds_left(self, at: float) -> float | None:
        """How long the rest takes at this rate."""
        rate = self.rate(at)
        return (self.size - self.done) / rate if rate and self.size is not None else None

    def line(self, at: float, now: float) -> str:
        """The state in one line; `now` is epoch seconds, for the token."""
        rate, left = self.rate(at), self.seconds_left(at)
        count = "" if self.part_count is None else f"/{self.part_count}"
        parts = [
            self._how_far(),
            f"{size_text(rate)}/s" if rate is not None else "starting",
            f"{duration_text(left)} left" if left is not None else "time left unknown",
            f"parts {self.parts_done}{count}",
        ]
        if self.expires_at is not None:
            parts.append(self.token(now))
        return ", ".join(parts)

    def _how_far(self) -> str:
        if self.size is None:
            return f"{size_text(self.done)} sent"
        percent = 100 * self.done // self.size if self.size else 100
        return f"{percent}% ({size_text(self.done)} of {size_text(self.size)})"

    def token(self, now: float) -> str:
        """The life that the token has left."""
        if self.expires_at is None:
            return ""
        left = self.expires_at - now - self.clock_offset
        return f"token {duration_text(left)}" if left > 0 else "token expired"
