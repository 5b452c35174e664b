"""Plain http to another machine: refused before anything is sent, unless it is allowed."""

import socket
import threading
from pathlib import Path

import pytest

import ocihaul
from ocihaul.config import Flags, Settings, resolve
from ocihaul.config.resolve import find_login_page
from ocihaul.config.settings import Found
from ocihaul.endpoints import Origin, is_exposed
from ocihaul.errors import UsageError
from ocihaul.http.client import exchange
from ocihaul.transport.dialer import Dialer
from ocihaul.transport.message import Request
from ocihaul.transport.pool import Pool, exchange_once
from tests.unit.transport.test_hostile_hops import serving
from tests.world import world

PLAIN = "http://objectstorage.example.test:8080"
CONFIG = """[DEFAULT]
region=us-ashburn-1
tenancy=ocid1.tenancy.oc1..a
security_token_file=/nowhere/token
key_file=/nowhere/key.pem
"""


def settle(
    tmp_path: Path, environ: dict[str, str] | None = None, *, rc: str = "", **flags: object
) -> Settings:
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / "rc").write_text(f"[DEFAULT]\n{rc}\n")
    (tmp_path / "token").write_text("x")
    (tmp_path / "key").write_text("x")
    given: dict[str, object] = {
        "config_file": str(tmp_path / "config"),
        "cli_rc_file": str(tmp_path / "rc"),
        "auth": "security_token",
    }
    environment = {
        "OCI_CLI_SECURITY_TOKEN_FILE": str(tmp_path / "token"),
        "OCI_CLI_KEY_FILE": str(tmp_path / "key"),
    }
    return resolve(
        Flags(**(given | flags)),  # type: ignore[arg-type]  # by name
        environment | (environ or {}),
        tmp_path,
    )


@pytest.mark.parametrize(
    ("scheme", "host", "exposed"),
    [
        ("https", "example.test", False),
        ("http", "127.0.0.1", False),
        ("http", "127.9.8.7", False),
        ("http", "::1", False),
        ("http", "localhost", False),
        ("http", "LOCALHOST", False),
        ("http", "localhost.", False),
        ("http", "localhost.example.test", True),
        ("http", "127.0.0.1.example.test", True),
        ("http", "10.0.0.1", True),
        ("http", "0.0.0.0", True),  # noqa: S104  nothing is bound
        ("http", "::2", True),
        ("http", "emulator", True),
    ],
)
def test_finding_a10_what_is_exposed(scheme: str, host: str, exposed: bool) -> None:
    assert is_exposed(scheme, host) is exposed


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ({"endpoint": PLAIN}, "`endpoint`"),
        ({"auth_endpoint": PLAIN}, "`auth_endpoint`"),
        ({"environ": {"OCI_CLI_ENDPOINT": PLAIN}}, "OCI_CLI_ENDPOINT"),
        ({"environ": {"OCIHAUL_AUTH_ENDPOINT": PLAIN}}, "OCIHAUL_AUTH_ENDPOINT"),
        ({"rc": f"endpoint={PLAIN}"}, "rc, section"),
        ({"rc": f"auth-endpoint={PLAIN}"}, "rc, section"),
    ],
)
def test_finding_a10_an_address_in_plain_http_is_refused_wherever_it_stands(
    tmp_path: Path, given: dict[str, object], where: str
) -> None:
    with pytest.raises(UsageError) as caught:
        settle(tmp_path, **given)  # type: ignore[arg-type]  # by name
    assert where in caught.value.message
    assert PLAIN in caught.value.message
    assert "`allow_plain_http`" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "allowed",
    [
        {"allow_plain_http": True},
        {"environ": {"OCIHAUL_ALLOW_PLAIN_HTTP": "true"}},
        {"rc": "allow-plain-http=true"},
    ],
)
def test_finding_a10_it_can_be_allowed(tmp_path: Path, allowed: dict[str, object]) -> None:
    settings = settle(tmp_path, endpoint=PLAIN, auth_endpoint=PLAIN, **allowed)  # type: ignore[arg-type]
    assert settings.endpoint == settings.auth_endpoint == PLAIN
    assert settings.plain_http


def test_finding_a10_a_login_page_in_plain_http_is_refused(tmp_path: Path) -> None:
    region = Found("us-ashburn-1", "`region`")

    def page(**more: bool) -> str:
        found = find_login_page(
            region, given=PLAIN, dual_stack=False, environ={}, home=tmp_path, **more
        )
        return found.endpoint

    with pytest.raises(UsageError, match="`login_endpoint`"):
        page()
    assert page(plain_http=True) == PLAIN


def test_finding_a10_no_request_leaves_over_plain_http_by_any_way() -> None:
    """Whatever the settings were: an address may come from elsewhere, and go through a proxy."""
    heads = []

    def answer(sock: socket.socket, head: bytes) -> None:
        heads.append(head)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    origin = Origin.parse("http://objectstorage.example.test")
    request = Request("GET", "/n", {"host": origin.host_header, "authorization": "sesame"})
    with serving(answer) as port:
        careful = Dialer(proxy=f"http://127.0.0.1:{port}")
        with Pool(careful) as pool, pytest.raises(UsageError, match="plain http"):
            exchange(pool, origin, request)
        with pytest.raises(UsageError, match="plain http"):
            exchange_once(careful, origin, request, timeout=5.0, stop=threading.Event())
        assert heads == []
        trusting = Dialer(proxy=f"http://127.0.0.1:{port}", plain_http=True)
        with Pool(trusting) as pool:
            assert exchange(pool, origin, request).status == 200
        assert len(heads) == 1


@pytest.mark.parametrize(
    "command",
    [
        ("os", "ns", "get", "--endpoint", PLAIN),
        ("session", "refresh", "--auth-endpoint", PLAIN),
        ("session", "keep", "--once", "--auth-endpoint", PLAIN),
        ("exec", "--auth-endpoint", PLAIN, "--", "true"),
    ],
)
def test_finding_a10_the_command_says_so_and_sends_nothing(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    heads = []

    def answer(sock: socket.socket, head: bytes) -> None:
        heads.append(head)
        sock.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    with world(tmp_path) as w, serving(answer) as port:
        ran = w.run(*command, http_proxy=f"http://127.0.0.1:{port}", no_proxy="127.0.0.1")
        assert ran.code == 2, ran.err
        assert "plain http to another machine" in ran.err
        assert heads == []
        assert w.refreshes() == 0


def test_finding_a10_a_program_says_it_with_a_parameter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world(tmp_path) as w:
        monkeypatch.setenv("HOME", str(tmp_path))
        given = {"config_file": w.config, "auth_endpoint": PLAIN}
        with pytest.raises(UsageError, match="plain http"):
            ocihaul.Session.from_profile(**given)  # type: ignore[arg-type]  # by name
        with ocihaul.Session.from_profile(allow_plain_http=True, **given) as session:  # type: ignore[arg-type]
            assert session.credential().generation == 1
        with pytest.raises(UsageError, match="plain http"):
            ocihaul.upload(w.file(10), "backups", config_file=w.config, endpoint=PLAIN)
