"""What is done, on disk: the memory that survives a kill.

One SQLite file for all uploads of a user: those that are under way, and the receipts of those that
are finished. A part is recorded before it counts as done. It never holds a token, a key or a
signed URL: an SSE-C key appears only as its SHA-256, as the service sends it too.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from platformdirs import user_state_path

from ocihaul.documents import read_object
from ocihaul.transfer.checksum import CRC32C
from ocihaul.transfer.claims import claimed, is_held
from ocihaul.transfer.counting import Counts
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal import cells
from ocihaul.transfer.journal.database import Database, cell
from ocihaul.transfer.source import Identity


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
    will have (`headers.attributes_of`), None where another has begun the upload. `ctime_ns` is
    the source's, None where it is not known. `counts` are those of the runs before this one.
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
class KeptReceipt:
    """A finished upload; `owed`: its receipt was to be written to a file and is not there yet."""

    row: int
    target: Target
    etag: str
    size: int
    finished_at: float
    owed: bool


def state_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the journal lives: $OCIHAUL_STATE_DIR, else the user's state directory."""
    given = environ.get("OCIHAUL_STATE_DIR")
    if given:
        return Path(given).expanduser()
    try:
        usual = user_state_path("ocihaul")
    except RuntimeError:  # older releases of platformdirs return a path that begins with ~
        usual = Path("~")
    # A user without HOME and without an entry in passwd has / for a home, as docker says it.
    return usual if usual.is_absolute() else Path("/.local/state/ocihaul")


_THIS_TARGET = "WHERE endpoint = ? AND namespace = ? AND bucket = ? AND object = ?"

_INSERT_PART = (
    "INSERT OR REPLACE INTO parts (upload, number, size, etag, digests, request_id) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)


class Journal:
    """The journal in one directory; close it, or use it as a context.

    Thread-safe; several processes may have it open. Every method raises JournalError.
    """

    def __init__(self, directory: Path) -> None:
        """Open or make it. Raises JournalError when that is impossible."""
        self._directory = directory
        self._database = Database(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # What is under way

    def find(self, target: Target) -> Entry | None:
        """The unfinished upload to this target, if there is one."""
        rows = self._entries(_THIS_TARGET, *target.values())
        return rows[0] if rows else None

    def entries(self) -> list[Entry]:
        """All unfinished uploads, oldest first."""
        return self._entries("ORDER BY created_at")

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
        attributes: Mapping[str, object] | None = None,
        ctime_ns: int | None = None,
        parts: Mapping[int, SentPart] | None = None,
    ) -> Entry:
        """Remember an upload that the service has just created; it replaces an older one.

        `parts` are those that are there already. All of it is on disk when this returns.
        """
        entry = Entry(
            row=0,
            target=target,
            upload_id=upload_id,
            # A name that is not UTF-8 cannot be stored as text.
            source=source.encode(errors="backslashreplace").decode(),
            identity=identity,
            part_size=part_size,
            encryption=encryption,
            algorithm=algorithm,
            created_at=time.time(),
            attributes=attributes,
            ctime_ns=ctime_ns,
        )
        with self._database.writing() as database:
            database.execute(f"DELETE FROM uploads {_THIS_TARGET}", target.values())  # noqa: S608
            row = database.execute(
                "INSERT INTO uploads (endpoint, namespace, bucket, object, upload_id, source, "
                "device, inode, size, mtime_ns, part_size, encryption, algorithm, created_at, "
                "attributes, ctime_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(*target.values(), upload_id, entry.source),
                    *(cell(identity.device), cell(identity.inode)),
                    *(identity.size, cell(identity.mtime_ns)),
                    *(part_size, encryption, algorithm, entry.created_at),
                    None if attributes is None else json.dumps(attributes),
                    None if ctime_ns is None else cell(ctime_ns),
                ),
            ).lastrowid
            entry = replace(entry, row=row or 0)
            database.executemany(
                _INSERT_PART, (_row(entry, *each) for each in (parts or {}).items())
            )
        return entry

    def record(
        self, entry: Entry, parts: Mapping[int, SentPart], counts: Counts | None = None
    ) -> None:
        """Parts are at the service and right; a kill cannot undo it when this returns.

        `counts` are those of all runs up to now.
        """
        with self._database.writing() as database:
            database.executemany(_INSERT_PART, (_row(entry, *each) for each in parts.items()))
            if counts is not None:
                database.execute(
                    "UPDATE uploads SET counts = ? WHERE id = ?",
                    (json.dumps(asdict(counts)), entry.row),
                )

    def parts(self, entry: Entry) -> dict[int, SentPart]:
        """The finished parts by number; what cannot be read was none."""
        with self._database.reading() as database:
            rows = database.execute(
                "SELECT number, size, etag, digests, request_id FROM parts WHERE upload = ?",
                (entry.row,),
            ).fetchall()
        return dict(_parts(rows))

    def progress(self, entry: Entry) -> tuple[int, int]:
        """How many parts are finished, and their bytes."""
        with self._database.reading() as database:
            count, size = database.execute(
                "SELECT count(*), coalesce(sum(size), 0) FROM parts WHERE upload = ?", (entry.row,)
            ).fetchone()
        return count, size

    def forget(self, entry: Entry) -> None:
        """The upload is aborted, or gone."""
        with self._database.writing() as database:
            database.execute("DELETE FROM uploads WHERE id = ?", (entry.row,))

    def private_file(self, target: Target, kind: str) -> Path:
        """Where something that belongs to an upload can be kept apart from the journal."""
        return self._directory / f"{kind}-{target.digest}.json"

    # What is finished

    def finish(
        self,
        target: Target,
        entry: Entry | None,
        *,
        etag: str,
        size: int,
        document: str,
        owed: bool,
    ) -> int:
        """The object is there: keep its receipt, and forget the upload; returns the receipt's row.

        `owed`: the receipt is still to be written to a file.
        """
        with self._database.writing() as database:
            # A newer receipt for the same object settles an older one that is owed.
            database.execute(
                f"UPDATE receipts SET owed = 0 {_THIS_TARGET} AND owed",  # noqa: S608  our words
                target.values(),
            )
            row = database.execute(
                "INSERT INTO receipts (endpoint, namespace, bucket, object, etag, size, "
                "finished_at, owed, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*target.values(), etag, size, time.time(), owed, document),
            ).lastrowid
            if entry is not None:
                database.execute("DELETE FROM uploads WHERE id = ?", (entry.row,))
        return row or 0

    def handed_over(self, row: int) -> None:
        """The receipt is in its file."""
        with self._database.writing() as database:
            database.execute("UPDATE receipts SET owed = 0 WHERE id = ?", (row,))

    def owed(self, target: Target) -> KeptReceipt | None:
        """The receipt that an earlier run could not write any more, if there is one."""
        rows = self._receipts(f"{_THIS_TARGET} AND owed ORDER BY id DESC", *target.values())
        return rows[0] if rows else None

    def receipts(self) -> list[KeptReceipt]:
        """All receipts, oldest first."""
        return self._receipts("ORDER BY id")

    def receipt(self, row: int) -> str | None:
        """The document of one receipt; None when there is none."""
        with self._database.reading() as database:
            found = database.execute(
                "SELECT document FROM receipts WHERE id = ?", (row,)
            ).fetchone()
        return None if found is None else str(found[0])

    def drop_receipts(self, before: float) -> int:
        """Drop the receipts of uploads that finished before that moment (epoch seconds)."""
        with self._database.writing() as database:
            return database.execute(
                "DELETE FROM receipts WHERE finished_at < ?", (before,)
            ).rowcount

    # Who is at it

    @contextlib.contextmanager
    def claim(self, target: Target, *, wait: float) -> Iterator[None]:
        """Be the only process that uploads to this target, for as long as the context lasts.

        Raises UploadBusy after `wait` seconds, naming who has it, and JournalError.
        """
        with claimed(self._directory, f"upload-{target.digest}", target.object, wait=wait):
            yield

    def is_claimed(self, target: Target) -> bool:
        """Whether some process uploads to this target right now."""
        return is_held(self._directory, f"upload-{target.digest}")

    # Reading rows

    def _entries(self, where: str, *values: object) -> list[Entry]:
        columns = (
            "id, endpoint, namespace, bucket, object, upload_id, source, device, inode, size, "
            "mtime_ns, part_size, encryption, algorithm, created_at, counts, attributes, "
            "ctime_ns"
        )
        with self._database.reading() as database:
            query = f"SELECT {columns} FROM uploads {where}"  # noqa: S608  our own words
            return [_entry(*row) for row in database.execute(query, values)]

    def _receipts(self, where: str, *values: object) -> list[KeptReceipt]:
        columns = "id, endpoint, namespace, bucket, object, etag, size, finished_at, owed"
        with self._database.reading() as database:
            query = f"SELECT {columns} FROM receipts {where}"  # noqa: S608  our own words
            return [_kept(*row) for row in database.execute(query, values)]


