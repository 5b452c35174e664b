"""The script in deploy/: dated names, one at a time, a log, a receipt, metrics."""

import fcntl
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.world import World, world

SCRIPT = Path(__file__).parents[2] / "deploy" / "backup" / "nightly-backup.sh"

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="there is no flock here")


def night(w: World, file: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run it with our command as `ocihaul`."""
    programs = w.home / "bin"
    programs.mkdir(exist_ok=True)
    command = programs / "ocihaul"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ocihaul "$@"\n')
    command.chmod(0o755)
    given = {"BACKUP_FILE": str(file), "BUCKET": "backups", "STATE": str(w.home / "kept")}
    given |= {"TZ": "Asia/Tokyo", "PATH": f"{programs}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", str(SCRIPT)],
        env={**w.environ(), **given, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def written(file: Path, moment: datetime, content: bytes) -> None:
    file.write_bytes(content)
    os.utime(file, (moment.timestamp(), moment.timestamp()))


@pytest.mark.slow
def test_each_night_has_its_object_its_receipt_and_its_line(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        file, kept = tmp_path / "db.tar.gz", tmp_path / "kept"
        # Half past midnight in Tokyo: another day than in UTC.
        written(file, datetime(2026, 11, 26, 15, 30, tzinfo=UTC), b"first")
        first = night(w, file)
        assert first.returncode == 0, first.stderr
        assert night(w, file).returncode == 0, "the same night again is good"
        written(file, datetime(2026, 11, 27, 15, 30, tzinfo=UTC), b"second")
        assert night(w, file).returncode == 0
        names = ["db-2026-11-27.tar.gz", "db-2026-11-28.tar.gz"]
        for name, content in zip(names, (b"first", b"second"), strict=True):
            (tmp_path / "wanted").write_bytes(content)
            assert w.arrived_whole(tmp_path / "wanted", name)
        assert sorted(each.name for each in (kept / "receipts").iterdir()) == [
            f"{name}.json" for name in names
        ]
        results = [
            line for line in (kept / "backup.log").read_text().splitlines() if "RESULT" in line
        ]
        assert [line.split("RESULT ")[1].split(",")[0] for line in results] == [
            "done",
            "kept",
            "done",
        ]
        assert "+09:00 backups/db-2026-11-27.tar.gz: " in results[0]
        assert "The run ended well." in (kept / "report.html").read_text()
        night(w, file, OCIHAUL_LOG_FORMAT="json")
        night(w, file, OCIHAUL_LOG_FORMAT="json")
        assert "The night ended well." in (kept / "report.html").read_text()
        assert "ocihaul_transfer_success" in (kept / "ocihaul-db.tar.gz.prom").read_text()
        assert (kept / "backup.log").stat().st_mode & 0o077 == 0


def test_another_file_of_the_same_day_is_a_failure(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        file, moment = tmp_path / "db", datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
        written(file, moment, b"first")
        assert night(w, file).returncode == 0
        written(file, moment, b"other")
        ran = night(w, file)
        assert ran.returncode == 1
        assert "THE OBJECT IS NOT THIS FILE" in ran.stderr


def test_one_at_a_time(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        file = tmp_path / "db"
        written(file, datetime(2026, 11, 26, 3, 0, tzinfo=UTC), b"first")
        (tmp_path / "kept").mkdir()
        with (tmp_path / "kept" / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            assert night(w, file).returncode == 75
        assert w.oci.log.count(operation="PutObject") == 0


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with world(tmp_path) as w:
        ran = night(w, tmp_path / "db", BACKUP_FILE="")
        assert ran.returncode != 0
        assert "BACKUP_FILE" in ran.stderr
