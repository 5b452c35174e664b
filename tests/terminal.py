"""A command in a pseudo-terminal, and the screen that a person would see."""

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import pyte

#: How long anything may take, seconds.
_LIMIT = 100.0


class Terminal:
    """Runs `argv` in a terminal of so many columns; leave the context to end it."""

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        *,
        columns: int = 80,
        lines: int = 24,
        term: str = "xterm",
    ) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=1000)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.code: int | None = None
        #: Called after all that was written is on the screen.
        self.look: Callable[[], None] = lambda: None
        self._pid, self._master = pty.fork()
        if self._pid == 0:
            try:
                os.execvpe(argv[0], list(argv), {**environ, "TERM": term})  # noqa: S606
            finally:
                os._exit(127)
        self.resize(columns, lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        if self.code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._master)

    def resize(self, columns: int, lines: int = 24) -> None:
        """Change the size, as a window manager does: the program gets a SIGWINCH."""
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        self.screen.resize(lines, columns)

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Read until `condition` holds. Raises AssertionError when it never does."""
        end = time.monotonic() + _LIMIT
        while not condition():
            if time.monotonic() > end or not self._read():
                raise AssertionError(f"it never came; there was:\n{self.text()}")

    def wait(self) -> int:
        """Read to the end; returns the exit status."""
        while self._read():
            pass
        _, status = os.waitpid(self._pid, 0)
        self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], _LIMIT)
        try:
            data = os.read(self._master, 65536) if ready else b""
        except OSError:  # the other end is closed
            return False
        self.raw += data
        self._stream.feed(data)
        self.look()
        return bool(data)

    def rows(self) -> list[str]:
        """The rows of the screen that have something in them."""
        return [row.rstrip() for row in self.screen.display if row.strip()]

    def text(self) -> str:
        """All that is on the screen, with what has left it at the top."""
        above = [
            "".join(row[column].data for column in range(self.screen.columns)).rstrip()
            for row in self.screen.history.top
        ]
        return "\n".join([*above, *self.rows()])
