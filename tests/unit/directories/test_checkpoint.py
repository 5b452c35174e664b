"""What an interrupted run had finished."""

import sqlite3
import time
from pathlib import Path

import pytest

from ocihaul.directories.checkpoint import DirectoryCheckpoint, Finished, run_key
from ocihaul.errors import JournalError

DONE = Finished(5, 7, {"etag": "e"})


def test_what_was_finished_is_known_to_the_next_run(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        assert not checkpoint.earlier
        checkpoint.add("a", DONE)
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        assert checkpoint.earlier
        assert checkpoint.finished("a") == DONE
        assert checkpoint.finished("b") is None


def test_another_run_knows_nothing_of_it(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        checkpoint.add("a", DONE)
    with DirectoryCheckpoint(tmp_path, "other") as checkpoint:
        assert checkpoint.finished("a") is None


def test_a_run_that_ended_well_leaves_nothing(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        checkpoint.add("a", DONE)
        checkpoint.forget()
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        assert not checkpoint.earlier


def test_a_full_batch_is_on_disk_at_once(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        for number in range(200):
            checkpoint.add(str(number), DONE)
        with DirectoryCheckpoint(tmp_path, "k") as other:
            assert other.finished("199") == DONE


def test_a_large_file_is_on_disk_at_once_with_all_before_it(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        checkpoint.add("small", DONE)
        checkpoint.add("large", Finished(2**20 + 1, 7, {}))
        with DirectoryCheckpoint(tmp_path, "k") as other:
            assert other.finished("large") is not None
            assert other.finished("small") == DONE


def test_it_is_private(tmp_path: Path) -> None:
    with DirectoryCheckpoint(tmp_path / "new", "k"):
        assert (tmp_path / "new" / "trees.sqlite3").stat().st_mode & 0o777 == 0o600


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "trees.sqlite3")
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(JournalError, match="newer version"):
        DirectoryCheckpoint(tmp_path, "k")


def test_a_ledger_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "trees.sqlite3").write_bytes(b"no database, but long enough to look like one" * 50)
    with pytest.raises(JournalError, match="OCIHAUL_STATE_DIR"):
        DirectoryCheckpoint(tmp_path, "k")


def test_every_fact_makes_another_run() -> None:
    assert run_key(a=1) != run_key(a=2)
    assert run_key(a=1, b=2) == run_key(b=2, a=1)


def test_a_time_may_be_after_the_end_of_the_databases_integers(tmp_path: Path) -> None:
    late = Finished(5, 2**63, {"etag": "e"})
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        checkpoint.add("a", late)
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        assert checkpoint.finished("a") == late


def test_a_run_is_forgotten_a_month_after_it_was_last_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86400.0
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        checkpoint.add("a", DONE)
    began = time.time()
    for days in (20, 40, 69):  # each time within 30 days of the one before
        monkeypatch.setattr(time, "time", lambda days=days: began + days * day)
        with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
            assert checkpoint.finished("a") == DONE
    monkeypatch.setattr(time, "time", lambda: began + 100 * day)
    with DirectoryCheckpoint(tmp_path, "other"):
        pass
    with DirectoryCheckpoint(tmp_path, "k") as checkpoint:
        assert not checkpoint.earlier
