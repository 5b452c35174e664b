"""A line at the bottom of a terminal, below the lines of the log.

The cursor stays at the line's beginning. So when the terminal gets narrower and breaks the old line
into two, both are below the cursor, and the next drawing clears them.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

from ocihaul.cli.progress_text import Piece
from ocihaul.printing import clear_status, draw_status, say
from ocihaul.threads import started

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
