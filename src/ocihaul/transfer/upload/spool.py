"""The spool: parts of a stream wait in memory, then in nameless files, until the service has them.

A spool file never has a name (or, where the system has no such files, is deleted with its last
handle): nothing is left of it when the process is killed. No other user can read it, but it is not
encrypted.
"""

import contextlib
import errno
import mmap
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol, Self

from ocihaul.errors import SpoolError
from ocihaul.filesystem import preallocate

_FULL = {errno.ENOSPC, errno.EDQUOT}
#: How often a wait for space checks whether the part is still wanted, seconds.
_POLL_INTERVAL = 0.2


class SpooledPart(Protocol):
    """Room for one part; used by one thread at a time."""

    def write(self, data: memoryview, offset: int) -> None:
        """Put bytes in. Raises SpoolError."""

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises SpoolError."""

    def check_unchanged(self) -> None:
        """Do nothing: no other program can reach it."""

    def close(self) -> None:
        """Give the room back."""


class Spool:
    """Room for the parts of one stream; close it, or use it as a context. Thread-safe.

    At most `memory_limit` bytes of parts are in memory. `gone` says whether a part that waits for
    room is not wanted any more.
    """

    def __init__(self, memory_limit: int, directory: Path, *, gone: Callable[[], bool]) -> None:
        self._limit = memory_limit
        self._directory = directory
        self._gone = gone
        self._freed = threading.Condition()  # guards all below
        self._kept: dict[SpooledPart, int] = {}
        self._in_memory = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        with self._freed:
            kept, self._kept = self._kept, {}
        for part in kept:
            part.close()

    def take(self, size: int) -> SpooledPart | None:
        """Room for `size` bytes; waits for a full disk while other parts are to leave it.

        None when the part is not wanted any more. Raises SpoolError.
        """
        with self._freed:
            while not self._gone():
                if self._in_memory + size <= self._limit:
                    part: SpooledPart = _InMemory(size)
                    self._in_memory += size
                    self._kept[part] = size
                    return part
                try:
                    part = _OnDisk(size, self._directory)
                except OSError as error:
                    if error.errno not in _FULL or not self._kept:
                        raise _trouble(self._directory, error) from error
                    self._freed.wait(_POLL_INTERVAL)
                else:
                    self._kept[part] = 0
                    return part
        return None

    def release(self, part: SpooledPart) -> None:
        """Give back the room of a part."""
        with self._freed:
            self._in_memory -= self._kept.pop(part, 0)
            part.close()
            self._freed.notify_all()


def default_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """$TMPDIR, else /var/tmp, which is on disk where /tmp is memory; else the system's choice."""
    large = Path("/var/tmp")  # noqa: S108  only files without a name are made there
    if not environ.get("TMPDIR") and os.access(large, os.W_OK):
        return large
    return Path(tempfile.gettempdir())


def check_directory(directory: Path) -> None:
    """Raise SpoolError when no file can be made there."""
    try:
        _OnDisk(0, directory).close()
    except OSError as error:
        raise _trouble(directory, error) from error


class _InMemory:
    """Pages of its own: they go back to the system at once, and are taken only when written."""

    def __init__(self, size: int) -> None:
        self._pages = mmap.mmap(-1, max(size, 1))

    def write(self, data: memoryview, offset: int) -> None:
        self._pages[offset : offset + len(data)] = data

    def read_into(self, view: memoryview, offset: int) -> None:
        with memoryview(self._pages) as pages, pages[offset : offset + len(view)] as part:
            view[:] = part

    def check_unchanged(self) -> None:
        pass

    def close(self) -> None:
        with contextlib.suppress(BufferError):  # a thread that was left behind is reading it
            self._pages.close()


class _OnDisk:
    """A nameless file. Its blocks are reserved at once, so that writing does not fail."""

    def __init__(self, size: int, directory: Path) -> None:
        self._directory = directory
        self._file = tempfile.TemporaryFile(  # noqa: SIM115  closed by close()
            buffering=0, dir=directory, prefix="ocihaul-"
        )
        try:
            preallocate(self._file.fileno(), size)
        except OSError:
            self._file.close()
            raise

    def write(self, data: memoryview, offset: int) -> None:
        try:
            self._file.seek(offset)
            written = 0
            while written < len(data):
                written += self._file.write(data[written:])
        except OSError as error:
            raise _trouble(self._directory, error) from error

    def read_into(self, view: memoryview, offset: int) -> None:
        try:
            self._file.seek(offset)
            filled = 0
            while filled < len(view):
                count = self._file.readinto(view[filled:])
                if not count:
                    raise OSError(errno.EIO, "the file is shorter than what was written")
                filled += count
        except OSError as error:
            raise _trouble(self._directory, error) from error

    def check_unchanged(self) -> None:
        pass

    def close(self) -> None:
        self._file.close()


def _trouble(directory: Path, error: OSError) -> SpoolError:
    return SpoolError(
        f"the spool directory {directory} cannot keep a part: {error.strerror}",
        hint="Pass a `spool_dir` with more room, a larger `memory_limit`, or a smaller `parallel`.",
    )
