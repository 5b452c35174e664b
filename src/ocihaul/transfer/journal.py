"""What is done, on disk: the memory that survives a kill.

One SQLite file for all uploads of a user. A part is recorded before it counts as done. It never
holds a token, a key or a signed URL: an SSE-C key appears only as its SHA-256, as the service
sends it too.
"""

import contextlib
import hashlib
import json
import os
import platform
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout
from platformdirs import user_state_path

from ocihaul.errors import JournalError, UploadBusy
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.source import Identity

_SCHEMA_VERSION = 1
_SCHEMA = """
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
) WITHOUT ROWID;
"""


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


@dataclass(frozen=True, slots=True)
class Entry:
    """An upload that was begun and not finished. Sizes are bytes, `created_at` epoch seconds.

    `encryption` says how its parts are encrypted, without the key.
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


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the journal lives: $OCIHAUL_STATE_DIR, else the user's state directory."""
    given = environ.get("OCIHAUL_STATE_DIR")
    return Path(given).expanduser() if given else user_state_path("ocihaul")


class Journal:
    """The journal in one directory; close it, or use it as a context.

    Thread-safe; several processes may have it open.
    """

    def __init__(self, directory: Path) -> None:
        """Open or make it. Raises JournalError when that is impossible."""
        self._directory = directory
        self._lock = threading.Lock()  # guards the connection
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = directory / "journal.sqlite3"
            # The file is made private before SQLite writes into it.
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=30, check_same_thread=False)
            try:
                self._prepare(path)
            except BaseException:
                self._database.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise JournalError(
                f"the journal in {directory} cannot be used: {error}",
                hint="Name a writable directory with OCIHAUL_STATE_DIR.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _prepare(self, path: Path) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._check_version(path)
        self._database.executescript(_SCHEMA)

    def _check_version(self, path: Path) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA_VERSION:
            raise JournalError(
                f"{path} was written by a newer version of ocihaul",
                hint="Use that version, or name another directory with OCIHAUL_STATE_DIR.",
            )
        self._database.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def find(self, target: Target) -> Entry | None:
        """The unfinished upload to this target, if there is one."""
        rows = self._select(
            "WHERE endpoint = ? AND namespace = ? AND bucket = ? AND object = ?",
            target.endpoint,
            target.namespace,
            target.bucket,
            target.object,
        )
        return rows[0] if rows else None

    def entries(self) -> list[Entry]:
        """All unfinished uploads, oldest first."""
        return self._select("ORDER BY created_at")

    def begin(
        self,
        target: Target,
        *,
        upload_id: str,
        source: str,
        identity: Identity,
        part_size: int,
        encryption: str,
        algorithm: str,
    ) -> Entry:
        """Remember an upload that the service has just created; it replaces an older one."""
        created_at = time.time()
        with self._writing() as database:
            database.execute(
                "DELETE FROM uploads "
                "WHERE endpoint = ? AND namespace = ? AND bucket = ? AND object = ?",
                (target.endpoint, target.namespace, target.bucket, target.object),
            )
            row = database.execute(
                "INSERT INTO uploads (endpoint, namespace, bucket, object, upload_id, source, "
                "device, inode, size, mtime_ns, part_size, encryption, algorithm, created_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(target.endpoint, target.namespace, target.bucket, target.object),
                    *(upload_id, source, identity.device, identity.inode, identity.size),
                    *(identity.mtime_ns, part_size, encryption, algorithm, created_at),
                ),
            ).lastrowid
        return Entry(
            row=row or 0,
            target=target,
            upload_id=upload_id,
            source=source,
            identity=identity,
            part_size=part_size,
            encryption=encryption,
            algorithm=algorithm,
            created_at=created_at,
        )

    def record(self, entry: Entry, number: int, part: SentPart) -> None:
        """A part is at the service and right; on disk when this returns."""
        digests = json.dumps({name: value.hex() for name, value in part.digests.items()})
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?, ?)",
                (entry.row, number, part.size, part.etag, digests),
            )

    def parts(self, entry: Entry) -> dict[int, SentPart]:
        """The finished parts by number."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT number, size, etag, digests FROM parts WHERE upload = ?", (entry.row,)
            ).fetchall()
        return {
            number: SentPart(
                size, etag, {name: bytes.fromhex(v) for name, v in json.loads(digests).items()}
            )
            for number, size, etag, digests in rows
        }

    def forget(self, entry: Entry) -> None:
        """The upload is finished, aborted, or gone."""
        with self._writing() as database:
            database.execute("DELETE FROM uploads WHERE id = ?", (entry.row,))

    def private_file(self, target: Target, kind: str) -> Path:
        """Where something that belongs to an upload can be kept apart from the journal."""
        return self._directory / f"{kind}-{target.digest}.json"

    @contextlib.contextmanager
    def claim(self, target: Target, *, wait: float) -> Iterator[None]:
        """Be the only process that uploads to this target, for as long as the context lasts.

        Raises UploadBusy after `wait` seconds, naming who has it.
        """
        path = self._directory / f"upload-{target.digest}.lock"
        lock = FileLock(path, timeout=wait, poll_interval=0.5, mode=0o600)
        owner = path.with_suffix(".owner")
        try:
            lock.acquire()
        except Timeout:
            who = _read(owner) or "another process"
            raise UploadBusy(
                f"{target.object!r} is already being uploaded by {who}",
                hint="Wait for it, or run again without --no-wait.",
            ) from None
        try:
            with contextlib.suppress(OSError):  # only told to others, nothing depends on it
                owner.write_text(f"process {os.getpid()} on {platform.node()}")
            yield
        finally:
            with contextlib.suppress(OSError):
                owner.unlink(missing_ok=True)
            lock.release()

    def _select(self, where: str, *values: object) -> list[Entry]:
        columns = (
            "id, endpoint, namespace, bucket, object, upload_id, source, device, inode, size, "
            "mtime_ns, part_size, encryption, algorithm, created_at"
        )
        with self._reading() as database:
            query = f"SELECT {columns} FROM uploads {where}"  # noqa: S608  our own words
            rows = database.execute(query, values).fetchall()
        return [
            Entry(row[0], Target(*row[1:5]), row[5], row[6], Identity(*row[7:11]), *row[11:15])
            for row in rows
        ]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as database, database:
            yield database

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                yield self._database
            except sqlite3.Error as error:
                raise JournalError(
                    f"the journal in {self._directory} cannot be used: {error}",
                    hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
                ) from error


def _read(path: Path) -> str | None:
    try:
        return path.read_text() or None
    except OSError:
        return None
