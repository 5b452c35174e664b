"""The session on a clock in hand: no sleeps, a scripted auth service, real files."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ocihaul.clock import ServerClock
from ocihaul.errors import CredentialError, RenewalUnavailable, SessionExpiredError
from ocihaul.events import (
    CredentialRejected,
    Notice,
    RenewalFailed,
    SessionPaused,
    SessionResumed,
    TokenChanged,
)
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.policy import NOT_MOVED, Failed, NotExtended, Outcome, Refused, Renewed
from ocihaul.session.session import Session
from ocihaul.session.state import SessionStatus
from ocihaul.session.store import CredentialStore, TokenAndKey, write_private
from tests.support import NOW, Hand, Recorder, make_token, pem, rsa_key

HOUR = 3600.0


class Auth:
    """The refresh provider by script: outcomes in order, the last one for ever after."""

    def __init__(self, *script: Outcome | Callable[[], Outcome]) -> None:
        self.script = list(script)
        self.calls: list[int] = []

    def __call__(self, credential: Credential, _timeout: float) -> Outcome:
        self.calls.append(credential.generation)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return step() if callable(step) else step


def token(exp: float, *, iat: float | None = NOW, which: int = 0) -> SessionToken:
    return SessionToken.parse(make_token(rsa_key(which), iat=iat, exp=exp))


class Rig:
    """A session in a folder, at a time that the test decides."""

    def __init__(
        self,
        folder: Path,
        auth: Auth,
        *,
        first: SessionToken | None = None,
        session_wait: float = 0.0,
        store: CredentialStore | None = None,
        **more: Auth,
    ) -> None:
        self.folder, self.auth = folder, auth
        self.more, self.session_wait = more, session_wait
        self.hand, self.heard = Hand(), Recorder()
        self.store = store or self.another_store()
        self.put(first or token(NOW + HOUR))
        (folder / "key.pem").write_bytes(pem(rsa_key()))
        self.session = self.another(self.store)

    def another_store(self) -> CredentialStore:
        return CredentialStore(
            self.folder / "token", self.folder / "key.pem", sleep=self.hand.forward
        )

    def another(self, store: CredentialStore | None = None) -> Session:
        return Session(
            store or self.another_store(),
            {"refresh": self.auth, **self.more},
            clock=ServerClock(wall=self.hand, monotonic=self.hand, listener=self.heard),
            listener=self.heard,
            jitter=lambda: 0.5,
            timeout=60.0,
            session_wait=self.session_wait,
        )

    def put(self, token: SessionToken) -> None:
        write_private(self.folder / "token", token.raw.encode())

    def last_try(self) -> None:
        """A request of a session that seems over: the service answers 401 to it."""
        credential = self.session.credential()
        assert credential.generation == self.session.state.current.credential.generation
        self.session.handle_unauthorized(credential)

    def on_disk(self) -> str:
        return (self.folder / "token").read_text()

    def sources(self) -> list[str]:
        return [event.source for event in self.heard.events if isinstance(event, TokenChanged)]


def test_a_fresh_token_is_handed_out_as_it_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("never asked")))
    credential = rig.session.credential()
    assert credential.generation == 1
    assert credential.key_id == f"ST${rig.on_disk()}"
    assert rig.auth.calls == []


def test_half_way_through_it_is_renewed_and_written(tmp_path: Path) -> None:
    new = token(NOW + 2 * HOUR, iat=NOW + HOUR / 2)
    rig = Rig(tmp_path, Auth(Renewed(new)))
    rig.hand.forward(HOUR / 2 - 2)
    assert rig.session.credential().generation == 1
    rig.hand.forward(4)
    assert rig.session.credential().token == new
    assert rig.on_disk() == new.raw
    assert rig.auth.calls == [1]
    assert rig.sources() == ["start", "refresh"]


def test_what_another_process_renewed_is_adopted_without_a_call(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("never asked")))
    theirs = token(NOW + 2 * HOUR)
    rig.put(theirs)
    rig.hand.forward(1.1)
    assert rig.session.credential().token == theirs
    assert rig.auth.calls == []


def test_a_token_read_before_a_refresh_does_not_replace_the_fresh_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fresh one comes at the worst moment: between the judgement and the adoption."""
    rig = Rig(tmp_path, Auth(Failed("never asked")))
    state = rig.session.state
    judge = state.is_better
    fresh = TokenAndKey(token(NOW + 3 * HOUR), rsa_key())
    refresh = threading.Thread(target=lambda: state.adopt(fresh, "refresh", exhausted={}))

    def slow_judge(*args: object) -> bool:
        verdict = judge(*args)  # type: ignore[arg-type]  # passed on
        refresh.start()
        refresh.join(0.2)
        return verdict

    monkeypatch.setattr(state, "is_better", slow_judge)
    rig.put(token(NOW + 2 * HOUR))
    state.reload(state.current)
    refresh.join()
    assert rig.session.credential().token == fresh.token


