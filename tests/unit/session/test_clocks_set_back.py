"""A renewal that failed while the clock was wrong does not wait for the wrong time."""

from email.utils import formatdate
from pathlib import Path

from ocihaul.clock import ServerClock
from ocihaul.session import policy
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.policy import Decision, Failed, History, Outcome, Renewed
from ocihaul.session.renewer import Renewer
from ocihaul.session.session import Session
from ocihaul.session.store import CredentialStore
from tests.support import NOW, Hand, make_token, pem, rsa_key

HOUR = 3600.0


def test_a_backoff_from_before_a_clock_was_set_back_is_over() -> None:
    token = SessionToken.parse(make_token(rsa_key()))
    history = History(since=NOW, failures=1, retry_at=NOW + 1800 + HOUR)
    assert policy.decide(NOW + 1800, token, history) is Decision.RENEW_SOON
    assert policy.retry_in(NOW + 1800, history) == 0


def test_a_failure_under_a_wrong_clock_does_not_hold_up_the_next_renewal(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    (tmp_path / "token").write_text(make_token(rsa_key()))
    hand = Hand(NOW + 1700 + HOUR)
    new = SessionToken.parse(make_token(rsa_key(), iat=NOW + 1700, exp=NOW + 1700 + HOUR))
    script: list[Outcome] = [Failed("no network yet"), Renewed(new)]

    def refresh(credential: Credential, timeout: float) -> Outcome:
        return script.pop(0)

    clock = ServerClock(wall=hand, monotonic=Hand())
    store = CredentialStore(tmp_path / "token", tmp_path / "key.pem", sleep=lambda _: None)
    session = Session(store, {"refresh": refresh}, clock=clock, timeout=0.0, jitter=lambda: 1.0)
    Renewer(session.state, {"refresh": refresh}).renew(1)
    assert session.state.current.history.failures == 1
    clock.observe(formatdate(NOW + 1700, usegmt=True))  # a storage answer sets the clock right
    assert session.handle_unauthorized(session.state.current.credential)
    assert session.credential().token == new
    assert not script
