"""The journal's SQLite file: opening, its tables, and one connection for all threads.

What belongs here: that the file can be used, in which form it is, and errors in our own words.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ocihaul.errors import JournalError
from ocihaul.transfer.journal.state_file import durable, open_state_file

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
