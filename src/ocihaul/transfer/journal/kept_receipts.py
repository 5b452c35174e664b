"""What is finished: the receipts that the journal keeps, and how many it keeps of them."""

import sqlite3
import time

from ocihaul.transfer.journal.database import THIS_TARGET, Database
from ocihaul.transfer.journal.state_file import give_back, used_bytes
from ocihaul.transfer.journal.values import Entry, KeptReceipt, Target, read_receipt_row

#: Receipts that are kept of one object.
MOST_OF_AN_OBJECT = 10
#: What the journal's file may hold before the oldest receipts go, bytes: a night of 1,463 parts has
#: a receipt of about 380 KiB.
MOST_BYTES = 64 * 2**20
#: So many go at a time.
_SOME = 50


class FinishedUploads:
    """The part of the journal that is about finished uploads."""

    _database: Database

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
        """The receipt is in its file."""
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
        """Drop the receipts of uploads that finished before that moment (epoch seconds)."""
        with self._database.writing() as database:
            count = database.execute(
                "DELETE FROM receipts WHERE finished_at < ?", (before,)
            ).rowcount
        with self._database.reading() as database:
            give_back(database)
        return count

    def _receipts(self, where: str, *values: object) -> list[KeptReceipt]:
        columns = "id, endpoint, namespace, bucket, object, etag, size, finished_at, owed"
        with self._database.reading() as database:
            query = f"SELECT {columns} FROM receipts {where}"  # noqa: S608  our own words
            return [read_receipt_row(*row) for row in database.execute(query, values)]


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
