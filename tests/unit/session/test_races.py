"""Others at the same files at the worst moment; forks, neighbours, owners, clocks."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from ocihaul.clock import ServerClock
from ocihaul.errors import CredentialError, SessionError
from ocihaul.session import store as store_module
from ocihaul.session.credential import SessionToken
from ocihaul.session.lockfile import KeeperLock
from ocihaul.session.login.profile_files import write_token
from ocihaul.session.policy import Failed, Renewed
from ocihaul.session.store import CredentialStore, TokenAndKey
from tests.support import NOW, Hand, make_token, pem, rsa_key
from tests.unit.session.test_session import HOUR, Auth, Rig, token

# Others at the same files


class LateStore(CredentialStore):
    """A store whose lock is taken only after something else has happened."""

    before_lock: Callable[[], object] | None = None

    @contextlib.contextmanager
    def lock(
        self, timeout: float, *, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        before, self.before_lock = self.before_lock, None
        if before is not None:
            before()
        with super().lock(timeout, stopped=stopped):
            yield


def test_a_token_that_was_adopted_a_moment_before_the_renewal_is_not_renewed_again(
    tmp_path: Path,
) -> None:
    store = LateStore(tmp_path / "token", tmp_path / "key.pem", sleep=lambda _: None)
    rig = Rig(tmp_path, Auth(Failed("never asked")), store=store)
    rig.hand.forward(HOUR / 2)
    theirs = token(NOW + 2 * HOUR, iat=NOW + HOUR / 2)

    def another_process_renews() -> None:
        rig.put(theirs)
        rig.session.state.reload(rig.session.state.current)

    store.before_lock = another_process_renews
    assert rig.session.credential().token == theirs
    assert rig.sources() == ["start", "file"]
    assert rig.auth.calls == [], "a fresh token was renewed, and the one that others use killed"


def test_of_two_threads_one_renews_and_the_other_waits_for_its_token(tmp_path: Path) -> None:
    state = Rig(tmp_path, Auth(Failed("never asked"))).session.state
    first = state.current
    assert state.begin_renewal(1) is first
    waited: list[object] = []
    other = threading.Thread(target=lambda: waited.append(state.begin_renewal(1)))
    other.start()
    fresh = TokenAndKey(token(NOW + 2 * HOUR), rsa_key())
    state.adopt(fresh, "refresh", exhausted={})
    state.end_renewal()
    other.join(10)
    assert waited == [None]
    assert state.begin_renewal(1) is None, "that generation is not current any more"
    assert state.begin_renewal(2) is state.current
    state.end_renewal()


def test_a_newer_token_that_is_written_right_after_ours_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By another machine on a share without locks, between our write and our look at it."""
    ours = token(NOW + 2 * HOUR, iat=NOW + HOUR / 2)
    theirs = token(NOW + 2 * HOUR + 60, iat=NOW + HOUR / 2 + 60)
    rig = Rig(tmp_path, Auth(Renewed(ours)))
    write = store_module.write_private
    followed: list[bool] = []

    def write_and_be_followed(path: Path, data: bytes) -> None:
        write(path, data)
        write(path, theirs.raw.encode())
        followed.append(True)

    monkeypatch.setattr(store_module, "write_private", write_and_be_followed)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == ours
    rig.hand.forward(1.1)
    assert rig.session.credential().token == theirs
    assert followed == [True]


def test_a_login_that_comes_while_our_token_is_on_its_way_to_be_held_is_not_replaced_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = token(NOW + 2 * HOUR, iat=NOW + HOUR / 2)
    login = TokenAndKey(token(NOW + 3 * HOUR, iat=NOW + HOUR / 2 + 1, which=1), rsa_key(1))
    rig = Rig(tmp_path, Auth(Renewed(ours)))
    state, replace = rig.session.state, rig.store.replace

    def replace_and_be_late(*args: Any, **kwargs: Any) -> str | None:
        problem = replace(*args, **kwargs)
        state.adopt(login, "file", exhausted={})  # as a request that looks at the disk does
        return problem

    monkeypatch.setattr(rig.store, "replace", replace_and_be_late)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == login.token
    assert rig.auth.calls == [1]


