"""The journal's SQLite file: private, opened, with its tables, and one connection for all threads.

What belongs here: that the file can be used, in which form it is, what of it survives a power cut,
and errors in our own words.
"""

import contextlib
import os
import sqlite3
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ocihaul.errors import JournalError
from ocihaul.filesystem import sync_directory

#: What leads from one version of the tables to the next. The first is made in any case, because a
#: file may have been left before it was complete.
_STEPS = (
    """
    CREATE TABLE IF NOT EXISTS uploads (
        id INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL, namespace TEXT NOT NULL, bucket TEXT NOT NULL, object TEXT NOT NULL,
        upload_id TEXT NOT NULL,
        source TEXT NOT NULL,
        device INTEGER NOT NULL, inode INTEGER NOT NULL,
        size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        part_size INTEGER NOT NULL,
        encryption TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        created_at REAL NOT NULL,
        UNIQUE (endpoint, namespace, bucket, object)
    );
    CREATE TABLE IF NOT EXISTS parts (
        upload INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        size INTEGER NOT NULL,
        etag TEXT NOT NULL,
        digests TEXT NOT NULL,
        PRIMARY KEY (upload, number)
    ) WITHOUT ROWID
    """,
    """
    ALTER TABLE parts ADD COLUMN request_id TEXT;
    ALTER TABLE uploads ADD COLUMN counts TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE receipts (
        id INTEGER PRIMARY KEY,
        endpoint TEXT NOT NULL, namespace TEXT NOT NULL, bucket TEXT NOT NULL, object TEXT NOT NULL,
        etag TEXT NOT NULL,
        size INTEGER NOT NULL,
        finished_at REAL NOT NULL,
        owed INTEGER NOT NULL,
        document TEXT NOT NULL
    );
    CREATE INDEX receipts_by_object ON receipts (namespace, bucket, object)
    """,
    "ALTER TABLE uploads ADD COLUMN attributes TEXT",
    "ALTER TABLE uploads ADD COLUMN ctime_ns INTEGER",
    """
    CREATE TABLE intentions (
        endpoint TEXT NOT NULL, namespace TEXT NOT NULL, bucket TEXT NOT NULL, object TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (endpoint, namespace, bucket, object)
    ) WITHOUT ROWID
    """,
)
VERSION = len(_STEPS)

#: The condition on the columns of a target, see `Target.values`.
THIS_TARGET = "WHERE endpoint = ? AND namespace = ? AND bucket = ? AND object = ?"


def cell(number: int) -> int | bytes:
    """A number of a file system's for a cell, which `int` reads: inodes and times may have more
    than the 63 bits of SQLite's integers.
    """
    return number if -(2**63) <= number < 2**63 else str(number).encode()


class Database:
    """One open file; close it. Thread-safe, and several processes may have it open."""

    def __init__(self, directory: Path) -> None:
        """Open or make it. Raises JournalError when that is impossible."""
        self._directory = directory
        self._lock = threading.Lock()  # guards the connection
        try:
            path = directory / "journal.sqlite3"
            self._connection = open_state_file(path)
            try:
                self._prepare(path)
            except BaseException:
                self._connection.close()
                raise
        except (OSError, sqlite3.Error, ValueError) as error:  # flipped bits may spell no UTF-8
            raise JournalError(
                f"the journal in {directory} cannot be used: {error}",
                hint="Name a writable directory with OCIHAUL_STATE_DIR.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def writing(self, *, lasting: bool = False) -> Iterator[sqlite3.Connection]:
        """The connection, in a transaction that survives a kill when the context ends.

        `lasting`: it survives a power cut, too.
        """
        with self.reading() as connection, durable(connection) if lasting else connection:
            yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread. Raises JournalError for what goes wrong with it."""
        with self._lock:
            try:
                yield self._connection
            except (sqlite3.Error, ValueError) as error:  # a disk can spoil what a cell says
                raise JournalError(
                    f"the journal in {self._directory} cannot be used: {error}",
                    hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
                ) from error

    def _prepare(self, path: Path) -> None:
        if self._version(path) == VERSION:
            return
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            version = self._version(path)
            for step in _STEPS[version if version > 1 else 0 :]:
                for statement in step.split(";"):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _version(self, path: Path) -> int:
        """The version of the tables; another process may have raised it meanwhile."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise JournalError(
                f"{path} was written by a newer version of ocihaul",
                hint="Use that version, or name another directory with OCIHAUL_STATE_DIR.",
            )
        return int(version)


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
