"""What an interrupted run had finished, so that the next one does not do it again.

One SQLite file beside the journal. A run goes by what it was to do; its rows are dropped when it
ends well. Rows of small files are committed a few at a time: a kill costs at most those of the last
moment, and a power cut those of the last seconds.
"""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ocihaul.directories.names import printable
from ocihaul.documents import read_object
from ocihaul.errors import JournalError
from ocihaul.events import Listener, Notice
from ocihaul.transfer.journal.database import cell, durable, give_back, open_state_file
from ocihaul.transfer.journal.journal import state_directory

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, begun_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
    run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    name TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, headers TEXT NOT NULL,
    PRIMARY KEY (run, name)
) WITHOUT ROWID;
"""
#: Rows and seconds after which what is new is committed.
_BATCH = 200
_DELAY = 0.25
#: Seconds after which what is committed has to survive a power cut, too.
_LASTING = 5.0
#: A file of more bytes is committed at once: to move it again would cost more than that.
_SMALL = 2**20
#: Runs that were not resumed for so many seconds are forgotten: 30 days.
_KEPT = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A file that was done: how it was then, and what the service said (its etag is in there)."""

    size: int
    mtime_ns: int
    headers: Mapping[str, str]


def run_key(**facts: object) -> str:
    """A name for a run, from all that makes it another one."""
    text = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


class DirectoryCheckpoint:
    """The memory of one run. Thread-safe. Close it, or use it as a context.

    `earlier` says whether an earlier run has left something.
    """

    def __init__(self, directory: Path, key: str) -> None:
        """Open or make it. Raises JournalError when that is impossible."""
        self._directory = directory
        self._lock = threading.Lock()  # guards all below
        self._fresh: list[tuple[int, str, int, int | bytes, str]] = []
        self._committed = self._lasting = time.monotonic()
        self.earlier = False
        with self._telling():
            path = directory / "trees.sqlite3"
            self._database = open_state_file(path)
            try:
                self._run = self._begin(path, key)
            except BaseException:
                self._database.close()
                raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _begin(self, path: Path, key: str) -> int:
        database = self._database
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            raise JournalError(
                f"{path} was written by a newer version of ocihaul",
                hint="Use that version, or name another directory with OCIHAUL_STATE_DIR.",
            )
        database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        database.executescript(_SCHEMA)
        now = time.time()
        with database:
            database.execute(
                "INSERT INTO runs (key, begun_at) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET begun_at = excluded.begun_at",
                (key, now),
            )
            database.execute("DELETE FROM runs WHERE begun_at < ?", (now - _KEPT,))
            row = database.execute("SELECT id FROM runs WHERE key = ?", (key,)).fetchone()
        found = database.execute("SELECT 1 FROM files WHERE run = ? LIMIT 1", row).fetchone()
        self.earlier = found is not None
        return int(row[0])

    def close(self) -> None:
        """Commit what is new and close the file."""
        with self._telling(), self._lock:
            try:
                self._commit()
            finally:
                self._database.close()

    def finished(self, name: str) -> Finished | None:
        """What an earlier run has noted about this name; what cannot be read is nothing."""
        if not self.earlier:
            return None
        with self._telling(), self._lock:
            row = self._database.execute(
                "SELECT size, mtime_ns, headers FROM files WHERE run = ? AND name = ?",
                (self._run, printable(name)),
            ).fetchone()
        try:
            return None if row is None else Finished(row[0], int(row[1]), read_object(row[2]))
        except (ValueError, TypeError):  # a disk has made something else of it
            return None

    def add(self, name: str, finished: Finished) -> None:
        """Note a file that is done; on disk a moment later, a large one at once."""
        headers = json.dumps(dict(finished.headers))
        row = (self._run, printable(name), finished.size, cell(finished.mtime_ns), headers)
        with self._lock:
            self._fresh.append(row)
            full = len(self._fresh) >= _BATCH or finished.size > _SMALL
            if full or time.monotonic() - self._committed >= _DELAY:
                with self._telling():
                    self._commit()

    def forget(self) -> None:
        """The run has ended well: nothing needs to be remembered."""
        with self._telling(), self._lock:
            self._fresh.clear()
            with self._database:
                self._database.execute("DELETE FROM runs WHERE id = ?", (self._run,))
            give_back(self._database)

    def _commit(self) -> None:
        now = time.monotonic()
        if self._fresh:
            lasting = now - self._lasting >= _LASTING
            with durable(self._database) if lasting else self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", self._fresh
                )
            self._fresh.clear()
            if lasting:
                self._lasting = now
        self._committed = now

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error, ValueError) as error:  # a disk can spoil what a cell says
            raise JournalError(
                f"{self._directory / 'trees.sqlite3'} cannot be used: {error}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error


@contextmanager
def open_checkpoint(key: str | None, listener: Listener) -> Iterator[DirectoryCheckpoint | None]:
    """The user's memory of the run `key`: without it the work is the same, and it is said.

    A key of None is that of a run with nothing to remember.
    """
    checkpoint = None
    try:
        if key is not None:
            checkpoint = DirectoryCheckpoint(state_directory(), key)
    except JournalError as error:
        text = f"An interrupted run will begin anew: {error.message}. {error.hint}"
        listener(Notice(text))
    try:
        yield checkpoint
    finally:
        if checkpoint is not None:
            try:
                checkpoint.close()
            except JournalError as error:
                listener(Notice(f"Not all that is done is remembered: {error.message}."))
