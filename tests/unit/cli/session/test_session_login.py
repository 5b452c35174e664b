"""`session login` at a terminal and on machines of all kinds, with the core replaced."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from ocihaul.cli.session import login as session_login
from ocihaul.cli.session import login_offer
from ocihaul.cli.session.login_offer import has_browser, is_remote, tunnel_line
from ocihaul.session.credential import SessionToken
from ocihaul.session.login.profile_files import NewSession
from tests.support import make_token, rsa_key
from tests.unit.cli.conftest import Command

MACHINES: dict[str, tuple[dict[str, str], str, bool]] = {
    "a server": ({}, "linux", False),
    "a desktop": ({"DISPLAY": ":0"}, "linux", True),
    "a Wayland desktop": ({"WAYLAND_DISPLAY": "w"}, "linux", True),
    "a Mac": ({}, "darwin", True),
    "Windows": ({}, "win32", True),
    "ssh": ({"SSH_CONNECTION": "a 1 b 22"}, "linux", False),
    "ssh to a Mac": ({"SSH_TTY": "/dev/pts/1"}, "darwin", False),
    "ssh with X": ({"SSH_CLIENT": "a 1 22", "DISPLAY": "localhost:10"}, "linux", True),
    "an editor over ssh, with a browser of its own": (
        {"SSH_CONNECTION": "a 1 b 22", "BROWSER": "helper"},
        "linux",
        True,
    ),
}


@pytest.mark.parametrize(("environ", "platform", "there"), MACHINES.values(), ids=MACHINES.keys())
def test_who_has_a_browser(environ: dict[str, str], platform: str, there: bool) -> None:
    assert has_browser(environ, platform) is there


def test_the_tunnel_leads_to_the_address_that_ssh_came_by() -> None:
    line = tunnel_line(8181, {"SSH_CONNECTION": "192.0.2.7 5000 192.0.2.9 22"})
    assert line.startswith("ssh -L 8181:127.0.0.1:8181 ")
    assert line.endswith("@192.0.2.9")
    assert "@" in tunnel_line(8181, {})
    assert not is_remote({})


class Login:
    """The core's login: shows the address, and returns a session at once."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.page = ""

    def __call__(self, page: str, *, show: Callable[[str, int], None], **asked: Any) -> NewSession:
        self.page, self.asked = page, asked
        show(f"{page}/v1/oauth2/authorize?public_key=eyJrdHkiOiAiUlNBIn0", asked["port"])
        key = rsa_key()
        return NewSession(SessionToken.parse(make_token(key, tenant="t")), key.public_key(), key)


