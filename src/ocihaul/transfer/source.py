"""Sources of bytes: a file, read at any offset and recognized again."""

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from ocihaul.errors import SourceChangedError, SourceError

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
