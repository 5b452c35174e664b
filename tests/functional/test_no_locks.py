"""A state directory on a file system without locks costs the journal, a line, and no time."""

import errno
from pathlib import Path

import pytest

from ocihaul.emulator import Fault
from tests.functional.directories import command, make
from tests.nolocks import NoLocks
from tests.world import MIB, World, world

#: What such file systems answer: NFS without lockd, FUSE, and others.
ANSWERS = ["ENOLCK", "EOPNOTSUPP", "EINVAL"]


def no_locks(w: World, answer: str = "ENOLCK", below: str = "state") -> NoLocks:
    return NoLocks(w.home / "nolocks", w.home / below, getattr(errno, answer))


@pytest.mark.parametrize("answer", ANSWERS)
def test_finding_b02_a_put_asks_for_one_lock_and_goes_on_without_the_journal(
    tmp_path: Path, answer: str
) -> None:
    with world(tmp_path) as w:
        source, file_system = w.file(3), no_locks(w, answer)
        ran = w.run(*w.put(source), **file_system.environ)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert [line.split()[0] for line in file_system.asked()] == ["fcntl"]
        assert ran.err.count("has no locks") == 1
        assert "OCIHAUL_STATE_DIR" in ran.err


def test_finding_b02_an_upload_in_parts_does_so_too(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source, file_system = w.file(23 * MIB), no_locks(w)
        ran = w.run(*w.put(source), **file_system.environ)
        assert ran.code == 0, ran.err
        assert w.arrived_whole(source)
        assert len(file_system.asked()) == 1
        assert ran.err.count("has no locks") == 1


@pytest.mark.parametrize("name", ["sync", "bulk-upload"])
def test_finding_b02_a_directory_goes_up(tmp_path: Path, name: str) -> None:
    with world(tmp_path) as w:
        names = [f"d{number % 3}/{number}" for number in range(50)]
        src, file_system = make(tmp_path / "src", *names), no_locks(w)
        ran = w.run(*command(name, "--src-dir", str(src)), **file_system.environ)
        assert ran.code == 0, ran.err
        assert w.oci.object_names("backups") == sorted(names)
        # The journal, and what a directory's run remembers.
        assert len(file_system.asked()) <= 2
        assert 1 <= ran.err.count("has no locks") <= 2


def test_finding_b02_a_directory_comes_down(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        for number in range(20):
            w.oci.put_object("backups", str(number), b"data")
        file_system, target = no_locks(w), tmp_path / "down"
        down = command("sync", "--dest-dir", str(target))
        ran = w.run(*down, **file_system.environ)
        assert ran.code == 0, ran.err
        assert sorted(path.name for path in target.iterdir()) == sorted(map(str, range(20)))
        assert len(file_system.asked()) <= 2


def test_finding_b02_the_target_of_a_download_may_be_there(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        w.oci.put_object("backups", "one", b"data")
        file_system = no_locks(w, below="")
        target = tmp_path / "down"
        ran = w.run(*command("sync", "--dest-dir", str(target)), **file_system.environ)
        assert ran.code == 0, ran.err
        assert (target / "one").read_bytes() == b"data"
        assert file_system.asked()


@pytest.mark.parametrize("words", [("uploads", "--local"), ("receipts", "list")])
def test_finding_b02_what_is_about_the_journal_says_so(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    with world(tmp_path) as w:
        file_system = no_locks(w)
        ran = w.run(*words, **file_system.environ)
        assert ran.code == 1
        assert "has no locks" in ran.err
        assert "OCIHAUL_STATE_DIR" in ran.err
        assert len(file_system.asked()) == 1


@pytest.mark.slow
def test_finding_b02_a_journal_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        source = w.file(23 * MIB)
        w.oci.faults.add(Fault(operation="UploadPart", part_number=3, status=403, code="No"))
        assert w.run(*w.put(source)).code == 1
        w.oci.faults.assert_all_fired()
        there = (w.home / "state" / "journal.sqlite3").read_bytes()
        file_system = no_locks(w)
        ran = w.run(*w.put(source), **file_system.environ)
        assert ran.code == 0, ran.err
        assert (w.home / "state" / "journal.sqlite3").read_bytes() == there
        # The upload of the first run is still there, and named.
        (left,) = w.oci.uploads("backups")
        assert f"Upload {left.upload_id} " in ran.err


def test_finding_b02_a_session_is_renewed_without_a_lock(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        file_system = no_locks(w, below="oci")
        ran = w.run("session", "refresh", "--auth", "security_token", **file_system.environ)
        assert ran.code == 0, ran.err
        assert 1 <= len(file_system.asked()) <= 2
        assert w.refreshes() == 1
