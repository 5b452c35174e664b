"""The journal's file: older versions are brought up to date, newer ones and damage are refused."""

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from ocihaul.errors import JournalError
from ocihaul.events import Notice
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.database import VERSION
from ocihaul.transfer.journal.journal import Journal, Target, open_journal
from ocihaul.transfer.monitor import Counts
from ocihaul.transfer.source import Identity
from tests.support import Recorder

TARGET = Target("http://e", "n", "b", "o")

#: The tables as the first version made them, with one upload of two parts.
FIRST_VERSION = """
PRAGMA journal_mode = WAL;
CREATE TABLE uploads (
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
CREATE TABLE parts (
    upload INTEGER NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    digests TEXT NOT NULL,
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
PRAGMA user_version = 1;
INSERT INTO uploads VALUES
    (7, 'http://e', 'n', 'b', 'o', 'u', '/f', 1, 2, 30, 4, 10, 'service', 'CRC32C', 1800000000.5);
INSERT INTO parts VALUES
    (7, 1, 10, 'e1', '{"CRC32C": "61626364"}'), (7, 2, 10, 'e2', '{"CRC32C": "65666768"}');
"""


def left_by(version: str, directory: Path) -> Path:
    path = directory / "journal.sqlite3"
    database = sqlite3.connect(path)
    database.executescript(version)
    database.close()
    return path


def test_a_file_of_the_first_version_is_gone_on_with(tmp_path: Path) -> None:
    left_by(FIRST_VERSION, tmp_path)
    with Journal(tmp_path) as journal:
        entry = journal.find(TARGET)
        assert entry is not None
        assert (entry.upload_id, entry.identity.size, entry.counts) == ("u", 30, Counts())
        assert journal.parts(entry) == {
            1: SentPart(10, "e1", {"CRC32C": b"abcd"}, None),
            2: SentPart(10, "e2", {"CRC32C": b"efgh"}, None),
        }
        third = SentPart(10, "e3", {"CRC32C": b"ijkl"}, "request")
        journal.record(entry, {3: third}, Counts(runs=2, renewals=1))
        assert journal.parts(entry)[3] == third
        found = journal.find(TARGET)
        assert found is not None
        assert found.counts == Counts(runs=2, renewals=1)
        row = journal.finish(TARGET, entry, etag="e", size=30, document="{}", owed=True)
        assert journal.entries() == []
        assert [each.row for each in journal.receipts()] == [row]
    with Journal(tmp_path) as journal:
        assert journal.receipt(row) == "{}"


def test_two_processes_bring_it_up_to_date_at_once(tmp_path: Path) -> None:
    left_by(FIRST_VERSION, tmp_path)
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            with Journal(tmp_path) as journal:
                assert journal.find(TARGET) is not None
        except Exception as error:  # noqa: BLE001  told below
            failures.append(error)

    threads = [Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_file_that_was_left_half_made_is_completed(tmp_path: Path) -> None:
    left_by("PRAGMA user_version = 1", tmp_path)
    with Journal(tmp_path) as journal:
        assert journal.entries() == []
        assert journal.receipts() == []


def test_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = left_by(f"PRAGMA user_version = {VERSION + 1}", tmp_path)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="newer version"):
        Journal(tmp_path)
    assert path.read_bytes()[:18] == before[:18]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_text("not a database " * 100)
    with pytest.raises(JournalError, match="OCIHAUL_STATE_DIR"):
        Journal(tmp_path)
    assert (tmp_path / "journal.sqlite3").read_text().startswith("not a database")


def test_an_upload_begins_with_the_parts_that_are_there_or_not_at_all(tmp_path: Path) -> None:
    part = SentPart(10, "e", {"CRC32C": b"abcd"})
    wishes = {
        "source": "/f",
        "identity": Identity(1, 2, 30, 4),
        "part_size": 10,
        "encryption": "service",
        "algorithm": "MD5",
    }
    with Journal(tmp_path) as journal:
        damaged = {1: part, 2: replace(part, etag=None)}  # type: ignore[arg-type]  # NOT NULL
        with pytest.raises(JournalError):
            journal.begin(TARGET, upload_id="u", parts=damaged, **wishes)  # type: ignore[arg-type]
        assert journal.find(TARGET) is None
        entry = journal.begin(TARGET, upload_id="u", parts={1: part}, **wishes)  # type: ignore[arg-type]
        assert journal.parts(entry) == {1: part}


