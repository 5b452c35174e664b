"""Sessions under attack: stubborn auth services, jumping clocks, stuck neighbours, odd tokens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ocihaul.clock import ServerClock
from ocihaul.errors import SessionExpiredError
from ocihaul.events import RenewalFailed
from ocihaul.session import renewer
from ocihaul.session.credential import Credential
from ocihaul.session.policy import NotExtended, Outcome
from ocihaul.session.session import Session
from ocihaul.session.store import CredentialStore
from tests.support import Hand, Recorder, make_token, pem, rsa_key


def a_store(home: Path, token: str) -> CredentialStore:
    (home / "key.pem").write_bytes(pem(rsa_key()))
    (home / "token").write_text(token)
    return CredentialStore(home / "token", home / "key.pem", sleep=lambda _: None)


class Auth:
    """A refresh provider that answers what it is told, and counts."""

    def __init__(self, answer: Callable[[Credential], Outcome]) -> None:
        self.calls = 0
        self._answer = answer

    def __call__(self, credential: Credential, timeout: float) -> Outcome:
        self.calls += 1
        return self._answer(credential)


def same_again(credential: Credential) -> Outcome:
    assert credential.token is not None
    return NotExtended(credential.token)


def test_a_refresh_that_returns_the_very_same_token_is_not_asked_again(tmp_path: Path) -> None:
    hand, auth, heard = Hand(), Auth(same_again), Recorder()
    clock = ServerClock(wall=hand, monotonic=hand)
    store = a_store(tmp_path, make_token(rsa_key()))
    session = Session(store, {"refresh": auth}, clock=clock, listener=heard)
    hand.forward(2400)
    for _ in range(5):
        assert session.credential().generation == 1
    assert auth.calls == 1
    assert len(heard.of(RenewalFailed)) == 1
    hand.forward(1000)  # in the last tenth: it cannot be renewed, but it stands
    assert session.credential().generation == 1
    assert auth.calls == 1


def test_a_rejected_token_that_refresh_returns_again_is_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewer, "_RESCUE_TIMEOUT", 0.0)
    auth = Auth(same_again)
    clock = ServerClock(wall=Hand(), monotonic=Hand())
    session = Session(
        a_store(tmp_path, make_token(rsa_key())), {"refresh": auth}, clock=clock, timeout=0.2
    )
    assert session.handle_unauthorized(session.credential()), "one last try"
    with pytest.raises(SessionExpiredError, match="did not move"):
        session.handle_unauthorized(session.credential())
    assert auth.calls == 1
