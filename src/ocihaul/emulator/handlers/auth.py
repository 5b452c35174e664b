"""The auth service: login, refresh and GenerateUpst; and the one identity call that validates."""

import base64
import json
from collections.abc import Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ocihaul.emulator.call import Call
from ocihaul.emulator.responses import Answer, ApiError, json_answer, not_authenticated
from ocihaul.emulator.state import Service


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
    """The form, filled in. Everybody is let in who has a name and a password.

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
