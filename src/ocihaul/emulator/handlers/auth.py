"""Who asks: is a request let in (signature, date, host, token); and the calls of the auth service.

Those are login, refresh and GenerateUpst, and the one identity call that validates.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html import escape
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ocihaul.emulator.call import Call, Operation
from ocihaul.emulator.log import Record
from ocihaul.emulator.responses import Answer, ApiError, json_answer, not_authenticated
from ocihaul.emulator.state import Service

_PARAMETER = re.compile(r'([A-Za-z]+)="([^"]*)"')
_HEADER = re.compile(r'Signature [A-Za-z]+="[^"]*"(?:, ?[A-Za-z]+="[^"]*")*')
_ALWAYS = frozenset({"(request-target)", "host"})
_WITH_BODY = frozenset({"content-length", "content-type", "x-content-sha256"})
#: What an unsigned request may do in a bucket with this `publicAccessType`.
_PUBLIC = {
    "NoPublicAccess": frozenset[str](),
    "ObjectReadWithoutList": frozenset({"GetObject", "HeadObject"}),
    "ObjectRead": frozenset({"GetObject", "HeadObject", "ListObjects"}),
}
_READS = _PUBLIC["ObjectRead"]


@dataclass(frozen=True, slots=True)
class Signature:
    """A parsed Authorization header."""

    key_id: str
    headers: tuple[str, ...]
    value: bytes


def parse(authorization: str | None) -> Signature:
    """Read the Authorization header; 401 when it is not a signature of version 1."""
    if not authorization:
        raise not_authenticated("there is no authorization header")
    if not _HEADER.fullmatch(authorization):
        raise not_authenticated("the authorization header is malformed")
    fields = dict(_PARAMETER.findall(authorization))
    if missing := {"keyId", "algorithm", "signature", "headers", "version"} - set(fields):
        raise not_authenticated(f"the signature lacks {', '.join(sorted(missing))}")
    if fields["algorithm"] != "rsa-sha256" or fields["version"] != "1":
        raise not_authenticated("the signature's algorithm or version is not known")
    try:
        value = base64.b64decode(fields["signature"], validate=True)
    except ValueError:
        raise not_authenticated("the signature is not base64") from None
    return Signature(fields["keyId"], tuple(fields["headers"].lower().split(" ")), value)


def check_coverage(signature: Signature, method: str, *, body_signed: bool) -> None:
    """401 unless every header that this kind of request must sign is signed."""
    signed = set(signature.headers)
    required = set(_ALWAYS)
    if method in {"POST", "PUT", "PATCH"} and body_signed:
        required |= _WITH_BODY
    if not signed & {"date", "x-date"}:
        required.add("date")
    if missing := required - signed:
        raise not_authenticated(f"not signed: {', '.join(sorted(missing))}")


def verify(
    signature: Signature,
    key: rsa.RSAPublicKey,
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
) -> None:
    """401 unless the signature is the key's, over this very request."""
    lines = []
    for name in signature.headers:
        if name == "(request-target)":
            lines.append(f"{name}: {method.lower()} {target}")
        elif name in headers:
            lines.append(f"{name}: {headers[name]}")
        else:
            raise not_authenticated(f"signed but not sent: {name}")
    text = "\n".join(lines).encode("latin-1")
    try:
        key.verify(signature.value, text, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise not_authenticated("the signature does not match the request") from None


def check_date(
    signature: Signature, headers: Mapping[str, str], *, now: float, max_skew: float
) -> None:
    """401 unless the signed date is near the service's own."""
    name = "date" if "date" in signature.headers else "x-date"
    try:
        sent = parsedate_to_datetime(headers.get(name, "")).timestamp()
    except ValueError:
        raise not_authenticated(f"{name} is not a date") from None
    if abs(now - sent) > max_skew:
        raise not_authenticated(f"{name} is {sent - now:+.0f} s from the service's clock")


def check_host(host: str, host_ports: frozenset[str]) -> None:
    """401 unless the request was meant for us.

    A prefix is fine: `auth.x.y@127.0.0.1:PORT` is what an official client sends that was made to
    talk to us by way of a made-up region.
    """
    if not any(host == own or host.endswith(("@" + own, "." + own)) for own in host_ports):
        raise not_authenticated("the host header names another server")


def is_public(service: Service, operation: Operation, call: Call) -> bool:
    """Whether the bucket's `publicAccessType` lets an unsigned request do this.

    https://docs.oracle.com/en-us/iaas/api/#/en/objectstorage/20160918/datatypes/CreateBucketDetails
    """
    if operation.name not in _READS or "authorization" in call.headers:
        return False
    try:
        access = service.store.bucket(call.namespace, call.bucket).public_access
    except ApiError:
        return False
    return operation.name in _PUBLIC[access]


def admit(service: Service, operation: Operation, call: Call, record: Record, now: float) -> None:
    """401 unless the request is signed, now, by someone we know with a live token."""
    if operation.public or is_public(service, operation, call):
        return
    signature = parse(call.headers.get("authorization"))
    signatory = service.auth.resolve(signature.key_id)
    if signatory.token is not None:
        record.token_id = signatory.token.jti
        record.session_id = signatory.token.login.session_id
        record.token_age_fraction = signatory.token.age_fraction(now)
    check_coverage(signature, call.method, body_signed=not operation.bare_body)
    verify(
        signature,
        signatory.public_key,
        method=call.method,
        target=call.target,
        headers=call.headers,
    )
    check_host(call.headers.get("host", ""), service.host_ports)
    check_date(signature, call.headers, now=now, max_skew=service.settings.max_skew)
    if signatory.token is not None:
        refreshing = operation.name == "RefreshToken"
        service.auth.check(signatory.token, now, refreshing=refreshing)
    call.signatory = signatory
    call.body_signed = "x-content-sha256" in signature.headers


def recheck(service: Service, call: Call, now: float) -> None:
    """401 if the token has died since."""
    if call.signatory is not None and call.signatory.token is not None:
        service.auth.check(call.signatory.token, now, refreshing="authentication" in call.path)


def refresh_token(service: Service, call: Call) -> Answer:
    """A newer token for the one in the body, which must belong to the session that signed."""
    body = call.json()
    if service.settings.refresh_refuses:
        raise not_authenticated("refresh is set to refuse")
    current = service.auth.find(str(body.get("currentToken", "")))
    signed_by = call.signatory.token if call.signatory else None
    if signed_by is None or signed_by.login is not current.login:
        raise not_authenticated("currentToken belongs to another session than the signature")
    return json_answer({"token": service.auth.refresh(current).text})


def generate_upst(service: Service, call: Call) -> Answer:
    """A session of fixed length for the caller's public key."""
    body = call.json()
    service.auth.session_options.append(body.get("sessionExpirationInMinutes"))
    minutes = _minutes(body.get("sessionExpirationInMinutes", 60))
    try:
        key = load_pem_public_key(str(body.get("publicKey", "")).encode())
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ApiError(400, "InvalidParameter", "publicKey is not an RSA public key in PEM")
    return json_answer({"token": service.auth.mint(key, minutes).text})


def authorize(_service: Service, call: Call) -> Answer:
    """The browser's login page: a form that comes back to us with all that it was called with."""
    _check_login(call.query)
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in call.query.items()
    )
    return Answer(
        headers={"content-type": "text/html; charset=utf-8", "cache-control": "no-store"},
        content=_LOGIN_FORM.replace("@HIDDEN@", hidden).encode(),
    )


