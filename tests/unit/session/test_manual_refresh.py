"""One refresh on demand: what is on disk afterwards, and what is said."""

import threading
from pathlib import Path

import pytest

from ocihaul.errors import RenewalUnavailable, SessionError, SessionExpiredError
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.policy import Failed, NotExtended, Outcome, Refused, Renewed
from ocihaul.session.providers import Refreshed, refresh_once
from ocihaul.session.store import CredentialStore, write_private
from tests.support import NOW, make_token, pem, rsa_key


def token(exp: float, iat: float = NOW) -> SessionToken:
    return SessionToken.parse(make_token(rsa_key(), iat=iat, exp=exp))


class Desk:
    """A pair on disk and an auth service by script."""

    def __init__(self, folder: Path, *script: Outcome) -> None:
        write_new = (folder / "token").write_text
        write_new(token(NOW + 3600).raw)
        (folder / "key.pem").write_bytes(pem(rsa_key()))
        self.store = CredentialStore(folder / "token", folder / "key.pem", sleep=lambda _: None)
        self.script = list(script)
        self.calls = 0

    def __call__(self, _credential: Credential, _timeout: float) -> Outcome:
        self.calls += 1
        return self.script.pop(0)

    def refresh(self) -> Refreshed:
        return refresh_once(self.store, self, timeout=2.0, attempts=3, jitter=lambda: 0.0)

    @property
    def on_disk(self) -> str:
        return self.store.token_file.read_text()


NEW = token(NOW + 7200)


def test_the_new_token_is_on_disk(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Renewed(NEW))
    assert desk.refresh() == Refreshed(NEW, by_another=False)
    assert desk.on_disk == NEW.raw
    assert desk.store.token_file.stat().st_mode & 0o777 == 0o600


def test_a_passing_failure_is_tried_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Failed("500"), Failed("cut"), Renewed(NEW))
    assert desk.refresh().token == NEW
    assert desk.calls == 3


def test_no_answer_after_all_attempts_can_be_run_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path, *[Failed("no answer")] * 3)
    with pytest.raises(RenewalUnavailable, match="no answer") as caught:
        desk.refresh()
    assert caught.value.resumable
    assert desk.on_disk == token(NOW + 3600).raw


def test_a_refusal_is_final(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Refused("401 NotAuthenticated: no"))
    with pytest.raises(SessionExpiredError, match="no longer valid and cannot be refreshed"):
        desk.refresh()
    assert desk.calls == 1


def test_a_token_that_lives_no_longer_is_kept_and_is_a_failure(tmp_path: Path) -> None:
    """The service may drop the old one when it gives a new one."""
    same = token(NOW + 3600, iat=NOW + 600)
    desk = Desk(tmp_path, NotExtended(same))
    with pytest.raises(SessionError, match="did not move the token's end"):
        desk.refresh()
    assert desk.on_disk == same.raw


def test_what_another_did_while_we_waited_is_not_done_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    held, release = threading.Event(), threading.Event()

    def another() -> None:
        with CredentialStore(tmp_path / "token", tmp_path / "key.pem").lock(1.0):
            held.set()
            release.wait(5)
            write_private(tmp_path / "token", NEW.raw.encode())

    thread = threading.Thread(target=another)
    thread.start()
    held.wait(5)
    threading.Timer(0.2, release.set).start()
    assert desk.refresh() == Refreshed(NEW, by_another=True)
    assert desk.calls == 0
    thread.join()


def test_a_token_that_could_not_be_kept_is_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk(tmp_path, Renewed(NEW))
    monkeypatch.setattr("ocihaul.session.providers.replaceable", lambda _: None)
    with pytest.raises(SessionError, match=r"was not refreshed: .*token cannot be written"):
        desk.refresh()
    assert desk.calls == 0