def test_a_token_that_was_minted_for_a_key_of_before_does_not_spoil_a_new_login(
    tmp_path: Path,
) -> None:
    store = CredentialStore(tmp_path / "token", tmp_path / "key.pem")
    login = make_token(rsa_key(1))
    (tmp_path / "key.pem").write_bytes(pem(rsa_key(1)))
    (tmp_path / "token").write_text(login)
    with pytest.raises(CredentialError, match="another login has replaced the key"):
        write_token(store, SessionToken.parse(make_token(rsa_key())))
    assert (tmp_path / "token").read_text() == login


# Forks

FORKED = """
import os, signal, sys, threading
from pathlib import Path
from ocihaul.clock import ServerClock
from ocihaul.session.policy import Renewed
from ocihaul.session.session import Session
from ocihaul.session.store import CredentialStore, TokenAndKey
from ocihaul.session.credential import SessionToken
from tests.support import NOW, Hand, make_token, rsa_key

home, case = Path(sys.argv[1]), sys.argv[2]
key = CredentialStore(home / "token", home / "key.pem").read_once().key
hand, asked, forked = Hand(), threading.Event(), threading.Event()
parent = os.getpid()

def refresh(credential, timeout):
    if os.getpid() == parent:
        asked.set()
        forked.wait(20)
    return Renewed(SessionToken.parse(make_token(key, exp=NOW + 7200)))

session = Session(
    CredentialStore(home / "token", home / "key.pem"),
    {"refresh": refresh},
    clock=ServerClock(wall=hand, monotonic=hand),
)
session.start()
hand.forward(3595)

def hold(*_):  # judged under the session's lock
    asked.set()
    forked.wait(20)
    return False

if case == "another thread holds the lock":
    pair = TokenAndKey(SessionToken.parse(make_token(key, exp=NOW + 9000)), key)
    adopt = lambda: session.state.adopt(pair, "file", exhausted={}, only_if=hold)
    threading.Thread(target=adopt, daemon=True).start()
else:
    threading.Thread(target=session.credential, daemon=True).start()
assert asked.wait(20)
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    import ocihaul.session.renewer
    ocihaul.session.renewer._LOCK_TIMEOUT = 0.5
    generation = session.credential().generation
    assert session.handle_unauthorized(session.credential()) if generation == 1 else True
    os._exit(0 if session.credential().generation >= 2 else 9)
if case == "the parent renews":
    forked.set()
_, status = os.waitpid(pid, 0)
forked.set()
session.close()
print("status", status)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    "case", ["the parent renews", "the parent hangs", "another thread holds the lock"]
)
def test_a_child_that_was_forked_in_mid_renewal_renews_by_itself(tmp_path: Path, case: str) -> None:
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "token").write_text(make_token(rsa_key()))
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path), case],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert (ran.returncode, ran.stdout) == (0, "status 0\n"), ran.stderr


# Neighbours


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Path]:
    """A home where somebody sits on the session's lock."""
    with FileLock(tmp_path / "token.lock", is_singleton=False):
        yield tmp_path


def test_a_stop_is_heard_while_a_neighbour_sits_on_the_lock(stuck: Path) -> None:
    rig = Rig(stuck, Auth(Failed("never asked")))
    session, first = rig.session, rig.session.credential()
    ended = threading.Event()

    def ask() -> None:
        try:
            session.handle_unauthorized(first)
        except SessionError:
            pass
        finally:
            ended.set()

    threading.Thread(target=ask, daemon=True).start()
    while not session.state.renewing:
        time.sleep(0.01)
    session.state.stop.set()
    assert ended.wait(5.0), "the lock was waited for"
    assert rig.auth.calls == []


