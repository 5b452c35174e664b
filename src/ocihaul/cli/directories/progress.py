"""A directory on stderr while it is worked on: how far it is, and each failure as it happens."""

import threading
import time
from collections.abc import Sequence

from ocihaul.cli.error_text import in_flags
from ocihaul.cli.event_text import (
    EventFormatter,
    LineStyle,
    debug_line,
    is_essential,
    is_public,
    is_routine,
)
from ocihaul.cli.progress import QuietStart, Screen
from ocihaul.cli.progress_text import Piece, directory_text, status_line
from ocihaul.events import (
    AttemptFinished,
    BytesFound,
    BytesReceived,
    BytesSent,
    DirectoryProgress,
    DirectoryScanned,
    DownloadFinished,
    DownloadPlanned,
    Event,
    FileFailed,
    FileFinished,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)

#: Failures that get a line of their own; all of them are in the summary.
MOST_FAILURES = 50
#: Notices that are told; what is said of one file is often said of thousands.
MOST_NOTICES = 200

#: What one large file among many does need not be told.
_OF_ONE_FILE = (
    BytesFound,
    BytesReceived,
    BytesSent,
    DirectoryScanned,
    DownloadFinished,
    DownloadPlanned,
    MultipartUploadCreated,
    PartFinished,
    TransferProgress,
    UploadFinished,
    UploadPlanned,
)


_NOTHING = DirectoryProgress(0, 0, None, None, None, 0, 0, 0, 0, complete=False)


class DirectoryReporter:
    """The listener for a directory. Thread-safe."""

    def __init__(
        self,
        screen: Screen,
        *,
        debug: bool = False,
        quiet_for: float = 0.0,
        style: LineStyle = LineStyle(),  # noqa: B008  a frozen value
    ) -> None:
        """`quiet_for`: so many seconds the usual lines wait, and perhaps are never said."""
        self._start = QuietStart(time.monotonic() + quiet_for if quiet_for else 0.0)
        self._screen = screen
        self._debug = debug
        self._style = style
        self._speaker = EventFormatter(label=style.label, verbose=style.verbose, again=style.again)
        self._lock = threading.Lock()  # guards all below
        self._progress: DirectoryProgress | None = None
        self._moved_at = 0.0  # monotonic
        self._told = ""
        self._notices: set[str] = set()
        self.failures = 0

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        if isinstance(event, DirectoryProgress):
            with self._lock:
                self._progress, self._moved_at = event, time.monotonic()
            return
        if isinstance(event, FileFinished) and not self._style.verbose:
            return
        if isinstance(event, AttemptFinished) and not (self._debug or self._start.holds):
            return  # quick: there is one for each file
        if self._style.quiet and not is_essential(event):
            return
        lines, at = self._lines(event), time.monotonic()
        with self._lock:
            lines = self._start.lines(lines, at, routine=is_routine(event))
        for line in lines:
            self._screen.say(line, public=is_public(event))

    def _lines(self, event: Event) -> list[str]:
        if isinstance(event, AttemptFinished):
            return [debug_line(event, time.time())] if self._debug else []
        if isinstance(event, _OF_ONE_FILE):
            return []
        with self._lock:
            if isinstance(event, FileFailed):
                return self._failure(event)
            if isinstance(event, Notice) and not self._is_new(event.text):
                return []
            return self._speaker.lines(event, at=time.monotonic(), now=time.time())

    def _failure(self, event: FileFailed) -> list[str]:
        self.failures += 1
        if self.failures > MOST_FAILURES:
            return []
        lines = [f"failed: {event.name}: {in_flags(event.reason)}"]
        if self.failures == MOST_FAILURES:
            lines.append("Further failures are told at the end only.")
        return [self._of_ours(line) for line in lines]

    def _of_ours(self, text: str) -> str:
        return self._speaker.stamped(text, time.time()) if self._style.object else text

    def _is_new(self, text: str) -> bool:
        if text in self._notices or len(self._notices) >= MOST_NOTICES:
            return False
        self._notices.add(text)
        return True

    def notice(self, text: str) -> None:
        """Say something of the command's own."""
        with self._lock:
            held = [] if self._start.is_forever else self._start.end()
        for line in [*held, self._of_ours(text)]:
            self._screen.say(line)

    def finish(self, text: str, *, routine: bool) -> None:
        """Say how it ended; what is `routine` only where the beginning is over."""
        with self._lock:
            silent = self._start.is_on(time.monotonic())
        if not (silent and routine):
            self.beat()
            self.notice(text)

    def state(self) -> str:
        """How far it is, as a sentence."""
        with self._lock:
            progress = self._progress or _NOTHING
            return directory_text(progress, still=time.monotonic() - self._moved_at)

    def status(self, columns: int) -> Sequence[Piece] | None:
        """How far it is, in so many columns; None before anything has happened."""
        with self._lock:
            if self._progress is None:
                return None
            still = time.monotonic() - self._moved_at
            return status_line(self._progress, columns, token="", still=still)

    def beat(self) -> None:
        """Say how far it is, if that has changed."""
        with self._lock:
            if self._style.quiet or self._start.is_on(time.monotonic()):
                return
            held = self._start.end()
        for line in held:
            self._screen.say(line)
        state = self.state()
        if state != self._told:
            self._told = state
            self._screen.say(self._speaker.stamped(state, time.time()))