def test_a_new_login_with_a_new_key_is_adopted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("never asked")))
    (tmp_path / "key.pem").write_bytes(pem(rsa_key(1)))
    rig.put(token(NOW + 2 * HOUR, which=1))
    rig.hand.forward(1.1)
    numbers = rig.session.credential().key.public_key().public_numbers()
    assert numbers == rsa_key(1).public_key().public_numbers()


def test_an_older_token_on_disk_is_not_adopted(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("never asked")))
    rig.put(token(NOW + HOUR / 2, iat=NOW - HOUR / 2))
    rig.hand.forward(1.1)
    assert rig.session.credential().generation == 1


def test_a_rejected_credential_is_renewed_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * HOUR))))
    first = rig.session.credential()
    assert rig.session.handle_unauthorized(first, "UploadPart")
    assert rig.session.credential().generation == 2
    assert len(rig.heard.of(CredentialRejected)) == 1


def test_a_rejected_old_credential_does_not_renew_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * HOUR))))
    first = rig.session.credential()
    for _ in range(15):
        assert rig.session.handle_unauthorized(first)
    assert rig.auth.calls == [1]


def test_a_rejection_looks_at_the_disk_before_it_asks(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("never asked")))
    first = rig.session.credential()
    rig.put(token(NOW + 2 * HOUR))
    assert rig.session.handle_unauthorized(first)
    assert rig.sources() == ["start", "file"]
    assert rig.auth.calls == []


def test_many_threads_and_one_rejection_make_one_call(tmp_path: Path) -> None:
    gate = threading.Event()

    def slowly() -> Outcome:
        gate.wait(5)
        return Renewed(token(NOW + 2 * HOUR))

    rig = Rig(tmp_path, Auth(slowly))
    first = rig.session.credential()
    answers: list[bool] = []
    threads = [
        threading.Thread(target=lambda: answers.append(rig.session.handle_unauthorized(first)))
        for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(10)
    assert answers == [True] * 30
    assert rig.auth.calls == [1]
    assert rig.session.credential().generation == 2


def test_an_outage_is_ridden_out_on_what_the_token_has_left(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("503"), Failed("503"), Renewed(token(NOW + 2 * HOUR))))
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().generation == 1
    assert rig.session.credential().generation == 1, "backing off: no second call at once"
    assert len(rig.auth.calls) == 1
    rig.hand.forward(61)
    rig.session.credential()
    rig.hand.forward(61)
    assert rig.session.credential().generation == 2
    assert len(rig.heard.of(RenewalFailed)) == 2


def test_in_its_last_tenth_a_token_is_renewed_before_it_is_used(tmp_path: Path) -> None:
    new = token(NOW + 2 * HOUR, iat=NOW + HOUR)
    rig = Rig(tmp_path, Auth(Renewed(new)))
    rig.hand.forward(HOUR - 60)
    assert rig.session.credential().token == new


def test_in_its_last_tenth_a_token_is_still_used_when_renewal_fails(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Failed("503")))
    rig.hand.forward(HOUR - 60)
    assert rig.session.credential().generation == 1


def test_an_auth_service_out_of_reach_for_too_long_is_an_error_that_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Failed("connection refused")))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    rig.hand.forward(HOUR + 1)
    with pytest.raises(RenewalUnavailable) as caught:
        rig.session.credential()
    assert caught.value.resumable


