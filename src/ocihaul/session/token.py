"""The session token as a value. Each token that is read is registered for redaction.

A session token is a JWT. It is only read here, never verified: that is the service's job. Facts
about the claims come from tokens seen in public reports and from Oracle's HDFS connector
(`sess_exp` as `Fri, 07 Nov 2025 10:53:27 UTC`).
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from ocihaul.clock import read_date
from ocihaul.documents import LAST_MOMENT, object_of, read_object, text
from ocihaul.errors import CredentialError
from ocihaul.redaction import hold

#: Base64url and dots (RFC 7515). Decoders may skip other characters; a header that carries the
#: token must not. (A library for this takes as long to import as all the rest of `session status`.)
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)={0,2}\.([A-Za-z0-9_-]+)={0,2}\.([A-Za-z0-9_-]*)={0,2}")


@dataclass(frozen=True, slots=True)
class JwtParts:
    """The header, the claims and the signature of a JWT."""

    header: dict[str, Any] = field(repr=False)
    claims: dict[str, Any] = field(repr=False)
    signature: bytes = field(repr=False)


def split_jwt(text: str) -> JwtParts:
    """Split a JWT. Raises ValueError, which does not quote `text`, when it is none."""
    match = _COMPACT.fullmatch(text)
    if match is None:
        raise ValueError("these are not three base64url texts joined by dots")
    try:
        header, claims = (read_object(_decoded(part)) for part in match.groups()[:2])
        return JwtParts(header, claims, _decoded(match[3]))
    except ValueError:
        raise ValueError("one of the three parts is cut, or not what it has to be") from None


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True, slots=True)
class SessionToken:
    """One token. Times are epoch seconds by the service's clock, None where the claim is absent.

    `modulus` and `exponent` are those of the key pair that the token belongs to (claim `jwk`),
    `tenancy` is the OCID of the tenancy that it opens (claim `tenant`).
    """

    raw: str = field(repr=False)
    issued_at: float | None
    expires_at: float
    session_ends_at: float | None
    modulus: int | None = field(repr=False)
    exponent: int | None = field(repr=False)
    tenancy: str | None = None

    @classmethod
    def parse(cls, encoded: str) -> "SessionToken":
        """Read a token; surrounding white space does not matter.

        Raises CredentialError, which does not quote the token, when it is empty, cut or not a JWT.
        """
        raw = encoded.strip()
        if not raw:
            raise CredentialError("the token is empty")
        try:
            parts = split_jwt(raw)
        except ValueError:
            raise CredentialError("the token is cut or not a JWT") from None
        if not _is_whole(parts.header.get("alg"), parts.signature):
            raise CredentialError("the token is cut: its signature is not whole")
        hold(raw, "token")
        claims = parts.claims
        expires_at = _number(claims.get("exp"))
        if expires_at is None:
            raise CredentialError("the token has no expiry (claim exp)")
        modulus, exponent = _public_numbers(claims.get("jwk"))
        return cls(
            raw=raw,
            issued_at=_number(claims.get("iat")),
            expires_at=expires_at,
            session_ends_at=_moment(claims.get("sess_exp")),
            modulus=modulus,
            exponent=exponent,
            tenancy=_text(claims.get("tenant")),
        )

    @property
    def digest(self) -> str:
        """A short name for this token that reveals nothing of it."""
        return hashlib.sha256(self.raw.encode()).hexdigest()[:16]

    def belongs_to(self, key: RSAPublicKey) -> bool:
        """Return whether `key` is the token's; True when the token does not name its key."""
        if self.modulus is None:
            return True
        numbers = key.public_numbers()
        return (numbers.n, numbers.e) == (self.modulus, self.exponent)


def _is_whole(algorithm: object, signature: bytes) -> bool:
    """An RSA signature is as long as its key: 2048, 3072 or 4096 bits."""
    if isinstance(algorithm, str) and algorithm.startswith(("RS", "PS")):
        return len(signature) in {256, 384, 512}
    return len(signature) > 0


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= LAST_MOMENT else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(value: object) -> float | None:
    number = _number(value)
    return read_date(value) if number is None and isinstance(value, str) else number


def _public_numbers(jwk: object) -> tuple[int | None, int | None]:
    try:
        fields = read_object(jwk) if isinstance(jwk, str) else object_of(jwk)
        return _base64url_int(text(fields, "n")), _base64url_int(text(fields, "e"))
    except ValueError:
        return None, None


def _base64url_int(digits: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(digits + "=" * (-len(digits) % 4)))
