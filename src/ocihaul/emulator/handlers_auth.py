"""The auth service: refresh and GenerateUpst; and the one identity call that validates."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from .answers import Answer, ApiError, json_answer, not_authenticated
from .call import Call
from .service import Service


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
    minutes = _minutes(body.get("sessionExpirationInMinutes", 60))
    try:
        key = load_pem_public_key(str(body.get("publicKey", "")).encode())
    except ValueError:
        key = None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ApiError(400, "InvalidParameter", "publicKey is not an RSA public key in PEM")
    return json_answer({"token": service.auth.mint(key, minutes).text})


def _minutes(value: Any) -> int:
    # The stock CLI sends the number as a string.
    text = str(value)
    if not text.isdecimal() or not 5 <= int(text) <= 60:
        raise ApiError(400, "InvalidParameter", "sessionExpirationInMinutes is not in 5..60")
    return int(text)


def list_regions(_service: Service, _call: Call) -> Answer:
    """What `session validate` asks to see whether it is let in."""
    return json_answer([{"key": "FRA", "name": "eu-frankfurt-1"}])