def test_a_session_that_refuses_is_used_to_its_end_and_then_expires(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("401 NotAuthenticated: session ended")))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().generation == 1
    rig.hand.forward(HOUR / 2 - 1)
    assert rig.session.credential().generation == 1
    rig.hand.forward(2)
    with pytest.raises(SessionExpiredError) as caught:
        rig.last_try()
    text = str(caught.value)
    assert "session ended" in text
    assert "2027-01-15 09:00:00 UTC" in text
    assert "ocihaul session login" in text
    assert rig.auth.calls == [1], "a refusal is final"


def test_a_local_clock_that_is_ahead_does_not_end_a_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    rig.hand.forward(2 * HOUR)
    for _ in range(3):  # the service accepts the token
        assert rig.session.credential().generation == 1
        rig.hand.forward(60)
    assert len(rig.auth.calls) == 1
    with pytest.raises(SessionExpiredError):
        rig.last_try()


def test_one_spurious_401_does_not_end_a_session_that_cannot_be_refreshed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    first = rig.session.credential()
    assert rig.session.handle_unauthorized(first)
    assert rig.session.credential() is first, "the same one again"
    assert rig.hand.time - NOW >= 2, "after the grace: somebody might have come to the rescue"
    with pytest.raises(SessionExpiredError):
        rig.session.handle_unauthorized(first)


def test_a_refresh_that_does_not_move_the_end_is_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_end = token(NOW + HOUR, iat=NOW + HOUR / 2)
    rig = Rig(tmp_path, Auth(NotExtended(same_end)))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == same_end, "the old one may have died of it"
    rig.hand.forward(HOUR / 4)
    rig.session.credential()
    assert len(rig.auth.calls) == 1
    rig.hand.forward(HOUR)
    with pytest.raises(SessionExpiredError, match="did not move"):
        rig.last_try()


def test_an_expired_session_comes_back_with_a_new_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    rig.hand.forward(HOUR + 1)
    with pytest.raises(SessionExpiredError):
        rig.last_try()
    (tmp_path / "key.pem").write_bytes(pem(rsa_key(1)))
    rig.put(token(NOW + 3 * HOUR, which=1))
    rig.hand.forward(1.1)
    assert rig.session.credential().generation == 2


def test_a_refusal_that_someone_else_caused_is_mended_by_their_token(tmp_path: Path) -> None:
    """Another refresher without a lock was faster: its token lands while ours is refused."""
    theirs = token(NOW + 2 * HOUR)

    def refused() -> Outcome:
        rig.put(theirs)
        return Refused("401")

    rig = Rig(tmp_path, Auth(refused))
    assert rig.session.handle_unauthorized(rig.session.credential())
    assert rig.session.credential().token == theirs


def test_where_the_file_cannot_be_written_the_token_is_kept_in_memory_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = token(NOW + 2 * HOUR)
    rig = Rig(tmp_path, Auth(Renewed(new)))

    def read_only(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("ocihaul.session.store.write_private", read_only)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == new
    (notice,) = rig.heard.of(Notice)
    assert "Read-only file system" in str(notice)
    rig.hand.forward(2)
    assert rig.session.credential().token == new, "the old one on disk does not come back"


def test_two_sessions_on_one_file_make_one_call(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * HOUR, iat=NOW + HOUR / 2))))
    other = rig.another()
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == other.credential().token
    assert len(rig.auth.calls) == 1


def test_a_token_that_is_expired_at_the_start_is_an_answer_not_a_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("401")), first=token(NOW - 1, iat=NOW - HOUR))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    with pytest.raises(SessionExpiredError, match="token, which ended at"):
        rig.last_try()


@pytest.mark.parametrize("life", [300.0, 86400.0], ids=["5 minutes", "24 hours"])
def test_lives_of_five_minutes_and_of_a_day(tmp_path: Path, life: float) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * life))), first=token(NOW + life))
    rig.hand.forward(life * 0.49)
    rig.session.credential()
    assert rig.auth.calls == []
    rig.hand.forward(life * 0.02)
    rig.session.credential()
    assert rig.auth.calls == [1]


def test_a_machine_that_slept_for_two_hours_renews_before_it_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 4 * HOUR, iat=NOW + 2 * HOUR))))
    rig.hand.forward(2 * HOUR)
    assert rig.session.credential().generation == 2


