"""The journal: one SQLite file for all uploads of a user, which survives a kill.

It has the uploads that are incomplete, and the receipts of those that are finished. A part is
recorded before it counts as done, and the intention to create an upload before the service is asked
for it. It never holds a token, a key or a signed URL: an SSE-C key appears only as its SHA-256, as
the service sends it too.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

from platformdirs import user_state_path

from ocihaul.errors import JournalError
from ocihaul.events import Listener, Notice
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.database import (
    ENTRY_COLUMNS,
    THIS_TARGET,
    Database,
    Entry,
    Intention,
    KeptReceipt,
    Target,
    cell,
    give_back,
    part_row,
    read_entry,
    read_parts,
    read_receipt_row,
    used_bytes,
)
from ocihaul.transfer.locks import claimed, is_held
from ocihaul.transfer.monitor import Counts
from ocihaul.transfer.source import Identity

__all__ = ["Entry", "Intention", "Journal", "KeptReceipt", "Target", "state_directory"]


#: Receipts that are kept of one object.
MOST_OF_AN_OBJECT = 10
#: What the journal's file may hold before the oldest receipts go, bytes: a night of 1,463 parts has
#: a receipt of about 380 KiB.
MOST_BYTES = 64 * 2**20
#: So many go at a time.
_SOME = 50


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

    # Incomplete uploads

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
        """Record an upload that is about to be created; a power cut cannot undo it."""
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
        """Record an upload that the service has just created; it replaces an older one.

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
        """Record parts that the service has right; a kill cannot undo it when this returns.

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
        """Forget an upload that is aborted, or gone."""
        with self._database.writing() as database:
            database.execute("DELETE FROM uploads WHERE id = ?", (entry.row,))

    def forget_intention(self, target: Target) -> None:
        """Forget an intention: the service has not created the upload."""
        with self._database.writing() as database:
            database.execute(f"DELETE FROM intentions {THIS_TARGET}", target.values())  # noqa: S608

    def private_file(self, target: Target, kind: str) -> Path:
        """The path of a file beside the journal, for what belongs to one upload."""
        return self._directory / f"{kind}-{target.digest}.json"

    # Locks

    @contextlib.contextmanager
    def claim(self, target: Target, *, wait: float) -> Iterator[None]:
        """Be the only process that uploads to this target, for as long as the context lasts.

        Raises TransferInProgressError after `wait` seconds, naming the holder, and JournalError.
        """
        with claimed(self._directory, f"upload-{target.digest}", target.object, wait=wait):
            yield

    def is_claimed(self, target: Target) -> bool:
        """Whether some process uploads to this target right now."""
        return is_held(self._directory, f"upload-{target.digest}")

    # Finished uploads: the receipts that are kept

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
        """Keep the receipt of an object, and forget its upload; return the receipt's row.

        `owed`: the receipt is still to be written to a file. Older receipts may go: of an object
        the newest MOST_OF_AN_OBJECT stay, and the oldest of all as long as the file holds more than
        MOST_BYTES; never one that is owed.
        """
        # A power cut that costs the receipt of one PutObject costs nothing else.
        with self._database.writing(lasting=owed or entry is not None) as database:
            # A newer receipt for the same object settles an older one that is owed.
            database.execute(
                f"UPDATE receipts SET owed = 0 {THIS_TARGET} AND owed",  # noqa: S608  our words
                target.values(),
            )
            row = database.execute(
                "INSERT INTO receipts (endpoint, namespace, bucket, object, etag, size, "
                "finished_at, owed, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*target.values(), etag, size, time.time(), owed, document),
            ).lastrowid
            if entry is not None:
                database.execute("DELETE FROM uploads WHERE id = ?", (entry.row,))
            database.execute(f"DELETE FROM intentions {THIS_TARGET}", target.values())  # noqa: S608
            _drop_old(database, target)
        return row or 0

    def handed_over(self, row: int) -> None:
        """Note that a receipt is in its file."""
        with self._database.writing() as database:
            database.execute("UPDATE receipts SET owed = 0 WHERE id = ?", (row,))

    def owed(self, target: Target) -> KeptReceipt | None:
        """The receipt that an earlier run could not write any more, if there is one."""
        rows = self._receipts(f"{THIS_TARGET} AND owed ORDER BY id DESC", *target.values())
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
        """Drop the receipts of uploads that finished before that moment (epoch seconds).

        One that is owed stays. Returns how many were dropped.
        """
        with self._database.writing() as database:
            count = database.execute(
                "DELETE FROM receipts WHERE finished_at < ? AND NOT owed", (before,)
            ).rowcount
        with self._database.reading() as database:
            give_back(database)
        return count

    def _receipts(self, where: str, *values: object) -> list[KeptReceipt]:
        columns = "id, endpoint, namespace, bucket, object, etag, size, finished_at, owed"
        with self._database.reading() as database:
            query = f"SELECT {columns} FROM receipts {where}"  # noqa: S608  our own words
            return [read_receipt_row(*row) for row in database.execute(query, values)]

    # Reading rows

    def _entries(self, where: str, *values: object) -> list[Entry]:
        with self._database.reading() as database:
            query = f"SELECT {ENTRY_COLUMNS} FROM uploads {where}"  # noqa: S608  our own words
            return [read_entry(*row) for row in database.execute(query, values)]


def _drop_old(database: sqlite3.Connection, target: Target) -> None:
    where = target.values()
    database.execute(
        f"DELETE FROM receipts {THIS_TARGET} AND NOT owed AND id <= "  # noqa: S608  our own words
        f"(SELECT id FROM receipts {THIS_TARGET} ORDER BY id DESC LIMIT 1 OFFSET ?)",
        (*where, *where, MOST_OF_AN_OBJECT),
    )
    while used_bytes(database) > MOST_BYTES:
        dropped = database.execute(
            "DELETE FROM receipts WHERE id IN "
            "(SELECT id FROM receipts WHERE NOT owed ORDER BY id LIMIT ?)",
            (_SOME,),
        ).rowcount
        if not dropped:
            return


def open_journal(listener: Listener) -> AbstractContextManager[Journal | None]:
    """Open the user's journal, as a context; None with a Notice where it cannot be opened.

    An upload works without it, but is not resumed.
    """
    try:
        return Journal(state_directory())
    except JournalError as error:
        text = f"An interrupted upload will begin anew: {error.message}. {error.hint}"
        listener(Notice(text))
        return nullcontext()
