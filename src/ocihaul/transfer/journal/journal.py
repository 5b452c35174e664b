"""What is done, on disk: the memory that survives a kill.

One SQLite file for all uploads of a user: those that are under way, and the receipts of those that
are finished (`finished`). A part is recorded before it counts as done, and that an upload is going
to be created before the service is asked for it. It never holds a token, a key or a
signed URL: an SSE-C key appears only as its SHA-256, as the service sends it too.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from platformdirs import user_state_path

from ocihaul.errors import JournalError
from ocihaul.events import Listener, Notice
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal.database import THIS_TARGET, Database, cell
from ocihaul.transfer.journal.kept_receipts import FinishedUploads
from ocihaul.transfer.journal.values import (
    ENTRY_COLUMNS,
    Entry,
    Intention,
    KeptReceipt,
    Target,
    part_row,
    read_entry,
    read_parts,
)
from ocihaul.transfer.locks import claimed, is_held
from ocihaul.transfer.source import Identity
from ocihaul.transfer.stats import Counts

__all__ = ["Entry", "Intention", "Journal", "KeptReceipt", "Target", "state_directory"]


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


_INSERT_PART = (
    "INSERT OR REPLACE INTO parts (upload, number, size, etag, digests, request_id) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)


class Journal(FinishedUploads):
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
        rows = self._entries(THIS_TARGET, *target.values())
        return rows[0] if rows else None

    def entries(self) -> list[Entry]:
        """All unfinished uploads, oldest first."""
        return self._entries("ORDER BY created_at")

    def intended(self, target: Target) -> Intention | None:
        """The upload that an earlier run was about to create, if there is one."""
        with self._database.reading() as database:
            row = database.execute(
                f"SELECT document FROM intentions {THIS_TARGET}",  # noqa: S608  our own words
                target.values(),
            ).fetchone()
        return None if row is None else Intention.read(row[0])

    def intend(self, target: Target, intention: Intention) -> None:
        """Remember an upload that is about to be created; a power cut cannot undo it."""
        with self._database.writing(lasting=True) as database:
            database.execute(
                "INSERT OR REPLACE INTO intentions (endpoint, namespace, bucket, object, document) "
                "VALUES (?, ?, ?, ?, ?)",
                (*target.values(), intention.text),
            )

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
        created_at: float | None = None,
        parts: Mapping[int, SentPart] | None = None,
    ) -> Entry:
        """Remember an upload that the service has just created; it replaces an older one.

        `parts` are those that are there already; `created_at` is epoch seconds, without it now.
        A power cut cannot undo it when this returns.
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
            created_at=time.time() if created_at is None else created_at,
            attributes=attributes,
            ctime_ns=ctime_ns,
        )
        with self._database.writing(lasting=True) as database:
            for table in ("uploads", "intentions"):
                where = f"DELETE FROM {table} {THIS_TARGET}"  # noqa: S608  our own words
                database.execute(where, target.values())
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
                _INSERT_PART, (part_row(entry, *each) for each in (parts or {}).items())
            )
        return entry

    def record(
        self, entry: Entry, parts: Mapping[int, SentPart], counts: Counts | None = None
    ) -> None:
        """Parts are at the service and right; a kill cannot undo it when this returns.

        `counts` are those of all runs up to now.
        """
        with self._database.writing() as database:
            database.executemany(_INSERT_PART, (part_row(entry, *each) for each in parts.items()))
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
        return dict(read_parts(rows))

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

    def forget_intention(self, target: Target) -> None:
        """The service has not created it."""
        with self._database.writing() as database:
            database.execute(f"DELETE FROM intentions {THIS_TARGET}", target.values())  # noqa: S608

    def private_file(self, target: Target, kind: str) -> Path:
        """Where something that belongs to an upload can be kept apart from the journal."""
        return self._directory / f"{kind}-{target.digest}.json"

    # Who is at it

    @contextlib.contextmanager
    def claim(self, target: Target, *, wait: float) -> Iterator[None]:
        """Be the only process that uploads to this target, for as long as the context lasts.

        Raises TransferInProgressError after `wait` seconds, naming who has it, and JournalError.
        """
        with claimed(self._directory, f"upload-{target.digest}", target.object, wait=wait):
            yield

    def is_claimed(self, target: Target) -> bool:
        """Whether some process uploads to this target right now."""
        return is_held(self._directory, f"upload-{target.digest}")

    # Reading rows

    def _entries(self, where: str, *values: object) -> list[Entry]:
        with self._database.reading() as database:
            query = f"SELECT {ENTRY_COLUMNS} FROM uploads {where}"  # noqa: S608  our own words
            return [read_entry(*row) for row in database.execute(query, values)]


def open_journal(listener: Listener) -> AbstractContextManager[Journal | None]:
    """The journal, as a context; without one an upload still works, but is not gone on with.

    That is said to `listener`.
    """
    try:
        return Journal(state_directory())
    except JournalError as error:
        text = f"An interrupted upload will begin anew: {error.message}. {error.hint}"
        listener(Notice(text))
        return nullcontext()
