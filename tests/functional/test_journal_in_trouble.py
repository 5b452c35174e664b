"""The journal's disk is full, its file is held by others, its bytes are spoilt."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocihaul.errors import JournalError, TransferCancelled
from ocihaul.events import Event, PartFinished
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.journal import Journal, Target
from ocihaul.transfer.locks import is_held
from ocihaul.transfer.source import Identity
from ocihaul.transfer.upload import state
from ocihaul.transfer.upload.upload import upload
from tests.functional.test_receipts import fill
from tests.functional.test_resume import again, interrupted_after, notices, parts_stored
from tests.world import PART, World, world


def make_room(journal: Journal) -> None:
    """What `fill` has taken is given back."""
    with journal._database.reading() as database:
        database.execute("PRAGMA max_page_count = 100000")


def stopped_after_trouble(w: World, source: Path, *, mended_after: int, stopped_after: int) -> str:
    """The disk is full from the second part on, for a while; then the run is stopped.

    Returns what it said at its end.
    """
    finished = 0
    request = w.request(source, parallel=1)
    with Journal(w.home / "state") as journal, w.storage() as storage:

        def listen(event: Event) -> None:
            nonlocal finished
            w.heard(event)
            if isinstance(event, PartFinished):
                finished += 1
                if finished == 2:
                    fill(journal)
                if finished == mended_after:
                    make_room(journal)
                if finished == stopped_after:
                    w.stop.set()

        with pytest.raises(TransferCancelled) as caught:
            upload(storage, request, listener=listen, stop=w.stop, journal=journal)
    w.stop.clear()
    return str(caught.value)


def fillers_dropped(w: World) -> None:
    with sqlite3.connect(w.home / "state" / "journal.sqlite3") as database:
        database.execute("DELETE FROM uploads WHERE endpoint = 'e'")
    database.close()


@pytest.mark.parametrize("wait", [0.0, 3600.0], ids=["with the next part", "at the end"])
def test_a_disk_that_was_full_for_a_while_costs_no_finished_part(
    tmp_path: Path, wait: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_RETRY_AFTER", wait)
    with world(tmp_path) as w:
        source = w.file(6 * PART)
        said = stopped_after_trouble(w, source, mended_after=4, stopped_after=5)
        assert "full" in notices(w)
        assert notices(w).count("nothing can be remembered") == 1
        assert "can be written again" in notices(w)
        assert "the same command, run again" in said
        fillers_dropped(w)
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4, 5, 6], "each part once"


def test_a_disk_that_stays_full_says_how_to_go_on_all_the_same(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        said = stopped_after_trouble(w, source, mended_after=99, stopped_after=3)
        assert "Resume with: `upload(" in said
        assert w.oci.uploads("backups")[0].upload_id in said
        assert notices(w).count("disk is full") == 1
        fillers_dropped(w)
        again(w, source)  # and the first part is not lost even so
        assert w.arrived_whole(source)
        assert parts_stored(w).count(1) == 1


@contextmanager
def other_connection(w: World, *statements: str) -> Iterator[sqlite3.Connection]:
    path = w.home / "state" / "journal.sqlite3"
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        for statement in statements:
            database.execute(statement).fetchone()
        yield database
    finally:
        database.close()


def test_a_long_reader_holds_nobody_up(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 1)
        with other_connection(w, "BEGIN", "SELECT * FROM parts"):
            again(w, source)
        assert w.arrived_whole(source)
        assert "remembered" not in notices(w)


def test_a_writer_that_holds_it_for_a_while_costs_no_finished_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_RETRY_AFTER", 0.0)
    with world(tmp_path) as w:
        source = w.file(5 * PART)
        interrupted_after(w, source, 1)
        finished = 0
        request = w.request(source, parallel=1)
        with (
            Journal(w.home / "state") as journal,
            w.storage() as storage,
            other_connection(w, "BEGIN IMMEDIATE") as other,
        ):
            with journal._database.reading() as connection:
                connection.execute("PRAGMA busy_timeout = 50")

            def listen(event: Event) -> None:
                nonlocal finished
                w.heard(event)
                finished += isinstance(event, PartFinished)
                if finished == 3 and isinstance(event, PartFinished):
                    other.execute("COMMIT")
                if finished == 4 and isinstance(event, PartFinished):
                    w.stop.set()

            with pytest.raises(TransferCancelled):
                upload(storage, request, listener=listen, stop=w.stop, journal=journal)
        w.stop.clear()
        assert "locked" in notices(w)
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("spoilt", ['{"CRC32C": "zz"}', "{", "[]", '{"CRC32B": "00000000"}', "7"])
def test_a_part_whose_row_is_spoilt_is_read_again_and_not_sent(tmp_path: Path, spoilt: str) -> None:
    with world(tmp_path) as w:
        source = w.file(4 * PART)
        interrupted_after(w, source, 3)
        with other_connection(w) as database:
            database.execute("UPDATE parts SET digests = ? WHERE number = 2", (spoilt,))
        again(w, source)
        assert w.arrived_whole(source)
        assert sorted(parts_stored(w)) == [1, 2, 3, 4]


@pytest.mark.parametrize("column", ["counts", "attributes"])
@pytest.mark.parametrize("spoilt", ["{", "[]", "7", "null"])
def test_an_upload_whose_row_is_spoilt_is_no_traceback(
    tmp_path: Path, column: str, spoilt: str
) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        interrupted_after(w, source, 1)
        with other_connection(w) as database:
            database.execute(f"UPDATE uploads SET {column} = '{spoilt}'")  # noqa: S608  our words
        again(w, source)
        assert w.arrived_whole(source)
        assert "nothing can be remembered" in notices(w)
        with Journal(w.home / "state") as journal:
            assert [kept.target.object for kept in journal.receipts()] == [source.name]


@pytest.mark.parametrize("table", ["parts", "receipts"])
def test_a_journal_of_which_a_part_is_gone_costs_the_memory_and_not_the_upload(
    tmp_path: Path, table: str
) -> None:
    with world(tmp_path) as w:
        source = w.file(2 * PART)
        interrupted_after(w, source, 1)
        with other_connection(w) as database:
            database.execute(f"DROP TABLE {table}")
        again(w, source, receipt=tmp_path / "receipt.json")
        assert w.arrived_whole(source)
        assert (tmp_path / "receipt.json").exists()
        assert "nothing can be remembered" in notices(w)


def test_somebody_who_only_looks_does_not_keep_a_run_away(tmp_path: Path) -> None:
    target = Target("http://e", "n", "b", "o")
    with Journal(tmp_path) as journal, Journal(tmp_path) as other:
        from threading import Thread  # noqa: PLC0415

        over: list[bool] = []

        def look() -> None:
            while not over:
                is_held(tmp_path, f"upload-{target.digest}")

        looker = Thread(target=look)
        with journal.claim(target, wait=0):
            pass  # the lock file is there
        looker.start()
        try:
            for _ in range(20):
                with other.claim(target, wait=0):
                    pass
        finally:
            over.append(True)
            looker.join()


def test_recording_says_what_cannot_be_written(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        entry = journal.begin(
            Target("http://e", "n", "b", "o"),
            upload_id="u",
            source="/f",
            identity=Identity(1, 2, 3, 4),
            part_size=1,
            encryption="service",
            algorithm="CRC32C",
        )
        fill(journal)
        with pytest.raises(JournalError, match="full") as caught:
            journal.record(entry, {1: SentPart(1, "e" * 5000, {"CRC32C": b"abcd"})})
        assert "OCIHAUL_STATE_DIR" in str(caught.value)