def test_only_the_newest_receipt_of_an_object_can_be_owed(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        first = journal.finish(TARGET, None, etag="1", size=1, document="1", owed=True)
        assert journal.owed(TARGET) is not None
        journal.finish(TARGET, None, etag="2", size=1, document="2", owed=False)
        assert journal.owed(TARGET) is None
        assert journal.receipt(first) == "1"
        assert journal.drop_receipts(before=journal.receipts()[0].finished_at + 3600) == 2
        assert journal.receipts() == []
        assert journal.receipt(first) is None


def test_a_receipt_that_is_owed_is_not_dropped(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        owed = journal.finish(TARGET, None, etag="1", size=1, document="1", owed=True)
        later = journal.receipts()[0].finished_at + 3600
        assert journal.drop_receipts(before=later) == 0
        assert journal.owed(TARGET) is not None
        journal.handed_over(owed)
        assert journal.drop_receipts(before=later) == 1


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, -(2**63) - 1])
def test_numbers_of_a_file_system_may_be_larger_than_those_of_the_database(
    tmp_path: Path, number: int
) -> None:
    """mergerfs and network file systems have inodes of 64 bits, ext4 has times after 2262."""
    identity = Identity(device=number, inode=number, size=1, mtime_ns=number)
    with Journal(tmp_path) as journal:
        begun = journal.begin(
            TARGET,
            upload_id="u",
            source="/f",
            identity=identity,
            part_size=10,
            encryption="service",
            algorithm="CRC32C",
        )
        assert journal.find(TARGET) == begun
        assert begun.identity == identity


def test_finding_a21_flipped_bits_in_the_tables_names_are_our_own_error(tmp_path: Path) -> None:
    chance = random.Random(21)  # noqa: S311  which bits
    with Journal(tmp_path / "whole") as journal:
        journal.finish(TARGET, None, etag="e", size=1, document="{}", owed=True)
    whole = (tmp_path / "whole" / "journal.sqlite3").read_bytes()
    refused = 0
    for number in range(400):
        spoilt = bytearray(whole)
        # The first page holds the statements that made the tables.
        spoilt[chance.randrange(100, 4096)] ^= 1 << chance.randrange(8)
        directory = tmp_path / str(number)
        directory.mkdir()
        (directory / "journal.sqlite3").write_bytes(spoilt)
        try:
            with Journal(directory) as journal:
                journal.owed(TARGET)
        except JournalError:
            refused += 1
    assert refused > 10


def test_finding_a21_a_schema_with_flipped_bits_is_an_error_of_the_journal(tmp_path: Path) -> None:
    """SQLite tells of it in a text that need not be UTF-8."""
    with Journal(tmp_path):
        pass
    whole = (tmp_path / "journal.sqlite3").read_bytes()
    at = whole.index(b"CREATE TABLE uploads")
    refused: list[str] = []
    for place in range(at, at + 60):
        (tmp_path / "journal.sqlite3").write_bytes(
            whole[:place] + bytes([whole[place] ^ 0x80]) + whole[place + 1 :]
        )
        try:
            with Journal(tmp_path) as journal:
                journal.find(TARGET)
        except JournalError as error:
            refused.append(str(error))
    assert refused
    assert all(refused)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("part_size", "'x'"), ("part_size", "0"), ("part_size", "-5"), ("size", "x'61'")),
        *(("created_at", "9e99"), ("created_at", "'x'"), ("upload_id", "x'ff'")),
        *(("counts", "'[1]'"), ("counts", "'{\"runs\": 1e999}'"), ("attributes", "'[['")),
        *(("ctime_ns", "'soon'"), ("mtime_ns", "1.5"), ("bucket", "x'00'")),
    ],
)
def test_finding_a21_a_spoilt_cell_is_an_error_of_the_journal(
    tmp_path: Path, column: str, value: str
) -> None:
    with Journal(tmp_path) as journal:
        journal.begin(
            TARGET,
            upload_id="u",
            source="/f",
            identity=Identity(1, 2, 30, 4),
            part_size=10,
            encryption="service",
            algorithm="MD5",
            attributes={"contentType": "x"},
            ctime_ns=5,
        )
    with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database, database:
        changed = database.execute(f"UPDATE uploads SET {column} = {value}").rowcount  # noqa: S608
        assert changed == 1
    with Journal(tmp_path) as journal, pytest.raises(JournalError, match="cannot be used"):
        journal.entries()


def test_parts_of_another_form_were_none(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        entry = journal.begin(
            TARGET,
            upload_id="u",
            source="/f",
            identity=Identity(1, 2, 30, 4),
            part_size=10,
            encryption="service",
            algorithm="MD5",
            parts={number: SentPart(10, "e", {"CRC32C": b"abcd"}) for number in range(1, 6)},
        )
        with closing(sqlite3.connect(tmp_path / "journal.sqlite3")) as database, database:
            for number, change in enumerate(
                ("size = 'x'", "size = -1", "etag = x'ff'", 'digests = \'{"CRC32C": "61"}\''), 1
            ):
                database.execute(f"UPDATE parts SET {change} WHERE number = {number}")  # noqa: S608
        assert list(journal.parts(entry)) == [5]


def test_an_upload_goes_on_without_a_journal_whose_schema_is_spoilt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal(tmp_path):
        pass
    whole = (tmp_path / "journal.sqlite3").read_bytes()
    spoilt = whole.replace(b"CREATE TABLE uploads", b"CREATE T\xc1BLE uploads")
    assert spoilt != whole
    (tmp_path / "journal.sqlite3").write_bytes(spoilt)
    monkeypatch.setenv("OCIHAUL_STATE_DIR", str(tmp_path))
    heard = Recorder()
    with open_journal(heard) as journal:
        assert journal is None
    (notice,) = heard.of(Notice)
    assert "An interrupted upload will begin anew" in str(notice)
