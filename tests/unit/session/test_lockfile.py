"""The lock of a keeper: seen while it is given, gone with its process, never in anybody's way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocihaul.session.lockfile import Holder, KeeperLock, find_keepers, lock_file_for

#: Takes the lock, prints a line, and sleeps.
KEEPER = """
import sys, time
from pathlib import Path
from ocihaul.session.lockfile import KeeperLock
lock = KeeperLock(Path(sys.argv[1]))
lock.acquire()
print("taken", flush=True)
time.sleep(100)
"""


def keeper(token: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(token)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "taken\n"
    return process


def test_without_a_keeper_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert find_keepers(tmp_path / "token") == ()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_visible_until_it_is_released(tmp_path: Path) -> None:
    lock = KeeperLock(tmp_path / "token")
    for _ in range(2):
        lock.acquire()
        lock.acquire()  # once is enough
        assert [each.pid for each in find_keepers(tmp_path / "token")] in ([os.getpid()], [None])
        lock.release()
        lock.release()
        assert find_keepers(tmp_path / "token") == ()
    mark = lock_file_for(tmp_path / "token", "keepers")
    assert (mark.stat().st_mode & 0o777, mark.stat().st_size) == (0o600, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the holders of a lock")
def test_all_keepers_are_named_and_one_that_was_killed_is_not(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with keeper(token) as first, keeper(token) as second:
        assert {each.pid for each in find_keepers(token)} == {first.pid, second.pid}
        assert all("python" in (each.program or "") for each in find_keepers(token))
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert [each.pid for each in find_keepers(token)] == [second.pid]
        second.send_signal(signal.SIGKILL)
    assert find_keepers(token) == ()


def test_where_no_lock_can_be_taken_nothing_happens(tmp_path: Path) -> None:
    lock = KeeperLock(tmp_path / "nowhere" / "token")
    lock.acquire()
    assert find_keepers(tmp_path / "nowhere" / "token") == ()
    (tmp_path / "token.keepers").symlink_to(tmp_path / "elsewhere")
    lock = KeeperLock(tmp_path / "token")
    lock.acquire()
    assert not (tmp_path / "elsewhere").exists(), "a symbolic link is not followed"


def test_a_holder_that_cannot_be_seen_is_a_process() -> None:
    assert (str(Holder()), str(Holder(7, "ocihaul"))) == ("a process", "process 7 (ocihaul)")
