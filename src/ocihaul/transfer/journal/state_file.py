"""An SQLite file of the state directory: private, locked, and on disk where that counts.

Write-ahead logging with `synchronous = NORMAL`: a commit survives a kill, and not always a power
cut. `durable` is for what has to survive that, too.
"""

import contextlib
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ocihaul.filesystem import sync_directory

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

#: How long another process's transaction is waited for, seconds.
_BUSY = 30.0
#: Free pages of 4 KiB that are worth a rewrite of the file: 4 MiB.
_MUCH = 1024
_WIDE = stat.S_IRWXG | stat.S_IRWXO


def open_state_file(path: Path) -> sqlite3.Connection:
    """Open or make it with its directory. Raises OSError and sqlite3.Error where that cannot be.

    The connection may be used by several threads, one at a time.
    """
    new_directory = not path.parent.exists()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_locks(path.parent)
    new = not path.exists()
    path.touch(mode=0o600)  # private before SQLite writes into it
    for each in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        narrow(each)
    if new:
        sync_directory(path.parent)
    if new_directory:
        sync_directory(path.parent.parent)
    connection = sqlite3.connect(path, timeout=_BUSY, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def durable(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that is on disk when the context ends, whatever becomes of the machine.

    It is copied from the log into the file as well, so that the file alone has it. Costs three
    fsync calls: two for the log, one for the file.
    """
    connection.execute("PRAGMA synchronous = FULL")
    try:
        with connection:
            yield
        with contextlib.suppress(sqlite3.Error):  # it is in the log anyhow
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


def used_bytes(connection: sqlite3.Connection) -> int:
    """How much of the file holds something."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((pages - _free_pages(connection)) * size)


def give_back(connection: sqlite3.Connection) -> None:
    """Return free space to the file system, where it is much and no other process is at it."""
    with contextlib.suppress(sqlite3.Error):
        if _free_pages(connection) > _MUCH:
            connection.execute("VACUUM")


def _free_pages(connection: sqlite3.Connection) -> int:
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    return int(free)


def narrow(path: Path) -> None:
    """Take all rights of others from a file of ours; a file of another user is left as it is."""
    if not hasattr(os, "geteuid"):
        return
    with contextlib.suppress(OSError):
        status = path.stat()
        wide = stat.S_IMODE(status.st_mode) & _WIDE
        if wide and stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(status.st_mode) & ~_WIDE)


def check_locks(directory: Path) -> None:
    """Raise OSError where files cannot be locked (NFS without lockd, some FUSE file systems).

    SQLite takes that for a lock of another process and would wait for its end. The probe is a file
    of its own: to close one that SQLite has open would give up SQLite's locks, too (fcntl(2)).
    """
    if fcntl is None:
        return
    with tempfile.TemporaryFile(dir=directory) as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            text = f"its file system has no locks ({error.strerror})"
            raise OSError(error.errno, text) from error
