"""SSE-C: the same customer key must come with every request on an object. Only a hash is kept."""

import base64
import hashlib
from collections.abc import Mapping

from .answers import ApiError

_NAMES = ("opc-sse-customer-algorithm", "opc-sse-customer-key", "opc-sse-customer-key-sha256")


def key_sha256(headers: Mapping[str, str]) -> str | None:
    """Base64 SHA-256 of the key in the request, None if there is none; 400 if it is malformed."""
    given = [headers.get(name) for name in _NAMES]
    if not any(given):
        return None
    algorithm, key, claimed = given
    try:
        raw = base64.b64decode(key or "", validate=True)
    except ValueError:
        raw = b""
    actual = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    if algorithm != "AES256" or len(raw) != 32 or claimed != actual:
        message = "The customer encryption key, its algorithm or its SHA-256 is not valid"
        raise ApiError(400, "InvalidSSECustomerKey", message)
    return actual


def check(stored: str | None, headers: Mapping[str, str]) -> None:
    """400 unless the request brings exactly the key that the object was written with."""
    given = key_sha256(headers)
    if given == stored:
        return
    if given is None:
        message = "The object is encrypted with a customer key, and the request brings none"
        raise ApiError(400, "MissingSSECustomerKey", message)
    message = "The customer key is not the one that the object was written with"
    raise ApiError(400, "IncorrectSSECustomerKey", message)


def echo(stored: str | None) -> dict[str, str]:
    """What answers say about the key."""
    if stored is None:
        return {}
    return {
        "opc-sse-customer-algorithm": "AES256",
        "opc-sse-customer-key-sha256": stored,
    }