def _entry(row: int, *columns: Any) -> Entry:
    """Raises ValueError where a disk has made something else of the row."""
    endpoint, namespace, bucket, name, upload_id, source = map(cells.text, columns[:6])
    part_size, encryption, algorithm, created_at, counts, attributes, ctime_ns = columns[10:]
    return Entry(
        row=row,
        target=Target(endpoint, namespace, bucket, name),
        upload_id=upload_id,
        source=source,
        identity=Identity(*map(cells.number, columns[6:10])),
        part_size=cells.number(part_size, least=1),
        encryption=cells.text(encryption),
        algorithm=cells.text(algorithm),
        created_at=cells.time(created_at),
        attributes=None if attributes is None else read_object(cells.text(attributes)),
        ctime_ns=None if ctime_ns is None else cells.number(ctime_ns),
        counts=Counts.from_document(read_object(cells.text(counts))),
    )


def _kept(row: int, *columns: Any) -> KeptReceipt:
    """Raises ValueError where a disk has made something else of the row."""
    endpoint, namespace, bucket, name, etag = map(cells.text, columns[:5])
    size, finished_at, owed = columns[5:]
    target = Target(endpoint, namespace, bucket, name)
    return KeptReceipt(
        row, target, etag, cells.number(size, least=0), cells.time(finished_at), bool(owed)
    )


def _row(entry: Entry, number: int, part: SentPart) -> tuple[object, ...]:
    digests = json.dumps({name: value.hex() for name, value in part.digests.items()})
    return entry.row, number, part.size, part.etag, digests, part.request_id


def _parts(rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[int, SentPart]]:
    """The rows that are as they were written; the others were none."""
    for number, size, etag, digests, request_id in rows:
        sound = type(number) is int and number > 0 and type(size) is int and size >= 0
        sound = sound and isinstance(etag, str) and isinstance(request_id, str | None)
        if sound and CRC32C in (values := cells.digests(digests)):
            yield number, SentPart(size, etag, values, request_id)
