"""Files on disk as they have to be made: our own, private from birth, durable where that can be.

What belongs here: opening a file whose name others can guess, and what a file system may lack.
Some in user space have no fsync, a mount of another owner sets no times and no permissions. The
bytes are as right without, so a run says it once and goes on. What is wrong with the disk itself
(EIO, ENOSPC, EDQUOT) stays an error.
"""

import contextlib
import errno
import os
import secrets
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ocihaul.events import Listener

#: How the bytes of a file's name that are no UTF-8 become text, and back; Windows has UTF-16.
DISK_ERRORS = "surrogatepass" if os.sep == "\\" else "surrogateescape"
#: The permissions of a file that is not whole yet.
PRIVATE = 0o600

#: A file system that has no such operation.
_MISSING = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP})
#: The same, or it is refused: the mount belongs to another user.
_REFUSED = _MISSING | {errno.EPERM, errno.EACCES}
_NO_PREALLOCATION = _MISSING | {errno.ENODEV}
#: What opening says about a link, a file of another user, or a pipe without a reader.
_FOREIGN = frozenset({errno.ELOOP, errno.EMLINK, errno.EACCES, errno.EPERM, errno.ENXIO})

#: What to tell where `sync_file` says no.
UNSYNCED = (
    "The file system cannot be told to put files on disk (it has no fsync): a power failure soon "
    "after the end may cost what was written last."
)

_OPEN = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe must not block
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
#: How often a foreign file is removed that comes back each time.
_MOST_TRIES = 10


def open_own(name: str, flags: int, *, directory: int | None = None) -> tuple[int, bool]:
    """Open `name` for our own use, and say whether it is new. Raises OSError.

    A new file is private. One that is there is used if only we can have made it and can write it
    (see `open_existing`); anything else is removed, never written to: another user may have put
    there a file that he holds open, or a second name of a file of ours.
    """
    for _ in range(_MOST_TRIES):
        with contextlib.suppress(FileExistsError):
            created = flags | os.O_CREAT | os.O_EXCL | _OPEN
            return os.open(name, created, PRIVATE, dir_fd=directory), True
        descriptor = open_existing(name, flags, directory=directory)
        if descriptor is not None:
            return descriptor, False
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)
    raise FileExistsError(errno.EEXIST, "another user makes a file of this name again and again")


def open_existing(name: str, flags: int, *, directory: int | None = None) -> int | None:
    """Open `name` if it is there and ours alone; None if not. Raises other OSErrors.

    Ours is a regular file with one name, that belongs to this user and that no other may write. On
    a file system that gives all files one owner or one mode, it has to be as a new file is there.
    """
    try:
        descriptor = os.open(name, flags | _OPEN, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _FOREIGN:
            return None
        raise
    status = os.fstat(descriptor)
    if is_own(status) or _is_as_new(status, name, directory):
        return descriptor
    os.close(descriptor)
    return None


def is_own(status: os.stat_result) -> bool:
    """Whether only this user can have made the file, and can write it, under this name alone."""
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_nlink == 1
        and status.st_uid == os.geteuid()
        and not status.st_mode & _WRITABLE_BY_OTHERS
    )


def _is_as_new(status: os.stat_result, name: str, directory: int | None) -> bool:
    """Whether it has the owner and the mode that a private file gets there, which are not ours."""
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        return False
    trial = os.path.join(os.path.dirname(name), f".ocihaul-{secrets.token_hex(8)}")  # noqa: PTH118, PTH120  relative to a descriptor
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _OPEN
    descriptor = os.open(trial, flags, PRIVATE, dir_fd=directory)
    try:
        os.unlink(trial, dir_fd=directory)
        new = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    unexplained = status.st_mode & _WRITABLE_BY_OTHERS & ~new.st_mode
    return status.st_uid == new.st_uid and not unexplained


def sync_file(descriptor: int) -> bool:
    """Put a file's bytes on disk; False where the file system has no such operation."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _MISSING:
            raise
        return False
    return True


def sync_directory(name: str | Path, *, directory: int | None = None) -> None:
    """Make the names in a directory durable, where the file system can. Raises OSError."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return  # it may be written to and not be read
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)


def preallocate(descriptor: int, size: int) -> None:
    """Take the space for `size` bytes; where that cannot be, it is taken as they are written."""
    if not size or not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _NO_PREALLOCATION:
            raise


def creation_mode() -> int:
    """The permissions that this process's umask leaves to a new file."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return 0o666 & ~int(status.partition("\nUmask:")[2].split()[0], 8)
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask


class FileSystem:
    """What one run asks of the file system beside its bytes; what is lacking is said once.

    Thread-safe. `new_mode` are the permissions of a file that was not there before.
    """

    def __init__(self, listener: "Listener") -> None:
        self.new_mode = creation_mode()
        self._listener = listener
        self._lock = threading.Lock()  # guards the one below
        self._told: set[str] = set()

    def sync(self, descriptor: int) -> None:
        """Put a file on disk. Raises OSError when the disk fails."""
        if not sync_file(descriptor):
            self._tell(UNSYNCED)

    def set_mode(self, descriptor: int, mode: int) -> None:
        """Set a file's permissions."""
        try:
            os.fchmod(descriptor, mode)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._tell(
                f"The file system does not let us set permissions ({error.strerror}): files keep "
                "those that it gives them."
            )

    def set_mtime(self, descriptor: int, seconds: int) -> None:
        """Set a file's time, epoch seconds."""
        try:
            os.utime(descriptor, (seconds, seconds))
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            self._tell(
                f"The file system does not let us set times ({error.strerror}): files have the "
                "time at which they came."
            )

    def _tell(self, text: str) -> None:
        with self._lock:
            if text in self._told:
                return
            self._told.add(text)
        from ocihaul.events import Notice  # noqa: PLC0415  start-up time of what says nothing

        self._listener(Notice(text))


def from_disk(raw: bytes) -> str:
    """The name that these bytes on disk are."""
    return raw.decode(errors=DISK_ERRORS)


def on_disk(name: str) -> bytes:
    """The bytes on disk that this name is; UnicodeEncodeError when `check_text` refuses it."""
    return name.encode(errors=DISK_ERRORS)
