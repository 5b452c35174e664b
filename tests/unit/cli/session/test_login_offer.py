"""When a login is offered, and when not: the core's login replaced by one in hand."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ocihaul.cli.session import login as session_login
from ocihaul.cli.session import login_offer
from ocihaul.cli.session.login_offer import LoginOffer
from ocihaul.config import Flags, Settings, resolve
from ocihaul.errors import LoginError, OcihaulError, TransferCancelled, UsageError
from ocihaul.events import LoginOffered, Notice, SessionPaused, SessionResumed
from ocihaul.session.credential import SessionToken
from ocihaul.session.login.profile_files import NewSession
from ocihaul.session.store import load_key, private_pem
from tests.support import Recorder, make_token, rsa_key

UNTIL = time.time() + 3600


class Login:
    """The core's login: waits for `answer` to be given, unless it is told to stop."""

    def __init__(self) -> None:
        self.answer: NewSession | OcihaulError | None = None
        self.asked: list[dict[str, Any]] = []

    def __call__(self, page: str, *, show: Callable[[str, int], None], **asked: Any) -> NewSession:
        self.asked.append(asked | {"page": page})
        show(f"{page}/v1/oauth2/authorize?public_key=eyJrdHkiOiAiUlNBIn0", asked["port"])
        while self.answer is None:
            if asked["stop"].is_set():
                raise TransferCancelled("the login was stopped")
            time.sleep(0.01)  # as a browser's answer: it comes from another thread
        answer, self.answer = self.answer, None
        if isinstance(answer, OcihaulError):
            raise answer
        return answer


class Rig:
    """An offer for a profile in `home`."""

    def __init__(self, home: Path, login: Login, *, more: str = "", name: str = "token") -> None:
        self.home, self.login = home, login
        self.heard, self.stop = Recorder(), threading.Event()
        files = home / "files"
        files.mkdir()
        self.key_file, self.token_file = files / "oci_api_key.pem", files / name
        self.key_file.write_bytes(private_pem(rsa_key(), "x" if "pass_phrase" in more else None))
        self.token_file.write_text(make_token(rsa_key()))
        self.config = home / "config"
        self.config.write_text(
            f"[NIGHT]\nregion=eu-frankfurt-1\nkey_file={self.key_file}\n"
            f"security_token_file={self.token_file}\n{more}"
        )
        self.offer = LoginOffer(
            self.settings(), self.heard, self.stop, environ={}, home=home / "empty"
        )

    def settings(self, **flags: Any) -> Settings:
        given = {"config_file": str(self.config), "profile": "NIGHT", "auth": "security_token"}
        return resolve(Flags(**(given | flags)), {}, self.home)

    def paused(self, until: float = UNTIL) -> None:
        self.offer(SessionPaused("over", until))

    def settles(self) -> None:
        """Wait for the login under way, if there is one."""
        for thread in threading.enumerate():
            if thread.name == "login":
                thread.join(10)

    def notices(self) -> list[str]:
        return [event.text for event in self.heard.events if isinstance(event, Notice)]


def session(tenancy: str | None = None) -> NewSession:
    key = rsa_key(1)
    return NewSession(SessionToken.parse(make_token(key, tenant=tenancy)), key.public_key(), key)


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Login:
    double = Login()
    monkeypatch.setattr(session_login, "run_browser_login", double)
    monkeypatch.setattr(login_offer, "at_terminal", lambda: True)
    return double


@pytest.fixture
def rig(tmp_path: Path, login: Login) -> Iterator[Rig]:
    made = Rig(tmp_path, login)
    yield made
    made.stop.set()
    made.settles()


def test_it_is_offered_once_however_often_the_park_is_said(rig: Rig) -> None:
    for _ in range(3):
        rig.paused()
    new = session()
    rig.login.answer = new
    rig.settles()
    (asked,) = rig.login.asked
    assert asked["page"] == "https://login.eu-frankfurt-1.oraclecloud.com"
    assert asked["port"] == 8181
    assert asked["timeout"] == pytest.approx(UNTIL - time.time(), abs=60), (
        "as long as the pause lasts"
    )
    (offered,) = rig.heard.of(LoginOffered)
    assert isinstance(offered, LoginOffered)
    assert (offered.opened, "ssh -L 8181:" in str(offered.tunnel)) == (False, True)
    assert rig.token_file.read_text() == new.token.raw
    assert rig.notices() == []


