"""What became of each file, sorted and off the heap, until it is printed.

A private SQLite database that lives in a few megabytes of memory and, beyond that, in a temporary
file without a name: a million results cost no more memory than a thousand.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from ocihaul.directories.names import ancestors, is_text, printable, readable_part
from ocihaul.errors import JournalError

UPLOADED = "uploaded"
DOWNLOADED = "downloaded"
DELETED = "deleted"
SKIPPED = "skipped"
FAILED = "failed"
NOT_DELETED = "not deleted"
#: What is to be deleted, until it is.
EXTRA = "extra"
#: The paths that the listed objects have, whatever becomes of them.
FILE = "file"

_BATCH = 1000
_INSERT = "INSERT OR IGNORE INTO results VALUES (?, ?, ?)"
_as_json = json.JSONEncoder(sort_keys=True, ensure_ascii=False).encode


class Results:
    """Names by kind, each with a value. Thread-safe. Close it, or use it as a context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards all below
        self._fresh: list[tuple[str, str, str | None]] = []
        self._database = sqlite3.connect("", check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute("PRAGMA cache_size = -8000")
        self._database.execute(
            "CREATE TABLE results (kind TEXT, name TEXT, value TEXT, PRIMARY KEY (kind, name)) "
            "WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget everything."""
        with self._lock:
            self._database.close()

    def add(self, kind: str, name: str, value: object = None) -> None:
        """Note one; what this kind has under the name already stays as it was.

        Raises JournalError when there is no room.
        """
        row = (kind, printable(name), None if value is None else _as_json(value))
        with self._lock:
            self._fresh.append(row)
            full = len(self._fresh) >= _BATCH
        if full:  # one at a time, the workers would queue for the database
            with self._using():
                pass

    def claim(self, kind: str, name: str, value: object) -> bool:
        """Note one; False when this kind has the name already, and then it stays as it was.

        Raises JournalError when there is no room.
        """
        with self._using() as database:
            cursor = database.execute(_INSERT, (kind, printable(name), _as_json(value)))
        return cursor.rowcount == 1

    def drop(self, kind: str, name: str) -> None:
        """Forget one."""
        with self._using() as database:
            database.execute(
                "DELETE FROM results WHERE kind = ? AND name = ?", (kind, printable(name))
            )

    def count(self, kind: str) -> int:
        """How many there are of a kind; the time that it takes grows with them."""
        with self._using() as database:
            row = database.execute(
                "SELECT COUNT(*) FROM results WHERE kind = ?", (kind,)
            ).fetchone()
        return int(row[0])

    def value(self, kind: str, name: str) -> Any:
        """The value of one; None when there is none."""
        with self._using() as database:
            row = database.execute(
                "SELECT value FROM results WHERE kind = ? AND name = ?", (kind, printable(name))
            ).fetchone()
        return None if row is None or row[0] is None else json.loads(row[0])

    def has(self, kind: str, name: str) -> bool:
        """Whether it was noted."""
        with self._using() as database:
            found = database.execute(
                "SELECT 1 FROM results WHERE kind = ? AND name = ?", (kind, printable(name))
            ).fetchone()
        return found is not None

    def items(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Names with their values, by name. Others may be noted meanwhile."""
        last = ""
        first = True
        while True:
            with self._using() as database:
                rows = database.execute(
                    f"SELECT name, value FROM results WHERE kind = ? AND name "  # noqa: S608
                    f"{'>=' if first else '>'} ? ORDER BY name LIMIT {_BATCH}",
                    (kind, last),
                ).fetchall()
            for name, value in rows:
                yield name, None if value is None else json.loads(value)
            if len(rows) < _BATCH:
                return
            last, first = rows[-1][0], False

    @contextmanager
    def _using(self) -> Iterator[sqlite3.Connection]:
        """The database, with everything in it that was noted."""
        with self._lock:
            try:
                if self._fresh:
                    self._database.executemany(_INSERT, self._fresh)
                    self._fresh.clear()
                yield self._database
            except sqlite3.Error as error:
                raise JournalError(
                    f"the results cannot be kept: {error}",
                    hint="Check the space in the directory for temporary files (TMPDIR).",
                ) from error


class Unread:
    """The directories that have such names.

    Another tool, or another locale, may have stored such a file under a name that cannot be
    derived from its bytes. So nothing that is below its directory in the bucket counts as gone.
    """

    def __init__(self) -> None:
        self._directories: set[str] = set()

    def note(self, path: str) -> None:
        """Take a relative path of the walk into account."""
        if not is_text(path):
            self._directories.add(readable_part(path))

    def spare(self, results: Results, prefix: str) -> int:
        """Take the objects that it may concern from those to be deleted; returns how many."""
        spared = 0
        for name, _ in results.items(EXTRA) if self._directories else ():
            path = name.removeprefix(prefix)
            if not self._directories.isdisjoint(ancestors(path)):
                results.drop(EXTRA, name)
                spared += 1
        return spared