def log_in(service: Service, call: Call) -> Answer:
    """The form, filled in. Any name with any password is let in.

    The answer leads back to the program that waits, with the token in the fragment.
    """
    fields = call.form()
    target, key = _check_login(fields)
    if "cancel" in fields or not (fields.get("username") and fields.get("password")):
        answer = {"error": "access_denied", "error_description": "The login was not completed"}
        if service.settings.login_error_has_nonce:
            answer["nonce"] = fields.get("nonce", "")
    else:
        token = service.auth.admit(key).text
        claims = {"nonce": fields.get("nonce", ""), "aud": fields.get("client_id", "")}
        answer = {
            "security_token": token,
            "token_type": "Bearer",
            "id_token": jwt.encode(claims, "the emulator's own, thirty-two bytes", "HS256"),
        }
    return Answer(status=303, headers={"location": f"{target}#{urlencode(answer)}"})


_LOGIN_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sign in to the emulated cloud</title></head>
<body><h1>Sign in</h1>
<form method="post" action="/v1/oauth2/authorize">@HIDDEN@
<p><label>User name <input name="username" autocomplete="off" autofocus></label></p>
<p><label>Password <input name="password" type="password" autocomplete="off"></label></p>
<p><button id="sign-in">Sign In</button> <button id="cancel" name="cancel">Cancel</button></p>
</form></body></html>
"""


def _check_login(fields: Mapping[str, str]) -> tuple[str, rsa.RSAPublicKey]:
    """Where to lead back to, and the key to let in."""
    target = fields.get("redirect_uri", "")
    if not target.startswith(("http://localhost:", "http://127.0.0.1:")):
        raise ApiError(400, "InvalidParameter", "redirect_uri does not lead to this machine")
    key = _key_from_jwk(fields.get("public_key", ""))
    if key is None:
        raise ApiError(400, "InvalidParameter", "public_key is not an RSA key as a JWK in base64")
    return target, key


def _key_from_jwk(text: str) -> rsa.RSAPublicKey | None:
    try:
        numbers = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        key = jwt.PyJWK({**numbers, "kty": "RSA", "alg": "RS256"}).key
    except (ValueError, TypeError, jwt.PyJWTError):
        return None
    return key if isinstance(key, rsa.RSAPublicKey) else None


def _minutes(value: Any) -> int:
    # The official CLI sends the number as a string.
    text = str(value)
    if not text.isdecimal() or not 5 <= int(text) <= 60:
        raise ApiError(400, "InvalidParameter", "sessionExpirationInMinutes is not in 5..60")
    return int(text)


def list_regions(_service: Service, _call: Call) -> Answer:
    """What `session validate` asks to see whether it is let in."""
    return json_answer([{"key": "FRA", "name": "eu-frankfurt-1"}])