def test_it_ends_with_the_park_and_comes_again_with_the_next(rig: Rig) -> None:
    rig.paused()
    rig.offer(SessionResumed())
    rig.settles()
    rig.paused(UNTIL + 1)
    rig.login.answer = session()
    rig.settles()
    assert len(rig.login.asked) == 2
    assert rig.notices() == []


def test_a_command_that_is_told_to_stop_ends_it(rig: Rig) -> None:
    rig.paused()
    rig.stop.set()
    rig.settles()
    assert rig.notices() == []


def test_a_no_is_final_for_this_park(rig: Rig) -> None:
    rig.paused()
    rig.login.answer = LoginError("the login page answered: access_denied")
    rig.settles()
    rig.paused()
    rig.settles()
    assert len(rig.login.asked) == 1
    assert "access_denied" in rig.notices()[0]


def test_a_taken_port_is_tried_again_and_told_once(rig: Rig) -> None:
    for _ in range(3):
        rig.paused()
        rig.login.answer = OcihaulError("port 8181 of 127.0.0.1 is taken")
        rig.settles()
    assert len(rig.login.asked) == 3
    assert len(rig.notices()) == 1


def test_a_login_to_another_tenancy_is_not_written(tmp_path: Path, login: Login) -> None:
    ours, theirs = (f"ocid1.tenancy.oc1..{name * 20}" for name in "ab")
    rig = Rig(tmp_path, login, more=f"tenancy={ours}\n")
    before = rig.token_file.read_text()
    rig.paused()
    login.answer = session(theirs)
    rig.settles()
    assert rig.token_file.read_text() == before
    assert theirs in rig.notices()[0]


def test_the_new_key_is_protected_as_the_old_one_was(tmp_path: Path, login: Login) -> None:
    rig = Rig(tmp_path, login, more="pass_phrase=xyzzy\n")
    rig.paused()
    login.answer = session()
    rig.settles()
    pem = rig.key_file.read_bytes()
    assert b"ENCRYPTED" in pem
    load_key(pem, where="the key", passphrase="xyzzy")
    assert "pass_phrase=xyzzy\n" in rig.config.read_text()


def test_files_that_a_login_would_call_otherwise_are_left_alone(
    tmp_path: Path, login: Login
) -> None:
    rig = Rig(tmp_path, login, name="my-token")
    rig.paused()
    rig.settles()
    assert login.asked == []
    assert "are not called oci_api_key.pem and token" in rig.notices()[0]


def test_without_a_terminal_it_says_so_once(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_offer, "at_terminal", lambda: False)
    for _ in range(3):
        rig.paused()
        rig.settles()
    assert rig.login.asked == []
    (said,) = rig.notices()
    assert "no terminal" in said


def test_it_is_wished_for_by_flag_variable_or_rc_file_and_by_nothing_else(tmp_path: Path) -> None:
    rig = Rig(tmp_path, Login())
    assert not rig.settings().session_options.login
    assert rig.settings(login="auto").session_options.login
    assert not rig.settings(login="never").session_options.login
    flags = Flags(config_file=str(rig.config), profile="NIGHT", auth="security_token")
    assert resolve(flags, {"OCIHAUL_LOGIN": "auto"}, tmp_path).session_options.login
    (tmp_path / ".oci").mkdir()
    (tmp_path / ".oci" / "oci_cli_rc").write_text("[NIGHT]\nlogin=auto\n")
    assert resolve(flags, {}, tmp_path).session_options.login
    with pytest.raises(UsageError, match="OCIHAUL_LOGIN: 'yes'"):
        resolve(flags, {"OCIHAUL_LOGIN": "yes"}, tmp_path)


def test_without_a_thread_for_it_the_pause_goes_on_and_the_next_report_offers_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    really, refused = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if thread.name == "login":
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        really(thread)

    with monkeypatch.context() as few:
        few.setattr(threading.Thread, "start", start)
        rig.paused()
        rig.paused()
    assert len(refused) == 2
    (said,) = rig.notices()
    assert "no thread can be started" in said
    rig.paused()
    rig.login.answer = session()
    rig.settles()
    assert len(rig.login.asked) == 1
