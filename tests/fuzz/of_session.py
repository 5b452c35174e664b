"""Tokens, the auth service's answers, a login's answer, the dates in them."""

import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from ocihaul.clock import ServerClock, local_time, read_date
from ocihaul.errors import CredentialError
from ocihaul.quantities import duration_text, utc_text
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.diagnostics.probe import _offset, error_fields
from ocihaul.session.login.browser_login import BrowserLogin
from ocihaul.session.login.callback import fields_of
from ocihaul.session.providers import read_answer
from ocihaul.session.store import load_key
from ocihaul.transport.message import Answer
from tests.fuzz.of_storage import HEADERS
from tests.fuzz.strategies import damaged, damaged_texts, headers, json_texts, sentences, spoilt
from tests.fuzz.target import Target
from tests.support import make_token, pem, rsa_key

CLAIMS: dict[str, Any] = {
    "iat": 1_800_000_000,
    "exp": 1_800_003_600,
    "sess_exp": "Fri, 07 Nov 2025 10:53:27 UTC",
    "tenant": "ocid1.tenancy.oc1..a",
    "jwk": json.dumps({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "x"}),
    "nonce": "n",
}
_SIGNATURE = base64.urlsafe_b64encode(bytes(256)).decode().rstrip("=")


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


#: Tokens whose claims are odd, and that are whole otherwise.
odd_tokens = json_texts(CLAIMS).map(
    lambda claims: ".".join((_part(b'{"alg": "RS256"}'), _part(claims), _SIGNATURE))
)


@lru_cache(maxsize=1)
def _token() -> str:
    return make_token(rsa_key())


tokens = odd_tokens | st.deferred(lambda: damaged_texts(_token()))


def _parsed(text: str) -> None:
    token = SessionToken.parse(text)
    for each in (token.issued_at, token.expires_at, token.session_ends_at):
        if each is not None:
            utc_text(each)
            duration_text(each - 1_800_000_000)
            local_time(each).isoformat()
    token.digest.encode()
    token.belongs_to(rsa_key().public_key())
    assert token.raw not in repr(token)


@lru_cache(maxsize=1)
def _credential() -> Credential:
    return Credential.of_token(rsa_key(), SessionToken.parse(_token()), 1)


def _answered(given: tuple[int, dict[str, str], bytes]) -> None:
    status, told, body = given
    answer = Answer(status, told, body, 0)
    read_answer(answer, _credential(), asked="auth", now=1.8e9)
    code, message = error_fields(answer)
    assert code is None or isinstance(code, str)
    assert message is None or isinstance(message, str)
    _offset(told.get("date"), 1.8e9)


@st.composite
def _auth_bodies(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return json.dumps({"token": draw(tokens)}).encode()
    return draw(json_texts({"token": "t", "code": "NotAuthenticated", "message": "no"}))


@lru_cache(maxsize=1)
def _login() -> BrowserLogin:
    return BrowserLogin("https://login.test", port=0)


def _posted(body: bytes) -> None:
    fields = fields_of(body)
    if fields is None:
        return
    verdict = _login()._judge(fields)
    assert not verdict.good
    assert verdict.text.isprintable()


def _form(fields: Mapping[str, object]) -> bytes:
    return "&".join(f"{name}={value}" for name, value in fields.items()).encode(errors="replace")


_FORM = {"security_token": "t", "id_token": "i", "nonce": "n", "error": "e", "x": "%ff"}
_bodies = spoilt(_FORM).map(lambda form: _form(form) if isinstance(form, dict) else b"")
_with_tokens = tokens.map(lambda token: _form({"security_token": token, "id_token": token}))
dates = sentences(
    "Tue, 24 Nov 2026 03:18:51 GMT", "24 Nov 2026 03:18 +9999", "Mon, 1 Jan 1 0:0 -0000"
)


def _date(text: str) -> None:
    found = read_date(text)
    if found is not None:
        local_time(found).isoformat()
    ServerClock().observe(text)


def _pem() -> bytes:
    return pem(rsa_key())


TARGETS = [
    Target(
        "private keys",
        st.deferred(lambda: damaged(_pem())),
        lambda data: load_key(data, where="the key"),
        (CredentialError,),
    ),
    Target("session tokens", tokens, _parsed, (CredentialError,)),
    Target(
        "answers of the auth service",
        st.tuples(st.sampled_from((200, 400, 401, 403, 500)), headers(HEADERS), _auth_bodies()),
        _answered,
        (),
    ),
    Target("answers to a login", _bodies | _with_tokens, _posted, ()),
    Target("dates", dates, _date, ()),
]
