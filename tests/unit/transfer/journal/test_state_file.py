"""The files of the state directory: private, bounded, and on disk where it counts."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.directories import checkpoint
from ocihaul.directories.checkpoint import DirectoryCheckpoint, Finished
from ocihaul.transfer.journal.database import check_locks, durable, open_state_file
from ocihaul.transfer.journal.journal import MOST_OF_AN_OBJECT, Journal, Target
from ocihaul.transfer.receipt import check_place, write_receipt
from ocihaul.transfer.upload.incomplete import ParStore, StoredPar

RECEIPT = "{}" * 900
PAR = StoredPar("id", 1.0, "upload", "/p/uri", "name")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("wide", [0o666, 0o644, 0o660, 0o777])
@pytest.mark.usefixtures("no_umask")
def test_finding_a18_wide_files_are_narrowed(tmp_path: Path, wide: int) -> None:
    with Journal(tmp_path) as journal, DirectoryCheckpoint(tmp_path, "key") as remembered:
        journal.finish(target(0), None, etag="e", size=1, document="{}", owed=False)
        remembered.add("name", Finished(1, 1, {}))
        files = sorted(tmp_path.iterdir())
        assert [path.name for path in files] == [
            *("journal.sqlite3", "journal.sqlite3-shm", "journal.sqlite3-wal"),
            *("trees.sqlite3", "trees.sqlite3-shm", "trees.sqlite3-wal"),
        ]
        assert {mode(path) for path in files} == {0o600}
        for path in files:
            path.chmod(wide)
        # Another process opens them while the first one is at it.
        with Journal(tmp_path), DirectoryCheckpoint(tmp_path, "key"):
            assert {mode(path) & 0o077 for path in files} == {0}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_finding_a18_a_file_of_another_user_keeps_its_mode(tmp_path: Path) -> None:
    with Journal(tmp_path):
        pass
    path = tmp_path / "journal.sqlite3"
    path.chmod(0o660)
    os.chown(path, 12345, 12345)
    with Journal(tmp_path):
        assert mode(path) == 0o660


@pytest.mark.usefixtures("no_umask")
def test_finding_a18_the_file_of_a_par_is_narrowed_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "par.json"
    ParStore(path).save(PAR)
    assert mode(path) == 0o600
    path.chmod(0o666)
    assert ParStore(path).load() == PAR
    assert mode(path) == 0o600


@pytest.mark.parametrize(("umask", "expected"), [(0o000, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_finding_a18_nobody_else_may_write_a_receipt(
    tmp_path: Path, umask: int, expected: int
) -> None:
    path = tmp_path / "receipt"
    path.write_text("")
    path.chmod(0o666)
    before = os.umask(umask)
    try:
        check_place(path, None)
        write_receipt(path, "{}")
    finally:
        os.umask(before)
    assert mode(path) == expected


def target(number: int) -> Target:
    return Target("http://e", "n", "b", f"night-{number}")


def test_finding_b21_428_puts_of_five_names_leave_fifty_receipts(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        rows = [
            journal.finish(target(number % 5), None, etag="e", size=1, document=RECEIPT, owed=False)
            for number in range(428)
        ]
        kept = [each.row for each in journal.receipts()]
        assert kept == rows[-5 * MOST_OF_AN_OBJECT :], "the newest of each"
    assert (tmp_path / "journal.sqlite3").stat().st_size < 250_000


def test_finding_b21_a_receipt_that_is_owed_stays(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        owed = journal.finish(target(0), None, etag="e", size=1, document=RECEIPT, owed=True)
        for number in range(40):
            journal.finish(target(1), None, etag=str(number), size=1, document="{}", owed=False)
        found = journal.owed(target(0))
        assert found is not None
        assert found.row == owed


def test_finding_b21_dated_names_are_bounded_by_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ocihaul.transfer.journal.journal.MOST_BYTES", 2**20)
    with Journal(tmp_path) as journal:
        owed = journal.finish(target(0), None, etag="e", size=1, document=RECEIPT, owed=True)
        rows = [
            journal.finish(target(n), None, etag="e", size=1, document=RECEIPT, owed=False)
            for n in range(1, 1001)
        ]
        kept = [each.row for each in journal.receipts()]
        assert kept[0] == owed
        assert kept[1:] == rows[-len(kept) + 1 :], "the newest ones"
        assert len(kept) > 200
    assert (tmp_path / "journal.sqlite3").stat().st_size < 1.2 * 2**20


def test_finding_b21_what_is_cleaned_is_given_back(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for number in range(4):
            document = "x" * 3 * 2**20
            journal.finish(target(number), None, etag="e", size=1, document=document, owed=False)
        assert journal.drop_receipts(before=journal.receipts()[-1].finished_at + 1) == 4
    assert (tmp_path / "journal.sqlite3").stat().st_size < 2**20


def test_finding_b21_a_run_that_ended_well_gives_its_space_back(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path, "key") as remembered:
        for number in range(9000):
            remembered.add(f"{number:0600}", Finished(1, 1, {"etag": "e" * 30}))
        remembered.forget()
    assert (tmp_path / "trees.sqlite3").stat().st_size < 2**20


def test_finding_a05_a_directory_loses_seconds_to_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_DELAY", 0.0)
    path = tmp_path / "trees.sqlite3"
    with DirectoryCheckpoint(tmp_path, "key") as remembered:
        remembered.add("one", Finished(1, 1, {}))
        assert names_in_file_alone(path) == []
        monkeypatch.setattr(checkpoint, "_LASTING", 0.0)
        remembered.add("two", Finished(1, 1, {}))
        assert names_in_file_alone(path) == ["one", "two"]


def names_in_file_alone(path: Path) -> list[str]:
    """What a power cut leaves for certain; the tables may be in the log yet."""
    database = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
    try:
        return [name for (name,) in database.execute("SELECT name FROM files ORDER BY name")]
    except sqlite3.OperationalError:
        return []
    finally:
        database.close()


def test_durable_is_full_and_then_normal_again(tmp_path: Path) -> None:
    database = open_state_file(tmp_path / "x")
    with durable(database):
        assert database.execute("PRAGMA synchronous").fetchone() == (2,)
        database.execute("CREATE TABLE t (x UNIQUE)")
    assert database.execute("PRAGMA synchronous").fetchone() == (1,)
    with pytest.raises(sqlite3.IntegrityError), durable(database):
        database.executemany("INSERT INTO t VALUES (?)", [(1,), (1,)])
    assert database.execute("SELECT count(*) FROM t").fetchone() == (0,)
    assert database.execute("PRAGMA synchronous").fetchone() == (1,)
    database.close()


_WRITE = """
import sqlite3, sys

sqlite3.connect(sys.argv[1], timeout=0).execute("BEGIN IMMEDIATE")
"""


def test_to_open_it_twice_gives_up_no_lock_of_ours(tmp_path: Path) -> None:
    """To close a file gives up all locks that its process has on it: SQLite has some, too."""
    path = tmp_path / "journal.sqlite3"
    with Journal(tmp_path) as journal:
        for held in (True, False):
            with journal._database.writing() as database:
                if held:
                    database.execute("DELETE FROM receipts")
                Journal(tmp_path).close()
                check_locks(tmp_path)
                other = subprocess.run(
                    [sys.executable, "-c", _WRITE, path],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert ("locked" in other.stderr) is held, other.stderr
