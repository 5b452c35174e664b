"""Who is let in, and how long; refresh and GenerateUpst."""

import base64
import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ocihaul.emulator import Emulator, Settings
from ocihaul.emulator.settings import RefreshOutage

from .client import BARE, Client


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return decoded


def test_a_token_carries_what_real_ones_carry(oci: Emulator) -> None:
    session = oci.login()
    found = claims(session.token)
    assert found["exp"] - found["iat"] == 3600
    assert isinstance(found["exp"], int)
    assert found["sess_exp"].endswith(" UTC")
    key = load_pem_private_key(session.private_key_pem, None)
    assert isinstance(key, rsa.RSAPrivateKey)
    named = jwt.PyJWK(json.loads(found["jwk"])).key
    assert named.public_numbers() == key.public_key().public_numbers()


def spoil_signature(client: Client) -> None:
    client.session = client.oci.login()  # another key …
    client.key_id = f"ST${client.oci.login().token}"  # … than that of the token


BENT: list[tuple[str, Callable[[Client], None], str]] = [
    ("an unknown token", lambda c: setattr(c, "key_id", "ST$nonsense"), "not issued here"),
    ("an unknown api key", lambda c: setattr(c, "key_id", "t/u/f"), "names no key"),
    ("a clock that is slow", lambda c: setattr(c, "skew", -400.0), "from the service's clock"),
    ("a clock that is fast", lambda c: setattr(c, "skew", 400.0), "from the service's clock"),
    ("another host", lambda c: setattr(c, "host", "example.com"), "names another server"),
    ("another key", spoil_signature, "does not match"),
    ("a revoked token", lambda c: c.oci.revoke_all(), "revoked"),
    ("an ended session", lambda c: c.oci.end_session(c.session), "session has ended"),
]


@pytest.mark.parametrize(("bend", "reason"), [b[1:] for b in BENT], ids=[b[0] for b in BENT])
def test_refused_with(
    oci: Emulator, client: Client, bend: Callable[[Client], None], reason: str
) -> None:
    bend(client)
    reply = client.call("GET", "/n")
    assert (reply.status, reply.code) == (401, "NotAuthenticated")
    assert "required information to complete authentication" in reply.json()["message"]
    (entry,) = oci.log.entries(status=401)
    assert reason in (entry.error_detail or "")


def test_headers_that_must_be_signed(oci: Emulator, client: Client) -> None:
    body = json.dumps({"object": "it"}).encode()
    reply = client.call("POST", client.path("u"), body, signed=BARE)
    assert reply.status == 401
    assert client.call("GET", "/n", signed=("date", "host")).status == 401
    assert client.put("it", b"data").status == 200  # the body of PutObject need not be
    client.date_header = "x-date"
    assert client.call("GET", "/n").status == 200
    assert oci.log.count(status=401) == 2