@pytest.fixture
def login(home: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION", "SSH_CLIENT"):
        monkeypatch.delenv(name, raising=False)
    double = Login()
    monkeypatch.setattr(session_login, "run_browser_login", double)
    return double


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A terminal, and what is typed there in turn."""
    typed: list[Any] = []
    monkeypatch.setattr(session_login, "at_terminal", lambda: True)
    for name in ("prompt", "confirm"):
        monkeypatch.setattr(click, name, lambda *_, **__: typed.pop(0))
    return typed


def test_the_address_is_shown_whole_and_the_page_is_the_regions(
    ocihaul: Command, login: Login
) -> None:
    outcome = ocihaul("session", "login", "--profile", "night", "--region", "fra", "-i")
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    assert login.page == "https://login.eu-frankfurt-1.oraclecloud.com"
    assert "public_key=eyJrdHkiOiAiUlNBIn0\n" in outcome.err
    assert "ssh -L 8181:127.0.0.1:8181 " in outcome.err
    assert "-i is accepted and has no effect" in outcome.err or "--cli-auto-prompt" in outcome.err
    assert login.asked["timeout"] == 300.0


@pytest.mark.parametrize("command", ["login", "authenticate"])
def test_the_stock_flags_are_taken(
    ocihaul: Command, login: Login, home: Path, command: str
) -> None:
    outcome = ocihaul(
        *("session", command, "--region", "us-ashburn-1", "--tenancy-name", "acme"),
        *("--identity-provider-name", "okta", "--profile-name", "night"),
        *("--config-location", "~/elsewhere/config", "--token-location", "~/tokens"),
        *("--session-expiration-in-minutes", "60"),
    )
    assert outcome.code == 0, outcome.err
    assert (login.asked["tenancy_name"], login.asked["identity_provider_name"]) == ("acme", "okta")
    assert (home / "tokens" / "night" / "token").exists()
    text = (home / "elsewhere" / "config").read_text()
    assert f"security_token_file={home}/tokens/night/token" in text
    assert "region=us-ashburn-1" in text


def test_a_browser_that_is_there_is_opened(
    ocihaul: Command, login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(login_offer, "open_page", opened.append)
    monkeypatch.setenv("DISPLAY", ":0")
    outcome = ocihaul("session", "login", "--profile-name", "night", "--region", "fra")
    assert [address.startswith(login.page) for address in opened] == [True]
    assert "ssh -L" not in outcome.err


def test_a_page_of_a_private_realm(
    ocihaul: Command, login: Login, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCIHAUL_LOGIN_ENDPOINT", "https://login.realm.example/")
    outcome = ocihaul("session", "login", "--profile-name", "n", "--region", "private!")
    assert outcome.code == 0, outcome.err
    assert login.page == "https://login.realm.example"
    assert "region=private!" in (home / ".oci" / "config").read_text()


def test_an_unknown_region_without_a_page_is_refused(ocihaul: Command, login: Login) -> None:
    outcome = ocihaul("session", "login", "--profile-name", "n", "--region", "eu-frankfurt-7")
    assert outcome.code == 0 or "unknown region" in outcome.err
    outcome = ocihaul("session", "login", "--profile-name", "n", "--region", "private!")
    assert outcome.code == 1
    assert "cannot be the name of a region" in outcome.err


def test_at_a_terminal_what_is_missing_is_asked_for(
    ocihaul: Command, login: Login, home: Path, answers: list[Any]
) -> None:
    (home / ".oci" / "config").write_text("[other]\nuser=u\n")
    answers += ["night", "eu-frankfurt-1", "open sesame", True]
    outcome = ocihaul("session", "login", "--use-passphrase")
    assert outcome.code == 0, outcome.err
    assert answers == []
    text = (home / ".oci" / "config").read_text()
    assert text.startswith("[other]\nuser=u\n\n[night]\n")
    assert "pass_phrase=open sesame\n" in text
    assert "open sesame" not in outcome.err


@pytest.mark.usefixtures("login")
@pytest.mark.parametrize(("yes", "code"), [(True, 0), (False, 2)])
def test_an_api_key_is_replaced_only_with_a_yes(
    ocihaul: Command, home: Path, answers: list[Any], yes: bool, code: int
) -> None:
    config = home / ".oci" / "config"
    config.write_text("[DEFAULT]\nuser=u\nfingerprint=f\nkey_file=k\nregion=eu-frankfurt-1\n")
    answers.append(yes)
    assert ocihaul("session", "login", "--profile-name", "DEFAULT").code == code
    assert ("user=u" in config.read_text()) is not yes


def test_on_a_new_machine_the_first_profile_is_the_default(
    ocihaul: Command, login: Login, home: Path
) -> None:
    (home / ".oci" / "config").unlink()
    assert ocihaul("session", "login", "--region", "fra").code == 0
    assert (home / ".oci" / "config").read_text().startswith("[DEFAULT]\n")
    assert (home / ".oci" / "sessions" / "DEFAULT" / "token").exists()


def test_options_have_defaults_in_the_rc_file(ocihaul: Command, login: Login, home: Path) -> None:
    (home / ".oci" / "oci_cli_rc").write_text(
        "[DEFAULT]\nsession.authenticate.tenancy-name=acme\nregion=eu-frankfurt-1\n"
        "profile-name=night\n"
    )
    outcome = ocihaul("session", "login")
    assert outcome.code == 0, outcome.err
    assert login.asked["tenancy_name"] == "acme"
    assert "[night]" in (home / ".oci" / "config").read_text()
