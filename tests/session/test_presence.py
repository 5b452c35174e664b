"""The sign of a keeper: seen while it is given, gone with its process, never in anybody's way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ocihaul.session.lockfile import Holder, lock_file_for
from ocihaul.session.presence import Sign, keepers_of

#: Gives its sign, says so, and sleeps.
KEEPER = """
import sys, time
from pathlib import Path
from ocihaul.session.presence import Sign
sign = Sign(Path(sys.argv[1]))
sign.give()
print("given", flush=True)
time.sleep(100)
"""


def keeper(token: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPER, str(token)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "given\n"
    return process


def test_nobody_keeps_it_and_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    assert keepers_of(tmp_path / "token") == ()
    assert list(tmp_path.iterdir()) == []


def test_a_sign_is_there_until_it_is_taken_back(tmp_path: Path) -> None:
    sign = Sign(tmp_path / "token")
    for _ in range(2):
        sign.give()
        sign.give()  # once is enough
        assert [each.pid for each in keepers_of(tmp_path / "token")] in ([os.getpid()], [None])
        sign.take_back()
        sign.take_back()
        assert keepers_of(tmp_path / "token") == ()
    mark = lock_file_for(tmp_path / "token", "keepers")
    assert (mark.stat().st_mode & 0o777, mark.stat().st_size) == (0o600, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux names the holders of a lock")
def test_all_keepers_are_named_and_one_that_was_killed_is_not(tmp_path: Path) -> None:
    token = tmp_path / "token"
    with keeper(token) as first, keeper(token) as second:
        assert {each.pid for each in keepers_of(token)} == {first.pid, second.pid}
        assert all("python" in (each.program or "") for each in keepers_of(token))
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert [each.pid for each in keepers_of(token)] == [second.pid]
        second.send_signal(signal.SIGKILL)
    assert keepers_of(token) == ()


def test_where_no_sign_can_be_given_nothing_happens(tmp_path: Path) -> None:
    sign = Sign(tmp_path / "nowhere" / "token")
    sign.give()
    assert keepers_of(tmp_path / "nowhere" / "token") == ()
    (tmp_path / "token.keepers").symlink_to(tmp_path / "elsewhere")
    sign = Sign(tmp_path / "token")
    sign.give()
    assert not (tmp_path / "elsewhere").exists(), "a link that somebody has laid is not followed"


def test_a_holder_that_cannot_be_seen_is_a_process() -> None:
    assert (str(Holder()), str(Holder(7, "ocihaul"))) == ("a process", "process 7 (ocihaul)")
