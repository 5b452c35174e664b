"""The journal's SQLite file: its tables, what their rows hold, one connection for all threads.

What belongs here: that the file can be used, in which form it is, what of it survives a power cut,
and errors in our own words.
"""

import contextlib
import hashlib
import json
import os
import sqlite3
import stat
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ocihaul.documents import LAST_MOMENT, read_object
from ocihaul.errors import JournalError
from ocihaul.filesystem import sync_directory
from ocihaul.transfer.checksum import CRC32C, SIZES, SentPart
from ocihaul.transfer.monitor import Counts
from ocihaul.transfer.source import Identity

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


#: What stands for the source of a stream.
STREAM = "-"


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upload goes: one object in one bucket at one endpoint."""

    endpoint: str
    namespace: str
    bucket: str
    object: str

    @property
    def digest(self) -> str:
        """A file name for it."""
        text = f"{self.endpoint}\n{self.namespace}\n{self.bucket}\n{self.object}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def values(self) -> tuple[str, str, str, str]:
        """As the journal's columns have them."""
        return self.endpoint, self.namespace, self.bucket, self.object


@dataclass(frozen=True, slots=True)
class Entry:
    """An upload that was begun and not finished. Sizes are bytes, `created_at` epoch seconds.

    `encryption` says how its parts are encrypted, without the key. `attributes` are what the object
    will have (`attributes_of` in `upload/request.py`), None where another has begun the upload.
    `ctime_ns` is the source's, None where it is not known. `counts` are those of the runs before
    this one.
    """

    row: int
    target: Target
    upload_id: str
    source: str
    identity: Identity
    part_size: int
    encryption: str
    algorithm: str
    created_at: float
    attributes: Mapping[str, object] | None = None
    ctime_ns: int | None = None
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class Intention:
    """An upload that is about to be created, and has no id yet. Fields as those of `Entry`.

    `begun_at` is epoch seconds, before the request goes out.
    """

    source: str
    identity: Identity
    part_size: int
    encryption: str
    algorithm: str
    attributes: Mapping[str, object] | None = None
    ctime_ns: int | None = None
    begun_at: float = field(default_factory=time.time)

    @property
    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: str) -> "Intention | None":
        """From its JSON; None where a disk has made something else of it."""
        try:
            value = read_object(text)
            identity = value.pop("identity")
            numbers = (identity[name] for name in ("device", "inode", "size", "mtime_ns"))
            found = cls(identity=Identity(*map(number_cell, numbers)), **value)
            for each in (found.source, found.encryption, found.algorithm):
                text_cell(each)
            number_cell(found.part_size, least=_least_part(found.source))
            time_cell(found.begun_at)
            if found.ctime_ns is not None:
                number_cell(found.ctime_ns)
            if not isinstance(found.attributes, dict | None):
                return None
        except (ValueError, TypeError, KeyError):
            return None
        return found


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A finished upload; `owed`: its receipt was to be written to a file and is not there yet."""

    row: int
    target: Target
    etag: str
    size: int
    finished_at: float
    owed: bool


#: What `read_entry` reads.
ENTRY_COLUMNS = (
    "id, endpoint, namespace, bucket, object, upload_id, source, device, inode, size, "
    "mtime_ns, part_size, encryption, algorithm, created_at, counts, attributes, ctime_ns"
)


def read_entry(row: int, *columns: Any) -> Entry:
    """From a row of `uploads`, in the order of `ENTRY_COLUMNS`.

    Raises ValueError where a disk has made something else of it.
    """
    endpoint, namespace, bucket, name, upload_id, source = map(text_cell, columns[:6])
    part_size, encryption, algorithm, created_at, counts, attributes, ctime_ns = columns[10:]
    return Entry(
        row=row,
        target=Target(endpoint, namespace, bucket, name),
        upload_id=upload_id,
        source=source,
        identity=Identity(*map(number_cell, columns[6:10])),
        part_size=number_cell(part_size, least=_least_part(source)),
        encryption=text_cell(encryption),
        algorithm=text_cell(algorithm),
        created_at=time_cell(created_at),
        attributes=None if attributes is None else read_object(text_cell(attributes)),
        ctime_ns=None if ctime_ns is None else number_cell(ctime_ns),
        counts=Counts.from_document(read_object(text_cell(counts))),
    )


def read_receipt_row(row: int, *columns: Any) -> KeptReceipt:
    """From a row of `receipts`. Raises ValueError where a disk has made something else of it."""
    endpoint, namespace, bucket, name, etag = map(text_cell, columns[:5])
    size, finished_at, owed = columns[5:]
    target = Target(endpoint, namespace, bucket, name)
    return KeptReceipt(
        row, target, etag, number_cell(size, least=0), time_cell(finished_at), bool(owed)
    )


def _least_part(source: str) -> int:
    """A stream has parts of several sizes, and is noted with 0."""
    return 0 if source == STREAM else 1


def part_row(entry: Entry, number: int, part: SentPart) -> tuple[object, ...]:
    """For a row of `parts`."""
    digests = json.dumps({name: value.hex() for name, value in part.digests.items()})
    return entry.row, number, part.size, part.etag, digests, part.request_id


def read_parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, SentPart]]:
    """The rows of `parts` that are as they were written; the others were none."""
    for number, size, etag, digests, request_id in rows:
        sound = type(number) is int and number > 0 and type(size) is int and size >= 0
        sound = sound and isinstance(etag, str) and isinstance(request_id, str | None)
        if sound and CRC32C in (values := digests_cell(digests)):
            yield number, SentPart(size, etag, values, request_id)


# Cells. A disk may have changed them, and SQLite holds any type in any column: each raises
# ValueError then.


def text_cell(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        raise ValueError("a cell has no text")  # noqa: TRY004  what is wrong is the file
    return value


def number_cell(value: object, *, least: int | None = None) -> int:
    """A whole number as `database.cell` wrote it; `least` or more, where that is given."""
    if not isinstance(value, int | bytes) or (least is not None and int(value) < least):
        raise ValueError("a cell has no such number")
    return int(value)


def time_cell(value: object) -> float:
    """Epoch seconds."""
    if not isinstance(value, int | float) or not 0 <= value <= LAST_MOMENT:
        raise ValueError("a cell has no time")
    return float(value)


def digests_cell(written: object) -> dict[str, bytes]:
    """What was written; nothing where a disk has made something else of it."""
    try:
        found = {
            name: bytes.fromhex(value) for name, value in read_object(text_cell(written)).items()
        }
    except (ValueError, TypeError):
        return {}
    sound = all(len(value) == SIZES.get(name) for name, value in found.items())
    return found if sound else {}
