"""What signs a request: the session token, the credential, its providers, and the signature.

draft-cavage-http-signatures-08 as OCI uses it: RSA PKCS#1 v1.5 with SHA-256, version "1"
(https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm). Which headers are
signed depends on the body: none, a JSON document, or the bytes of an object, whose content
headers Object Storage exempts. Each token that is read and each signature that is made is held
for redaction.

A session token is a JWT. It is only read here, never verified: that is the service's job. Facts
about the claims come from tokens seen in public reports and from Oracle's HDFS connector
(`sess_exp` as `Fri, 07 Nov 2025 10:53:27 UTC`).
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from ocihaul.clock import read_date
from ocihaul.documents import LAST_MOMENT, object_of, read_object, text
from ocihaul.errors import CredentialError
from ocihaul.redaction import hold
from ocihaul.threads import StopSign

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


def sign(
    key: RSAPrivateKey,
    key_id: str,
    *,
    method: str,
    target: str,
    host: str,
    date: str,
    json_body: bytes | None = None,
) -> dict[str, str]:
    """Return the headers that authenticate one attempt of one request, by lower-case names.

    `target` is path and query exactly as they go on the wire, `host` the Host header as sent,
    `date` an RFC 1123 date in GMT. With `json_body` the body's length, type and SHA-256 are
    signed too and returned; leave it None for GET, HEAD, DELETE and for object bytes.
    """
    signed = {
        "date": date,
        "(request-target)": f"{method.lower()} {target}",
        "host": host,
    }
    if json_body is not None:
        signed["content-length"] = str(len(json_body))
        signed["content-type"] = "application/json"
        signed["x-content-sha256"] = base64.b64encode(hashlib.sha256(json_body).digest()).decode()
    text = "\n".join(f"{name}: {value}" for name, value in signed.items())
    made = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    signature = base64.b64encode(made).decode()
    hold(signature, "signature")
    headers = {name: value for name, value in signed.items() if name != "(request-target)"}
    headers["authorization"] = (
        f'Signature algorithm="rsa-sha256",headers="{" ".join(signed)}",keyId="{key_id}",'
        f'signature="{signature}",version="1"'
    )
    return headers


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and the name under which the service knows it; its repr shows neither.

    `generation` counts the credentials of one session: a request remembers the generation that
    signed it, and a 401 to an old one renews nothing. `token` is None for an API key.
    """

    key: RSAPrivateKey = field(repr=False)
    key_id: str = field(repr=False)
    generation: int
    token: SessionToken | None = None

    @classmethod
    def of_token(cls, key: RSAPrivateKey, token: SessionToken, generation: int) -> "Credential":
        """Return the credential of a session token and its key."""
        return cls(key, f"ST${token.raw}", generation, token)

    def sign(
        self, *, method: str, target: str, host: str, date: str, json_body: bytes | None = None
    ) -> dict[str, str]:
        """Return the headers that authenticate one attempt; see `ocihaul.session.credential.sign`.

        A subclass may sign elsewhere, for example with a signer of the official SDK.
        """
        return sign(
            self.key,
            self.key_id,
            method=method,
            target=target,
            host=host,
            date=date,
            json_body=json_body,
        )


class CredentialProvider(Protocol):
    """Hands out the current credential."""

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """Return the credential to sign with right now. Raises SessionError when there is none.

        Once `cancel` is set, a call that waits for a renewal returns the present credential.
        """
        ...

    def handle_unauthorized(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        """Handle a 401 to a request that was signed with `credential`.

        Returns True when there is a newer one to sign again with, False when this provider has no
        other. Raises SessionError when the session has expired or cannot be renewed.
        """
        ...


@dataclass(frozen=True, slots=True)
class UnsignedCredential(Credential):
    """The credential for a URL that carries its own right: requests get a date, no signature."""

    def sign(
        self, *, method: str, target: str, host: str, date: str, json_body: bytes | None = None
    ) -> dict[str, str]:
        """Return the headers that every request has."""
        del method, target, json_body
        return {"date": date, "host": host}


class AnonymousAuth:
    """The credential provider of unsigned requests."""

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  a protocol
        """Return a credential without a key: nothing can be signed by mistake."""
        return UnsignedCredential(cast("RSAPrivateKey", None), "", generation=0)

    def handle_unauthorized(
        self,
        credential: Credential,  # noqa: ARG002  a protocol
        operation: str,  # noqa: ARG002  a protocol
        cancel: StopSign | None = None,  # noqa: ARG002  a protocol
    ) -> bool:
        """Return False: there is no other credential."""
        return False


class ApiKey:
    """The credential provider of a long-lived API key: always the same credential."""

    def __init__(self, key: RSAPrivateKey, *, tenancy: str, user: str, fingerprint: str) -> None:
        self._credential = Credential(key, f"{tenancy}/{user}/{fingerprint}", generation=0)

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  a protocol
        """Return the credential of the key."""
        return self._credential

    def handle_unauthorized(
        self,
        credential: Credential,  # noqa: ARG002  a protocol
        operation: str,  # noqa: ARG002  a protocol
        cancel: StopSign | None = None,  # noqa: ARG002  a protocol
    ) -> bool:
        """Return False: a rejected API key stays rejected."""
        return False