@pytest.mark.parametrize("how", ["a request", "the background"])
def test_a_wall_clock_that_jumps_by_two_hours_is_believed_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Suspended: the wall clock goes on, the monotonic one has stood still meanwhile."""
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 4 * HOUR, iat=NOW + 2 * HOUR))))
    wall, monotonic = Hand(), Hand()
    rig.session.state.clock = ServerClock(wall=wall, monotonic=monotonic)
    monkeypatch.setattr("ocihaul.session.renewer.LOOK_EVERY", 0.01)
    if how == "a request":
        wall.forward(2 * HOUR)
        assert rig.session.credential().generation == 2
    else:
        with rig.session:
            threading.Event().wait(0.1)
            assert rig.auth.calls == [], "nothing was due before"
            wall.forward(2 * HOUR)
            while rig.session.status().generation == 1:
                threading.Event().wait(0.01)
    assert rig.auth.calls == [1]
    assert monotonic.time == NOW


def test_a_token_without_iat_is_renewed_half_way_from_when_it_was_taken_up(tmp_path: Path) -> None:
    new = token(NOW + 2 * HOUR, iat=None)
    rig = Rig(tmp_path, Auth(Renewed(new)), first=token(NOW + HOUR, iat=None))
    rig.hand.forward(HOUR * 0.49)
    assert rig.session.credential().generation == 1
    rig.hand.forward(HOUR * 0.02)
    assert rig.session.credential().token == new
    rig.hand.forward(HOUR * 0.7)
    rig.session.credential()
    assert rig.auth.calls == [1], "its own life is counted anew"


def test_the_background_renews_without_a_request(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * HOUR))))
    adopted = threading.Event()
    hear = rig.session.state.listener

    def listen(event: object) -> None:
        hear(event)  # type: ignore[arg-type]  # events only
        if isinstance(event, TokenChanged):
            adopted.set()

    rig.session.state.listener = listen
    rig.hand.forward(HOUR / 2)
    with rig.session:
        assert adopted.wait(5)
    assert rig.auth.calls == [1]


def test_the_background_survives_a_round_that_fails_and_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []

    def broken() -> Outcome:
        rounds.append(1)
        if len(rounds) < 3:
            raise ZeroDivisionError("bug")
        return Renewed(token(NOW + 2 * HOUR))

    rig = Rig(tmp_path, Auth(broken))
    monkeypatch.setattr("ocihaul.session.renewer.LOOK_EVERY", 0.01)
    rig.hand.forward(HOUR / 2)
    with rig.session:
        while rig.session.status().generation == 1:
            threading.Event().wait(0.01)
    assert rig.sources() == ["start", "refresh"]
    assert len(rounds) == 3
    (notice,) = rig.heard.of(Notice)
    assert "ZeroDivisionError: bug" in str(notice)


def test_a_session_whose_background_never_started_is_renewed_by_requests(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * HOUR))))
    assert not [each for each in threading.enumerate() if each.name == "ocihaul-session"]
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().generation == 2


def test_a_background_that_has_died_is_replaced_by_requests(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Renewed(token(NOW + 2 * HOUR))))
    with rig.session:
        rig.session.state.stop.set()
        (thread,) = [each for each in threading.enumerate() if each.name == "ocihaul-session"]
        thread.join(10)
        assert not thread.is_alive()
        rig.session.state.stop.clear()
        rig.hand.forward(HOUR / 2)
        assert rig.session.credential().generation == 2


# The providers after refresh


def test_a_refresh_that_does_not_extend_is_followed_by_a_mint(tmp_path: Path) -> None:
    """A session made without a browser: its refresh answers 200 and changes nothing."""
    same_end = token(NOW + HOUR, iat=NOW + HOUR / 2)
    minted = token(NOW + HOUR * 1.5, iat=NOW + HOUR / 2)
    mint = Auth(Renewed(minted), Renewed(token(NOW + HOUR * 2.5, iat=NOW + HOUR)))
    rig = Rig(tmp_path, Auth(NotExtended(same_end)), mint=mint)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == minted
    assert rig.sources() == ["start", "mint"]
    rig.hand.forward(HOUR / 2)
    rig.session.credential()
    assert rig.sources() == ["start", "mint", "mint"]
    assert len(rig.auth.calls) == 1, "a minted session is not refreshed"


def test_a_mint_that_fails_after_a_refresh_that_moved_nothing_is_told_and_put_off(
    tmp_path: Path,
) -> None:
    """The refresh gave another token, which is used meanwhile; nobody has minted it."""
    same_end = token(NOW + HOUR, iat=NOW + HOUR / 2)
    mint = Auth(Failed("it hangs"), Renewed(token(NOW + 2 * HOUR)))
    rig = Rig(tmp_path, Auth(NotExtended(same_end)), mint=mint)
    rig.hand.forward(HOUR / 2)
    assert rig.session.credential().token == same_end
    assert rig.sources() == ["start", "refresh"]
    failed = [
        (each.provider, each.reason) for each in rig.heard.events if isinstance(each, RenewalFailed)
    ]
    assert failed == [("refresh", NOT_MOVED), ("mint", "it hangs")]
    assert rig.session.state.current.history.failures == 1, "backing off"
    rig.hand.forward(HOUR / 4 + 61)
    assert rig.session.credential().generation == 3
    assert rig.sources() == ["start", "refresh", "mint"]
    assert (len(rig.auth.calls), len(mint.calls)) == (1, 2)


def test_a_mint_that_refuses_after_a_refresh_that_moved_nothing_is_not_asked_again(
    tmp_path: Path,
) -> None:
    same_end = token(NOW + HOUR, iat=NOW + HOUR / 2)
    mint = Auth(Refused("no such user"))
    rig = Rig(tmp_path, Auth(NotExtended(same_end)), mint=mint)
    for _ in range(4):
        rig.hand.forward(HOUR / 2 if not mint.calls else HOUR / 8)
        assert rig.session.credential().token == same_end
    assert (len(rig.auth.calls), len(mint.calls)) == (1, 1)
    assert rig.session.renewal_error == f"refresh: {NOT_MOVED}; mint: no such user"


def test_a_refusal_is_followed_by_a_mint(tmp_path: Path) -> None:
    minted = token(NOW + 2 * HOUR)
    rig = Rig(tmp_path, Auth(Refused("session ended")), mint=Auth(Renewed(minted)))
    assert rig.session.handle_unauthorized(rig.session.credential())
    assert rig.session.credential().token == minted
    assert rig.on_disk() == minted.raw


def test_a_hiccup_of_the_refresh_does_not_mint_while_the_token_stands(tmp_path: Path) -> None:
    mint = Auth(Renewed(token(NOW + 2 * HOUR)))
    rig = Rig(tmp_path, Auth(Failed("503")), mint=mint)
    rig.hand.forward(HOUR / 2)
    rig.session.credential()
    assert mint.calls == []
    rig.hand.forward(HOUR / 2 + 1)
    rig.session.credential()
    assert len(mint.calls) == 1, "but it does when the token is gone"


def test_when_every_provider_refuses_each_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")), mint=Auth(Refused("no such user")))
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    assert rig.session.handle_unauthorized(rig.session.credential())
    with pytest.raises(SessionExpiredError, match="refresh: ended; mint: no such user"):
        rig.last_try()


def test_a_paused_session_goes_on_with_a_new_login_and_says_so_once_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")), session_wait=12 * HOUR)
    login = token(NOW + 4 * HOUR, iat=NOW + HOUR, which=1)

    def time_passes(seconds: float) -> None:
        rig.hand.forward(seconds)
        if rig.hand.time > NOW + HOUR + 300 and rig.on_disk() != login.raw:
            (tmp_path / "key.pem").write_bytes(pem(rsa_key(1)))
            rig.put(login)

    monkeypatch.setattr(rig.session.state, "wait", time_passes)
    rig.hand.forward(HOUR)
    rig.last_try()
    assert rig.session.credential().token == login
    said = [event for event in rig.heard.events if isinstance(event, SessionPaused)]
    assert len(said) == 5
    assert {event.until for event in said} == {said[0].until}
    assert said[0].until == pytest.approx(NOW + 13 * HOUR, abs=5)
    assert "ended" in said[0].reason
    assert len(rig.heard.of(SessionResumed)) == 1


def test_a_pause_ends_at_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")), session_wait=HOUR)
    monkeypatch.setattr(rig.session.state, "wait", rig.hand.forward)
    rig.hand.forward(HOUR)
    with pytest.raises(SessionExpiredError):
        rig.last_try()
    assert rig.hand.time == pytest.approx(NOW + 2 * HOUR, abs=10)


def test_a_pause_after_one_that_brought_no_login_is_a_pause_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that tries again later waits again: it is told, and until when."""
    rig = Rig(tmp_path, Auth(Refused("ended")), session_wait=700.0)
    seen: list[SessionStatus] = []

    def time_passes(seconds: float) -> None:
        seen.append(rig.session.status())
        rig.hand.forward(seconds)

    monkeypatch.setattr(rig.session.state, "wait", time_passes)
    rig.hand.forward(HOUR)
    with pytest.raises(SessionExpiredError):
        rig.last_try()
    rig.hand.forward(33.0)
    began, before = rig.hand.time, len(rig.heard.of(SessionPaused))
    seen.clear()
    with pytest.raises(SessionExpiredError):
        rig.session.credential()
    said = rig.heard.of(SessionPaused)[before:]
    assert [round(event.until - began) for event in said] == [700] * len(said)
    assert len(said) == 12
    assert all(each.paused for each in seen[1:])


