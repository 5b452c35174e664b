"""Events on stderr while a transfer runs: a bar on a terminal, plain lines everywhere else.

What belongs here: threads, locks and the terminal. What is said, and in which words, is in
`lines.py`; how far it is, in `tally.py`.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol, TextIO

from ocihaul.cli import compat
from ocihaul.cli.lines import Speaker, debug_line, is_public
from ocihaul.cli.tally import Tally
from ocihaul.events import (
    AttemptFinished,
    BytesReceived,
    BytesSent,
    DownloadFinished,
    DownloadPlanned,
    Event,
    MultipartUploadCreated,
    PartFinished,
    TokenAdopted,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.printing import say, shown
from ocihaul.threads import started

#: Seconds between two plain lines.
INTERVAL = 30.0
#: Where nobody looks at a terminal, a transfer that is over so soon needs no lines, seconds.
SHORT = 2.0

Clock = Callable[[], float]

#: What need not be told of a transfer that is over at once.
_ROUTINE = (UploadPlanned, DownloadPlanned, UploadFinished, DownloadFinished)

_MOVES = (BytesSent, BytesReceived, PartFinished, MultipartUploadCreated)


class Screen(Protocol):
    """Where lines go."""

    def say(self, text: str, *, public: bool = False) -> None:
        """Show one line, which has no secret where it is `public`; callable from any thread."""


class PlainScreen:
    """Lines on a stream."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()  # guards the stream: a line stays in one piece

    def say(self, text: str, *, public: bool = False) -> None:
        """Write one line; a reader that has gone away does not stop the work."""
        with self._lock, suppress(OSError, ValueError):
            say(self._stream, text, public=public)


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
    ) -> None:
        """`quiet_for`: so many seconds the usual lines wait, and perhaps are never said."""
        self._screen = screen
        self._quiet_until = monotonic() + quiet_for if quiet_for else None
        self._held: list[str] = []
        self._debug = debug
        self._monotonic = monotonic
        self._now = now
        self._speaker = Speaker()
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
            lines = self._unless_quiet(event, lines, at)
        if self._debug and isinstance(event, AttemptFinished):
            lines.append(debug_line(event, now))
        for line in lines:
            self._screen.say(line, public=is_public(event))

    def _unless_quiet(self, event: Event, lines: list[str], at: float) -> list[str]:
        """The lines to say now: those of an ordinary beginning wait while it is quiet."""
        if self._quiet_until is None or isinstance(event, MultipartUploadCreated):
            return lines
        ordinary = isinstance(event, _ROUTINE) or (
            isinstance(event, TokenAdopted) and event.rung == "start"
        )
        if at < self._quiet_until and (ordinary or not lines):
            self._held += lines
            return []
        self._quiet_until = None
        held, self._held = self._held, []
        return [*held, *lines]

    def notice(self, text: str) -> None:
        """Say something of the command's own, without a time."""
        self._screen.say(text)

    def state(self) -> str:
        """How far the upload is, in one line."""
        with self._lock:
            return self.tally.line(self._monotonic(), self._now())

    def beat(self) -> None:
        """Say how far the transfer is, if it has begun and is not over."""
        with self._lock:
            if self._quiet_until == math.inf:
                return
            held, self._held, self._quiet_until = self._held, [], None
        for line in held:
            self._screen.say(line)
        if self.running:
            self._screen.say(self._speaker.stamped(self.state(), self._now()))


def keep_beating(beat: Callable[[], None], wait: Callable[[float], bool]) -> None:
    """Call `beat` every INTERVAL until `wait` (such as Event.wait) says that it is over."""
    while not wait(INTERVAL):
        beat()


@contextmanager
def beating(beat: Callable[[], None]) -> Iterator[None]:
    """Keep beating for the length of a command; without a thread to be had, nothing beats."""
    over = threading.Event()
    thread = threading.Thread(
        target=keep_beating, args=(beat, over.wait), name="progress", daemon=True
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
    reporter = Reporter(PlainScreen(stream), debug=debug, quiet_for=0.0 if debug else quiet_for)
    with beating(reporter.beat):
        yield reporter, reporter
