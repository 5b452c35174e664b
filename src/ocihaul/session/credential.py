"""What signs a request: the credential, the providers that hand it out, and the signature.

draft-cavage-http-signatures-08 as OCI uses it: RSA PKCS#1 v1.5 with SHA-256, version "1"
(https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm). Which headers are
signed depends on the body: none, a JSON document, or the bytes of an object, whose content
headers Object Storage exempts. Each signature that is made is held for redaction.
"""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Protocol, cast

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ocihaul.redaction import hold
from ocihaul.session.token import SessionToken
from ocihaul.transport.message import StopSign


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
    """The headers that authenticate one attempt of one request, lower-case.

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
