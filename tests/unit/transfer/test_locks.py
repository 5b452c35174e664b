"""Lock files: one holder at a time, although each removes the file behind itself."""

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocihaul.transfer.locks import HeldError, hold, is_held

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="lock files stay there")

_ROUNDS = 100


def count(lock: Path, counter: Path) -> None:
    """Add to a number in a file, which goes wrong as soon as two are at it."""
    for _ in range(_ROUNDS):
        while True:
            try:
                with hold(lock, wait=0):
                    counter.write_text(str(int(counter.read_text()) + 1))
                break
            except HeldError:
                continue


def test_one_at_a_time_and_no_file_stays(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=count, args=[tmp_path / "lock.lock", counter]) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert int(counter.read_text()) == 4 * _ROUNDS
    assert [path.name for path in tmp_path.iterdir()] == ["counter"]


def test_what_a_dead_process_left_is_used_again(tmp_path: Path) -> None:
    lock = tmp_path / "lock.lock"
    program = (
        "import sys, time; from pathlib import Path; from ocihaul.transfer.locks import hold\n"
        "with hold(Path(sys.argv[1]), wait=0): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(lock)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_held(tmp_path, "lock")
        with pytest.raises(HeldError, match=f"process {holder.pid} on"), hold(lock, wait=0.3):
            pass
        os.kill(holder.pid, signal.SIGKILL)
    assert lock.exists()
    assert not is_held(tmp_path, "lock")
    with hold(lock, wait=0):
        assert is_held(tmp_path, "lock")
    assert not lock.exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "lock.lock").symlink_to("mine")
    with pytest.raises(OSError, match="lock"), hold(tmp_path / "lock.lock", wait=0):
        pass
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_lock_that_was_removed_and_made_anew_is_not_removed_by_the_first(tmp_path: Path) -> None:
    """Somebody tidied up under a holder: the next one's lock is not to vanish with the first."""
    lock = tmp_path / "lock.lock"
    with hold(lock, wait=0):
        lock.unlink()
        second = hold(lock, wait=0)
        second.__enter__()  # it ends after the first
    assert lock.exists()
    assert is_held(tmp_path, "lock")
    second.__exit__(None, None, None)
    assert not lock.exists()
