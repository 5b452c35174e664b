"""The lock of a keeper: seen while it is given, gone with its process, never in anybody's way."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocihaul.session.lockfile import Holder, KeeperLock, find_keepers, lock_file_for
from ocihaul.session.login.profile_files import _locked_config
from ocihaul.session.store import CredentialStore

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


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A file system without flock, such as Lustre; returns the operations that were refused."""
    met: list[int] = []

    def flock(_descriptor: int, operation: int) -> None:
        met.append(operation)
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", flock)
    return met


@pytest.mark.parametrize("left", [False, True])
def test_a_file_system_without_flock_is_no_neighbour_with_the_lock(
    tmp_path: Path, refused: list[int], left: bool
) -> None:
    """The lock file of an earlier run, or of another machine's, stays: it holds nothing."""
    token = tmp_path / "token"
    token.write_text("t")
    if left:
        lock_file_for(token).touch()
    with (
        pytest.raises(OSError, match="not implemented") as caught,
        CredentialStore(token, None).lock(10.0),
    ):
        pass
    assert caught.value.errno == errno.ENOSYS
    assert len(refused) == 1


def test_a_config_file_on_such_a_file_system_is_written_without_its_lock(
    tmp_path: Path, refused: list[int]
) -> None:
    config = tmp_path / "config"
    (tmp_path / "config.lock").touch()
    with _locked_config(config):
        config.write_text("[NIGHT]")
    assert len(refused) == 1
    assert (tmp_path / "config.lock").exists()


def test_the_probe_for_locks_disturbs_nobody_who_has_one(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("t")
    with CredentialStore(token, None).lock(1.0):
        held = os.open(lock_file_for(token), os.O_RDWR)
        try:
            fcntl.flock(held, fcntl.LOCK_UN)  # as the probe does
            with pytest.raises(BlockingIOError):
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(held)
