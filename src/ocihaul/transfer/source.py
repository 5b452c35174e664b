"""Where the bytes of an upload come from: a file, read at any offset and recognized again.

With them, what both directions need to move bytes: buffers, and the checksums of ranges that are
read for that alone.
"""

import mmap
import os
import stat
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ocihaul.errors import SourceChangedError, SourceError, TransferCancelled
from ocihaul.threads import AbandonedError, WorkerPool, supply_of
from ocihaul.transfer import checksum

#: Read, hash and send in steps of this many bytes. Larger steps cost memory per thread, smaller
#: ones handovers of the interpreter's lock: half of it costs 5 % more CPU over plain HTTP, and the
#: same over TLS.
BLOCK = 1024 * 1024

#: Halves of huge pages that are not in use. Its methods are safe from any thread.
_halves: deque[memoryview] = deque()


def buffer_for(length: int) -> memoryview:
    """A buffer to move `length` bytes in steps: of that size, at most `BLOCK`, one byte at least.

    It is half of a huge page where the system has those: an upload costs a fifth less CPU with
    them than with memory that begins anywhere in a small page. It is freed when neither half is
    in use.
    """
    try:
        half = _halves.pop()
    except IndexError:
        page = _memory(2 * BLOCK)
        half = page[:BLOCK]
        _halves.append(page[BLOCK:])
    return half[: max(length, 1)]


def _memory(size: int) -> memoryview:
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return memoryview(bytearray(size))
    try:
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError:  # too many mappings, perhaps: there may be other memory
        return memoryview(bytearray(size))
    with suppress(OSError):  # a kernel without huge pages
        pages.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(pages)


_NO_FILE = "Open it and upload it as a stream, or copy it to a file first."


class Source(Protocol):
    """Bytes that can be read anywhere, and again until the service has them."""

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises SourceError."""

    def check_unchanged(self) -> None:
        """Raise SourceChangedError when the bytes may not be those of the start any more."""


def _nothing() -> None:
    """A file's range needs no room."""


@dataclass(frozen=True, slots=True)
class Piece:
    """`length` bytes of a source from `offset`, to be sent as part `number`.

    `release` is called once, when the service has it or it will not be sent.
    """

    number: int
    source: Source
    offset: int
    length: int
    release: Callable[[], None] = _nothing


@dataclass(frozen=True, slots=True)
class Identity:
    """What must not change while a file is uploaded; `mtime_ns` in nanoseconds since the epoch."""

    device: int
    inode: int
    size: int
    mtime_ns: int