def test_a_body_other_than_the_signed_one_is_refused(client: Client) -> None:
    body = json.dumps({"object": "it"}).encode()
    lie = {"x-content-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}
    assert client.call("POST", client.path("u"), body, lie).status == 401


def test_a_prefix_before_our_host_is_ours(client: Client) -> None:
    client.host = f"auth.x.y@{client.oci.host_port}"
    assert client.call("GET", "/n").status == 200


def test_a_token_dies_at_its_exp() -> None:
    with Emulator(Settings(token_ttl=1.0, integer_claims=False)) as oci:
        client = Client(oci, oci.login())
        assert client.call("GET", "/n").status == 200
        time.sleep(1.05)  # a whole life of the token
        assert client.call("GET", "/n").status == 401
        first, second = oci.log.entries()
        assert 0 <= (first.token_age_fraction or -1) < 1 < (second.token_age_fraction or 0)
        assert first.session_id == client.session.session_id
        assert first.token_id == claims(client.session.token)["jti"]


def test_a_token_may_die_while_its_body_arrives(oci: Emulator, client: Client) -> None:
    oci.configure(check_token_at="end")
    with client.raw() as sock:
        sock.sendall(client.head_bytes("PUT", client.path("o", "it"), 4) + b"da")
        time.sleep(0.1)  # until the headers have been judged
        oci.revoke(client.session.token)
        sock.sendall(b"ta")
        assert sock.recv(65536).startswith(b"HTTP/1.1 401 ")
    assert oci.object_names("backups") == []


def test_refresh_gives_a_newer_token_of_the_same_session(oci: Emulator, client: Client) -> None:
    reply = client.refresh()
    assert reply.status == 200
    old, new = claims(client.session.token), claims(reply.json()["token"])
    assert new["jti"] != old["jti"]
    assert new["jwk"] == old["jwk"]
    client.key_id = "ST$" + reply.json()["token"]
    assert client.call("GET", "/n").status == 200
    assert oci.auth.refreshes == 1


def test_refresh_never_passes_the_end_of_the_session() -> None:
    with Emulator(Settings(token_ttl=3600, session_ttl=100)) as oci:
        client = Client(oci, oci.login())
        assert claims(client.session.token)["exp"] <= time.time() + 101
        reply = client.refresh()
        assert claims(reply.json()["token"])["exp"] == claims(client.session.token)["exp"]


def test_refresh_that_does_not_extend(oci: Emulator, client: Client) -> None:
    oci.configure(refresh_extends=False, token_ttl=7200)
    reply = client.refresh()
    assert reply.status == 200
    assert claims(reply.json()["token"])["exp"] == claims(client.session.token)["exp"]


@pytest.mark.parametrize(("after", "status"), [(None, 200), (60.0, 200), (0.0, 401)])
def test_refresh_may_kill_the_older_token(
    oci: Emulator, client: Client, after: float | None, status: int
) -> None:
    oci.configure(refresh_kills_old_after=after)
    assert client.refresh().status == 200
    assert client.call("GET", "/n").status == status


def test_refresh_is_refused_for_a_dead_token(oci: Emulator, client: Client) -> None:
    other = oci.login()
    assert client.refresh(other.token).status == 401
    oci.revoke(client.session.token, refreshable=True)
    assert client.call("GET", "/n").status == 401
    assert client.refresh().status == 200
    oci.configure(refresh_refuses=True)
    assert client.refresh().status == 401
    oci.configure(refresh_refuses=False)
    oci.revoke(client.session.token)
    assert client.refresh().status == 401
    assert oci.auth.refreshes == 1


@pytest.mark.parametrize(
    ("outage", "status", "kind"),
    [
        ("500", 500, "application/json"),
        ("429", 429, "application/json"),
        ("html", 503, "text/html"),
    ],
)
def test_an_outage_of_refresh(
    oci: Emulator, client: Client, outage: RefreshOutage, status: int, kind: str
) -> None:
    oci.configure(refresh_outage=outage)
    reply = client.refresh()
    assert (reply.status, reply.headers["content-type"]) == (status, kind)
    assert oci.log.entries()[-1].fault == f"refresh-outage-{outage}"
    oci.configure(refresh_outage=None)
    assert client.refresh().status == 200


@pytest.mark.parametrize("outage", ["cut", "hang"])
def test_an_outage_without_an_answer(oci: Emulator, client: Client, outage: RefreshOutage) -> None:
    oci.configure(refresh_outage=outage, refresh_hang_seconds=0.05)
    with pytest.raises(ConnectionError):
        client.refresh()
    (entry,) = oci.log.entries(operation="RefreshToken")
    assert entry.status is None


def test_more_tokens_of_a_session(oci: Emulator, client: Client) -> None:
    client.key_id = "ST$" + oci.issue_token(client.session, 60, jwk=None, note="x")
    assert client.call("GET", "/n").status == 200
    found = claims(client.key_id.removeprefix("ST$"))
    assert "jwk" not in found
    assert found["note"] == "x"


def test_generate_upst_opens_a_session_that_cannot_grow(oci: Emulator, client: Client) -> None:
    mine = oci.login()
    body = {"publicKey": mine.public_key_pem.decode(), "sessionExpirationInMinutes": "5"}
    target = "/v1/token/upst/actions/GenerateUpst"
    reply = client.post(target, body)
    assert reply.status == 200
    token = reply.json()["token"]
    minted = Client(oci, mine, key_id=f"ST${token}")
    assert minted.call("GET", "/n").status == 200
    again = minted.refresh(token)
    assert again.status == 200
    assert claims(again.json()["token"])["exp"] == claims(token)["exp"]
    assert client.post(target, {**body, "sessionExpirationInMinutes": "61"}).status == 400
    assert client.post(target, {**body, "publicKey": "no"}).status == 400


def browse(oci: Emulator, method: str, target: str, body: str = "") -> tuple[int, str, str]:
    """Status, Location and text that a browser gets."""
    host, port = oci.host_port.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    connection.request(method, target, body or None)
    reply = connection.getresponse()
    text = reply.read().decode()
    connection.close()
    return reply.status, reply.getheader("location") or "", text


def test_the_login_page_leads_back_with_a_token_for_the_key(oci: Emulator) -> None:
    mine = oci.login()
    jwk = base64.urlsafe_b64encode(claims(mine.token)["jwk"].encode()).decode()
    query = {"public_key": jwk, "redirect_uri": "http://localhost:8181", "nonce": '"><b>'}
    page = "/v1/oauth2/authorize"
    status, _, text = browse(oci, "GET", f"{page}?{urlencode(query)}")
    assert status == 200
    assert f'name="public_key" value="{jwk}"' in text
    assert "<b>" not in text
    filled = {**query, "username": "me", "password": "secret"}
    status, location, _ = browse(oci, "POST", page, urlencode(filled))
    assert status == 303
    target, _, fragment = location.partition("#")
    assert target == "http://localhost:8181"
    answer = parse_qs(fragment)
    assert claims(answer["id_token"][0])["nonce"] == '"><b>'
    owner = Client(oci, mine, key_id=f"ST${answer['security_token'][0]}")
    assert owner.call("GET", "/n").status == 200
    assert oci.auth.logins == 1
    for no in ({"cancel": "", "username": ""}, {"password": ""}):
        location = browse(oci, "POST", page, urlencode({**filled, **no}))[1]
        assert "error=access_denied" in location
    for spoilt in ({"redirect_uri": "http://example.com"}, {"public_key": "no"}):
        assert browse(oci, "GET", f"{page}?{urlencode({**query, **spoilt})}")[0] == 400
        assert browse(oci, "POST", page, urlencode({**filled, **spoilt}))[0] == 400
    assert oci.auth.logins == 1


def test_the_clock_of_the_service_can_be_wrong(oci: Emulator, client: Client) -> None:
    oci.configure(clock_offset=1000.0)
    assert client.call("GET", "/n").status == 401
    client.skew = 1000.0
    client.session = oci.login()
    assert client.call("GET", "/n").status == 200
    assert claims(client.session.token)["iat"] > time.time() + 900
