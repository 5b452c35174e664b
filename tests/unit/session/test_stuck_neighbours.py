"""A process that is stopped with the lock in its hand, a lock that cannot be made."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ocihaul.clock import ServerClock
from ocihaul.events import Notice, RenewalFailed
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.policy import Outcome, Renewed
from ocihaul.session.session import Session
from ocihaul.session.store import CredentialStore, StoreBusy
from tests.support import Hand, Recorder, make_token, pem, rsa_key

HOUR = 3600.0


class Stuck(CredentialStore):
    """A store whose lock is never to be had."""

    error: Exception | None = None
    asked = 0

    @contextlib.contextmanager
    def lock(self, timeout: float, *, stopped: object = None) -> Iterator[None]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        yield


class Rig:
    """A session on such a store, and an auth service that works."""

    def __init__(self, home: Path, error: Exception) -> None:
        (home / "key.pem").write_bytes(pem(rsa_key()))
        (home / "token").write_text(make_token(rsa_key()))
        self.hand, self.heard, self.calls = Hand(), Recorder(), 0
        self.store = Stuck(home / "token", home / "key.pem", sleep=lambda _: None)
        self.store.error = error
        self.session = Session(
            self.store,
            {"refresh": self.refresh},
            clock=ServerClock(wall=self.hand, monotonic=self.hand),
            listener=self.heard,
            timeout=0.0,
        )

    def refresh(self, credential: Credential, timeout: float) -> Outcome:
        self.calls += 1
        now = self.hand()
        return Renewed(SessionToken.parse(make_token(rsa_key(), iat=now, exp=now + HOUR)))


NO_LOCKS = PermissionError(13, "Permission denied")
ERRORS = pytest.mark.parametrize("error", [StoreBusy(), NO_LOCKS])


def test_where_no_lock_can_be_made_nothing_is_put_off(tmp_path: Path) -> None:
    """Half an hour before the end an outage can be ridden out; two minutes before, it cannot."""
    rig = Rig(tmp_path, NO_LOCKS)
    rig.hand.forward(2400)
    assert rig.session.credential().generation == 2
    assert (rig.store.asked, rig.calls) == (1, 1)
    assert rig.heard.of(RenewalFailed) == []
    rig.hand.forward(2400)
    assert rig.session.credential().generation == 3
    assert len(rig.heard.of(Notice)) == 1, "said once"


def test_while_there_is_time_the_lock_is_waited_for(tmp_path: Path) -> None:
    rig = Rig(tmp_path, StoreBusy())
    rig.hand.forward(2400)
    rig.session.credential()
    assert (rig.store.asked, rig.calls) == (1, 0)
    assert len(rig.heard.of(RenewalFailed)) == 1


@ERRORS
def test_a_session_does_not_die_of_a_lock(tmp_path: Path, error: Exception) -> None:
    rig = Rig(tmp_path, error)
    rig.hand.forward(3590)
    assert rig.session.credential().generation == 2
    assert (rig.store.asked, rig.calls) == (1, 1)
    assert len(rig.heard.of(Notice)) == 1


@ERRORS
def test_a_rejected_token_is_renewed_without_the_lock(tmp_path: Path, error: Exception) -> None:
    rig = Rig(tmp_path, error)
    rig.hand.forward(10)
    assert rig.session.handle_unauthorized(rig.session.credential())
    assert rig.session.credential().generation == 2
    assert rig.calls == 1
