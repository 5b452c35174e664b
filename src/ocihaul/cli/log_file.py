"""The file of `--log-file`: appended line by line, and never a reason to end a transfer.

What may go wrong, and what happens then:

* It cannot be opened (a directory, no permission, no space): that is said once on stderr, and the
  transfer goes on, because a backup without its log is better than none.
* A write fails on the way (the disk is full): the same; every later line is tried again, and how
  many are missing is said at the end.
* Two processes have one log: each line is one write at the end of the file (O_APPEND), so lines
  stay whole.
* It is rotated: `copytruncate` is followed; a file that was renamed goes on being written to.
* It is a pipe without a reader: opening it does not wait.
"""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

from ocihaul.printing import shown

_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_OPEN |= getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
#: Only its owner reads a file that is made: names of objects are nobody else's business.
_MODE = 0o600


class LogFile:
    """Lines appended to a file. Thread-safe; errors go to `complain`, once."""

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._lock = threading.Lock()  # guards all below
        self._descriptor: int | None = None
        self._missing = 0
        self._torn = False
        self._complained = False
        try:
            self._descriptor = os.open(path, _OPEN, _MODE)
        except OSError as error:
            self._say(error)

    def write(self, line: str) -> None:
        """Append one line, which has no line break and no secret."""
        with self._lock:
            if self._descriptor is None:
                return
            data = line.encode("utf-8", "replace") + b"\n"
            if self._torn:
                data = b"\n" + data
            try:
                written = os.write(self._descriptor, data)
            except OSError as error:
                self._missing += 1
                self._say(error)
                return
            if written < len(data):  # the space ended within it
                self._missing += 1
                self._torn = True
                self._say(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            else:
                self._torn = False

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            if self._missing:
                self._complain(f"--log-file {self._path}: {self._missing} lines are missing")

    def _say(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            reason = error.strerror or str(error)
            self._complain(f"--log-file {self._path}: {reason}; the transfer goes on")


class FileOutput:
    """A log file as the place where lines go: see `Screen`."""

    def __init__(self, file: LogFile) -> None:
        self._file = file

    def say(self, text: str, *, public: bool = False) -> None:
        """Append one line, without secrets."""
        self._file.write(shown(text, public=public))
