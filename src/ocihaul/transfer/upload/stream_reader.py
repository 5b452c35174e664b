"""Read a stream once, and cut it into parts that can be sent again until the service has them.

They wait in memory, then in a spool: files that never have a name (or, where the system has no such
files, are deleted with their last handle), so that nothing is left of them when the process is
killed. No other user can read them, but they are not encrypted.
"""

import contextlib
import errno
import io
import mmap
import os
import select
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from ocihaul.errors import ChecksumError, SourceError, SpoolError, TransferCancelled
from ocihaul.filesystem import preallocate
from ocihaul.threads import AbandonedError
from ocihaul.transfer import checksum
from ocihaul.transfer.plan import StreamPlan
from ocihaul.transfer.source import BLOCK, Piece, buffer_for
from ocihaul.transfer.upload.request import Stream, UploadRequest, expected_checksums

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


#: How long to wait for a stream that has nothing and cannot be polled, seconds.
_PAUSE = 0.05


class StreamChecks:
    """Compare the stream with the size and checksums that the caller gave."""

    def __init__(self, request: UploadRequest, plan: StreamPlan) -> None:
        self._wanted = expected_checksums(request)
        self._running = {name: checksum.start(name) for name in self._wanted}
        self._expected = request.expected_size
        self._allow_empty = request.allow_empty
        self._plan = plan
        self.size = 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes. Raises SourceError when there are too many."""
        self.size += len(data)
        if self._expected is not None and self.size > self._expected:
            raise SourceError(
                f"the stream has more than the {self._expected} bytes that were expected",
                hint="Find out which of the two is right.",
            )
        if self.size > self._plan.most:
            raise SourceError(
                f"the stream is too long: {self._plan.limit_text}",
                hint="Leave out `part_size`, or split the stream into several objects.",
            )
        for one in self._running.values():
            one.update(data)

    def check_end(self) -> None:
        """Check the whole stream. Raises SourceError, ChecksumError when it is not as expected."""
        if self._expected not in {None, self.size}:
            raise SourceError(
                f"the stream ended after {self.size} bytes; {self._expected} were expected",
                hint="Its producer has stopped early: look at what it said.",
            )
        if not (self.size or self._allow_empty or self._expected == 0 or self._wanted):
            raise SourceError(
                "the stream ended without a single byte",
                hint="Its producer has most likely failed: look at what it said. If an empty "
                "object is wanted, pass `expected_size` 0.",
            )
        for name, value in self._wanted.items():
            ours = checksum.encoded(self._running[name].digest())
            if ours != value:
                raise ChecksumError(
                    f"the stream has the {name} {_both(ours)}, not {_both(value)} as expected",
                    hint="Find out which of the two is right.",
                )


def _both(value: str) -> str:
    """A checksum as the service writes it, and as sha256sum and its like do."""
    with contextlib.suppress(ValueError):
        return f"{value} ({b64decode(value, validate=True).hex()})"
    return value


class StreamReader:
    """Cut a stream into parts. Thread-safe: one thread reads, the others wait for their turn.

    The worker that asks for a part reads it: nothing is read before a worker is free to send it.
    """

    def __init__(
        self,
        stream: Stream,
        plan: StreamPlan,
        spool: Spool,
        checks: StreamChecks,
        *,
        stop: threading.Event,
        abandoned: threading.Event,
    ) -> None:
        self._read = _polling_reader(stream, self._check_wanted)
        self._plan = plan
        self._spool = spool
        self._checks = checks
        self._stop = stop
        self._abandoned = abandoned
        self._lock = threading.Lock()  # guards all below, and the stream
        self._block = buffer_for(BLOCK)
        self._ahead = 0  # bytes in _block that belong to the next part
        self._number = 0
        self._over = False

    def next_part(self) -> Piece | None:
        """The next part; None after the last one.

        Raises SourceError and ChecksumError when the stream is not what it should be, SpoolError,
        TransferCancelled, and AbandonedError when the upload is given up.
        """
        with self._lock:
            piece = self._cut() if not self._over else None
        if piece is not None and not piece.length:
            piece.release()
            return None
        return piece

    def first_part(self) -> tuple[Piece, bool]:
        """The first part, empty where the stream is, and whether it is the whole stream."""
        with self._lock:
            piece = self._cut()
            if not self._over:
                self._ahead = self._fill(1)
            return piece, self._over

    def _cut(self) -> Piece:
        number = self._number + 1
        size = self._plan.part_size(number)
        count, self._ahead = self._ahead or self._fill(size), 0
        kept = self._spool.take(size if count else 0)
        if kept is None:
            self._check_wanted()
            raise AbandonedError
        filled = 0
        try:
            while count:
                kept.write(self._block[:count], filled)
                filled += count
                count = self._fill(size - filled) if filled < size and not self._over else 0
        except BaseException:
            self._spool.release(kept)
            raise
        self._number = number
        return Piece(number, kept, 0, filled, partial(self._spool.release, kept))

    def _fill(self, most: int) -> int:
        """Read up to `most` bytes into the block; 0 at the end of the stream."""
        view = self._block[:most]
        count = self._read(view)
        if count:
            self._checks.update(view[:count])
        else:
            self._over = True
            self._checks.check_end()
        return count

    def _check_wanted(self) -> None:
        if self._stop.is_set():
            raise TransferCancelled("stopped while the stream was read")
        if self._abandoned.is_set():
            raise AbandonedError


def _polling_reader(
    stream: Stream, check_wanted: Callable[[], None]
) -> Callable[[memoryview], int]:
    """A function that reads what there is, and calls `check_wanted` while there is nothing.

    Only a plain descriptor can be waited for like that; anything else is read as it comes.
    """
    poll = None
    if isinstance(stream, io.FileIO) and not stream.closed and hasattr(select, "poll"):
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)

    def read(view: memoryview) -> int:
        try:
            while True:
                check_wanted()
                if poll is not None and not poll.poll(_POLL_INTERVAL * 1000):
                    continue
                count = stream.readinto(view)
                if count is not None:
                    return count
                time.sleep(_PAUSE)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise SourceError(
                f"the stream cannot be read: {reason}",
                hint="A stream that broke cannot be read again: run its producer once more.",
            ) from error

    return read