def test_a_thread_that_waits_longer_than_the_first_is_still_paused(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")))
    state = rig.session.state
    until = rig.hand.time + 2.0
    assert state.pause(until, report_every=60.0) == until
    for _ in range(3):
        rig.hand.forward(1.0)
        assert state.pause(until + 4.5, report_every=60.0) is None, "it is reported as one"
    assert rig.session.status().paused_until == until + 4.5


def test_a_closed_session_that_has_expired_is_an_error_at_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Auth(Refused("ended")), session_wait=HOUR)
    looks = 0
    look = rig.session.state.reload_if_changed

    def counted(*, now: bool = False) -> None:
        nonlocal looks
        looks += 1
        assert looks < 100, "it does not wait, it spins"
        look(now=now)

    rig.session.state.reload_if_changed = counted  # type: ignore[method-assign]
    rig.hand.forward(HOUR / 2)
    rig.session.credential()  # refused: nothing can renew it any more
    rig.hand.forward(HOUR)
    rig.session.close()
    with pytest.raises(SessionExpiredError):
        rig.session.credential()


def test_an_unusable_pair_at_the_start_is_a_credential_error(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("cut")
    (tmp_path / "key.pem").write_bytes(pem(rsa_key()))
    store = CredentialStore(tmp_path / "token", tmp_path / "key.pem", sleep=lambda _: None)
    with pytest.raises(CredentialError):
        Session(store, {"refresh": Auth(Failed("never asked"))})


# What it says of itself


def test_its_status_is_a_value_that_tells_what_it_is_and_what_has_happened(tmp_path: Path) -> None:
    new = token(NOW + 2 * HOUR, iat=NOW + HOUR / 2)
    rig = Rig(tmp_path, Auth(Renewed(new)))
    before = rig.session.status()
    assert (before.at, before.expires_at, before.generation) == (NOW, NOW + HOUR, 1)
    assert (before.renewed_at, before.renewal_error, before.paused) == (None, None, False)
    assert before.usable
    rig.hand.forward(HOUR / 2)
    rig.session.credential()
    after = rig.session.status()
    assert (after.expires_at, after.generation) == (NOW + 2 * HOUR, 2)
    assert after.renewed_at == NOW + HOUR / 2
    assert before.generation == 1, "it does not change"
    with pytest.raises(AttributeError):
        after.generation = 3  # type: ignore[misc]  # that is the point
    assert new.raw not in repr(after)


def test_the_status_of_a_paused_session_says_why_and_until_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[SessionStatus] = []
    rig = Rig(tmp_path, Auth(Refused("ended")), session_wait=HOUR)

    def time_passes(seconds: float) -> None:
        seen.append(rig.session.status())
        rig.hand.forward(seconds)

    monkeypatch.setattr(rig.session.state, "wait", time_passes)
    rig.hand.forward(HOUR)
    with pytest.raises(SessionExpiredError):
        rig.last_try()
    paused = [each for each in seen if each.paused]
    assert paused
    assert paused[0].paused_until == pytest.approx(NOW + 2 * HOUR, abs=10)
    assert paused[0].renewal_error == "refresh: ended"
    assert not paused[0].usable
    rig.hand.forward(60)
    assert not rig.session.status().paused, "nobody waits any more"
