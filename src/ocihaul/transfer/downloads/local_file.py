"""The file that a download makes: beside its target until it is whole, then in its place."""

import contextlib
import errno
import os
import shutil
import stat
import threading
from pathlib import Path
from typing import BinaryIO, Self

from ocihaul.errors import TargetError, UsageError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: A file system that has none of it: the space is then taken as it is written.
_NO_PREALLOCATION = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.ENODEV}

#: Its name can be guessed: a link that somebody has put there is not followed.
_OURS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def resolved(path: Path) -> Path:
    """The file that `path` means, through symbolic links. Raises UsageError if it cannot be one.

    The links themselves stay: what they point to is replaced.
    """
    try:
        real = path.resolve()
        if real.is_dir():
            raise UsageError(
                f"{path} is a directory",
                hint="Name the file in it; many objects come with: ocihaul os object bulk-download",
            )
        if not real.parent.is_dir():
            raise UsageError(f"{real.parent} is no directory", hint="Make it, or correct --file.")
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle, before 3.13
        raise UsageError(f"{path} cannot be looked at: {error}") from error
    return real


def is_special(path: Path) -> bool:
    """Whether there is something at `path` that bytes go through: a pipe, a device."""
    try:
        return not stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def opened(path: Path) -> BinaryIO:
    """A pipe or a device, to be written in order. Raises TargetError."""
    try:
        return path.open("wb", buffering=0)
    except OSError as error:
        raise TargetError(
            f"{path} cannot be written: {error.strerror}", hint="Check --file and the rights on it."
        ) from error


class LocalFile:
    """A temporary file beside its target. Writes are positional, so threads share it.

    The target is not touched before `complete`.
    """

    def __init__(self, target: Path, temporary: Path) -> None:
        """Make the temporary file, or open the one that is there. Raises TargetError."""
        self.target = target
        self.temporary = temporary
        self._seek_lock = threading.Lock()  # guards the file position where pwrite is missing
        try:
            descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | _OURS, 0o666)
            self._file: BinaryIO = os.fdopen(descriptor, "r+b", buffering=0)
        except OSError as error:
            raise TargetError(
                f"{target} cannot be written: {error.strerror} ({target.parent})",
                hint="The file is made beside it first: check the rights on that directory.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def reserve(self, size: int, *, keep: bool) -> None:
        """Take the space for `size` bytes, so that a full disk is known now. Raises TargetError.

        What is in the file stays if `keep` says so.
        """
        try:
            if not keep:
                self._file.truncate(0)
            disk = shutil.disk_usage(self.target.parent)
            # Some file systems in user space tell nothing of it: not even a size.
            if disk.total and disk.free < size - _taken(os.fstat(self._file.fileno())):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if size and hasattr(os, "posix_fallocate"):
                try:
                    os.posix_fallocate(self._file.fileno(), 0, size)
                except OSError as error:
                    if error.errno not in _NO_PREALLOCATION:
                        raise
            self._file.truncate(size)
        except OSError as error:
            if not keep:
                self.drop()
            raise TargetError(
                f"{self.target.parent} has no room for {size} bytes: {error.strerror}",
                hint="Nothing was fetched. Make room, or name a file on another disk.",
                resumable=keep,
            ) from error

    def write(self, data: memoryview, offset: int) -> None:
        """Raises TargetError."""
        try:
            while data:
                count = self._write_some(data, offset)
                data, offset = data[count:], offset + count
        except OSError as error:
            raise self._broken("written", error) from error

    def _write_some(self, data: memoryview, offset: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._file.fileno(), data, offset)
        with self._seek_lock:
            self._file.seek(offset)
            return self._file.write(data)

    def read_into(self, view: memoryview, offset: int) -> bool:
        """Fill `view`; False when the file ends before that. Raises TargetError."""
        try:
            while view:
                count = self._read_some(view, offset)
                if not count:
                    return False
                view, offset = view[count:], offset + count
        except OSError as error:
            raise self._broken("read back", error) from error
        return True

    def _read_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], offset)
        with self._seek_lock:
            self._file.seek(offset)
            return self._file.readinto(view) or 0  # type: ignore[attr-defined]

    def complete(self) -> None:
        """Put the file in its target's place, on disk when this returns. Raises TargetError."""
        try:
            self._check_name()
            with contextlib.suppress(OSError):  # an existing file keeps its permissions
                self.temporary.chmod(stat.S_IMODE(self.target.stat().st_mode))
            os.fsync(self._file.fileno())
            self._file.close()  # Windows renames no open file
            self.temporary.replace(self.target)
            _sync_directory(self.target.parent)
        except OSError as error:
            raise self._broken("put in place", error) from error

    def _check_name(self) -> None:
        """Raise OSError unless the name is still that of the file with the bytes in it."""
        ours, named = os.fstat(self._file.fileno()), self.temporary.lstat()
        if (ours.st_dev, ours.st_ino) != (named.st_dev, named.st_ino):
            raise FileNotFoundError(errno.ENOENT, f"somebody has replaced {self.temporary.name}")

    def drop(self) -> None:
        """The bytes are of no use to anybody."""
        self._file.close()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def _broken(self, what: str, error: OSError) -> TargetError:
        full = error.errno in _FULL
        return TargetError(
            f"{self.target} cannot be {what}: {error.strerror}",
            hint=f"{'Make room' if full else 'Check the disk'}, then run the same command again: "
            "it goes on with what is there.",
            resumable=True,
        )


def _taken(status: os.stat_result) -> int:
    """The bytes on disk that a file has already."""
    return getattr(status, "st_blocks", 0) * 512


def _sync_directory(path: Path) -> None:
    """Make the new name as durable as the bytes; not every system and file system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