class FileSource:
    """An open regular file. Reads are positional, so threads share it without a lock."""

    def __init__(self, path: Path) -> None:
        """Open it. Raises SourceError when it cannot be read or is no regular file."""
        self.path = path
        try:
            if stat.S_ISFIFO(path.stat().st_mode):  # opening it would wait for a writer
                raise SourceError(f"{path} is not a regular file", hint=_NO_FILE)
            self._file = path.open("rb", buffering=0)
        except IsADirectoryError:
            raise SourceError(
                f"{path} is a directory",
                hint="Name a file; a directory goes up with: ocihaul os object bulk-upload",
            ) from None
        except OSError as error:
            raise SourceError(
                f"{path} cannot be read: {error.strerror}",
                hint="Check the path, and that the user running this may read it.",
            ) from error
        except ValueError:
            raise SourceError(f"{path} is no path: it has a NUL in it") from None
        status = os.fstat(self._file.fileno())
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise SourceError(f"{path} is not a regular file", hint=_NO_FILE)
        self.identity = _identity(status)
        #: When anything of it was changed, its times and rights included: it cannot be set back.
        self.ctime_ns = status.st_ctime_ns
        self._seek_lock = threading.Lock()  # guards the file position where pread is missing
        self._check_end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes, as they were when it was opened."""
        return self.identity.size

    def _check_end(self) -> None:
        """In /proc and on some network file systems a file holds more than its size says."""
        try:
            beyond = self._read_some(memoryview(bytearray(1)), self.size)
        except OSError:
            beyond = 0  # what cannot be read there is told when it is read
        if beyond:
            self._file.close()
            raise SourceError(
                f"{self.path} has more than the {self.size} bytes that its size says",
                hint="Copy it to a file first, or wait until no program writes to it.",
            )

    def read_into(self, view: memoryview, offset: int) -> None:
        """Fill `view` from `offset`. Raises SourceChangedError when the file ends before that,
        SourceError when it cannot be read.
        """
        filled = 0
        while filled < len(view):
            try:
                count = self._read_some(view[filled:], offset + filled)
            except OSError as error:
                raise SourceError(
                    f"{self.path} cannot be read at byte {offset + filled}: {error.strerror}",
                    hint="Check the disk, then run the same command again.",
                ) from error
            if count == 0:
                raise SourceChangedError(
                    f"{self.path} has become shorter while it was read",
                    hint="Nothing was stored. Upload it when no program writes to it.",
                )
            filled += count

    def check_unchanged(self) -> None:
        """Raise SourceChangedError when size or modification time are not those of the start.

        Raises SourceError when that cannot be told (a network file system that is away).
        """
        try:
            now = _identity(os.fstat(self._file.fileno()))
        except OSError as error:
            raise SourceError(
                f"{self.path} cannot be looked at: {error.strerror}",
                hint="Check the disk, then run the same command again.",
            ) from error
        if now != self.identity:
            was, has = self.identity.size, now.size
            what = f"{was} bytes then, {has} now" if was != has else "its modification time moved"
            raise SourceChangedError(
                f"{self.path} has changed while it was read ({what})",
                hint="Nothing was stored. Upload it when no program writes to it.",
            )

    def _read_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], offset)
        with self._seek_lock:
            self._file.seek(offset)
            return self._file.readinto(view) or 0


def _identity(status: os.stat_result) -> Identity:
    return Identity(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


#: Hashing releases the interpreter's lock: more threads than this wait for the disk.
THREADS = 4


def digest_range(
    source: Source,
    offset: int,
    length: int,
    algorithms: Collection[str],
    *,
    buffer: memoryview | None = None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, bytes]:
    """Read a range and return its checksums by algorithm. Raises SourceError.

    `check` is called before each block, and may raise. `buffer` is lent.
    """
    running = {name: checksum.start(name) for name in algorithms}
    view = buffer_for(length) if buffer is None else buffer
    for start in range(0, length, len(view)):
        check()
        block = view[: min(len(view), length - start)]
        source.read_into(block, offset + start)
        for one in running.values():
            one.update(block)
    return {name: one.digest() for name, one in running.items()}


def digest_ranges(
    source: FileSource,
    ranges: Collection[tuple[int, int]],
    algorithms: Collection[str],
    *,
    stop: threading.Event,
    threads: int = THREADS,
) -> list[dict[str, bytes]]:
    """Return the checksums of each range (offset, length in bytes), each byte read once.

    Raises SourceError, and TransferCancelled once `stop` is set.
    """
    found: dict[int, dict[str, bytes]] = {}
    abandoned = threading.Event()

    def check() -> None:
        if stop.is_set():
            raise TransferCancelled("stopped while the file was read")
        if abandoned.is_set():
            raise AbandonedError

    def worker() -> Callable[[tuple[int, tuple[int, int]]], None]:
        buffer = buffer_for(BLOCK)

        def digest(task: tuple[int, tuple[int, int]]) -> None:
            index, (offset, length) = task
            found[index] = digest_range(
                source, offset, length, algorithms, buffer=buffer, check=check
            )

        return digest

    WorkerPool(
        supply_of(enumerate(ranges)),
        worker,
        parallel=min(threads, len(ranges)),
        stop=stop,
        abandoned=abandoned,
    ).run()
    return [found[index] for index in range(len(ranges))]
