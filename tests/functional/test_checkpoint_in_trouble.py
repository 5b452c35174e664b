"""What a run over a tree remembers is a help for the next run, and never what ends one."""

import sqlite3
from pathlib import Path

import pytest

from ocihaul.directories.checkpoint import DirectoryCheckpoint
from ocihaul.emulator import Fault
from tests.functional.directories import make, operations, run
from tests.world import World, world

NAMES = tuple("abcde")


def arguments(src: Path) -> list[str]:
    return ["bulk-upload", "--src-dir", str(src), "--overwrite", "--parallel-upload-count", "1"]


def interrupted(w: World, src: Path) -> None:
    """A run that has sent all but one."""
    w.oci.faults.add(Fault(operation="PutObject", object_name="e", status=403, code="NotNow"))
    assert run(w, *arguments(src)).code == 1


def full(*_: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


def test_a_disk_that_is_full_at_the_end_costs_the_memory_and_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        monkeypatch.setattr(DirectoryCheckpoint, "_commit", full)
        w.oci.faults.add(Fault(operation="PutObject", object_name="e", status=403, code="NotNow"))
        ran = run(w, *arguments(src))
        assert list(ran.json["upload-failures"]) == ["e"]
        assert sorted(ran.json["uploaded-objects"]) == ["a", "b", "c", "d"]
        assert "remembered" in ran.err


@pytest.mark.parametrize("spoilt", ["'{'", "'null'", "'[1]'", "'7'", "x'ff'"])
@pytest.mark.parametrize("column", ["headers", "mtime_ns", "size"])
def test_a_row_that_is_spoilt_is_none(tmp_path: Path, column: str, spoilt: str) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        interrupted(w, src)
        database = sqlite3.connect(w.home / "state" / "trees.sqlite3")
        database.execute(f"UPDATE files SET {column} = {spoilt} WHERE name = 'b'")  # noqa: S608
        database.commit()
        database.close()
        w.oci.log.clear()
        ran = run(w, *arguments(src))
        assert ran.code == 0, ran.err
        assert operations(w)["PutObject"] == 2, "the one that was spoilt, and the one that failed"
        assert sorted(ran.json["uploaded-objects"]) == list(NAMES)


def test_a_memory_that_cannot_be_read_any_more_costs_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        src = make(tmp_path / "src", *NAMES)
        interrupted(w, src)
        monkeypatch.setattr("ocihaul.directories.checkpoint.printable", full)
        ran = run(w, *arguments(src))
        assert ran.code == 0, ran.err
        assert "nothing can be remembered" in ran.err
        assert sorted(ran.json["uploaded-objects"]) == list(NAMES)