def test_an_orderly_end_does_not_wait_for_a_neighbours_lock(stuck: Path) -> None:
    rig = Rig(stuck, Auth(Failed("never asked")))
    rig.hand.forward(HOUR / 2)
    with rig.session:
        while not rig.session.state.renewing:
            time.sleep(0.01)
        started = time.monotonic()
    assert time.monotonic() - started < 3.0
    assert rig.auth.calls == []


# Owners

OTHER = 65534
AS_ANOTHER = """
import encodings.ascii  # whoever follows may not be allowed to read it
import os, sys
from pathlib import Path
from ocihaul.session.lockfile import lock_file_for
from ocihaul.session.lockfile import find_keepers
from ocihaul.session.store import CredentialStore, StoreBusy

os.setgroups([])
os.setgid(int(sys.argv[2]))
os.setuid(int(sys.argv[2]))
token = Path(sys.argv[1])
print(lock_file_for(token))
try:
    with CredentialStore(token, None).lock(0.1):
        print("free")
except StoreBusy:
    print("busy")
print(len(find_keepers(token)))
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_root_and_the_owner_of_a_session_share_its_lock() -> None:
    """Root may renew a user's session, and must not take the lock file with it."""
    home = Path(tempfile.mkdtemp(prefix="ocihaul-owners-"))
    try:
        (home / "token").write_text(make_token(rsa_key()))
        for path in (home, home / "token"):
            os.chown(path, OTHER, OTHER)
        keeper = KeeperLock(home / "token")
        keeper.acquire()
        with CredentialStore(home / "token", None).lock(1.0):
            ran = subprocess.run(
                [sys.executable, "-c", AS_ANOTHER, str(home / "token"), str(OTHER)],
                capture_output=True,
                text=True,
                check=False,
            )
        keeper.release()
        assert ran.stdout.splitlines() == [f"{home}/token.lock", "busy", "1"], ran.stderr
    finally:
        shutil.rmtree(home)


# Clocks


def test_a_clock_that_is_set_back_does_not_make_a_token_live_longer(tmp_path: Path) -> None:
    """As at boot: hours ahead, learned so from an answer, then set right while nobody asks."""
    new = token(NOW + 2 * HOUR, iat=NOW + HOUR / 2)
    rig = Rig(tmp_path, Auth(Renewed(new)))
    wall, monotonic = Hand(NOW + 9 * HOUR), Hand(1000.0)
    clock = ServerClock(wall=wall, monotonic=monotonic)
    rig.session.state.clock = clock
    clock.observe(formatdate(NOW, usegmt=True))
    assert rig.session.credential().generation == 1
    wall.forward(-9 * HOUR)
    for each in (wall, monotonic):
        each.forward(HOUR / 2 + 5)
    assert clock.now() == pytest.approx(NOW + HOUR / 2 + 5, abs=1)
    assert rig.session.credential().token == new
    assert rig.auth.calls == [1]


def test_a_clock_that_is_put_forward_is_believed(tmp_path: Path) -> None:
    """A machine that slept: only its monotonic clock stood still."""
    wall, monotonic = Hand(), Hand(1000.0)
    clock = ServerClock(wall=wall, monotonic=monotonic)
    assert clock.now() == NOW
    wall.forward(2 * HOUR)
    assert clock.now() == NOW + 2 * HOUR
    for each in (wall, monotonic):
        each.forward(60)
    assert clock.now() == NOW + 2 * HOUR + 60


def test_what_a_service_says_counts_whatever_the_clock_has_done() -> None:
    wall, monotonic = Hand(), Hand(1000.0)
    clock = ServerClock(wall=wall, monotonic=monotonic)
    clock.now()
    wall.forward(-HOUR)
    clock.observe(formatdate(NOW - HOUR, usegmt=True))
    assert clock.now() == pytest.approx(NOW - HOUR, abs=1)
