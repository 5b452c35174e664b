"""What a request is signed with, and who hands it out."""

from dataclasses import dataclass, field
from typing import Protocol, cast

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ocihaul.session.token import SessionToken
from ocihaul.signing import sign
from ocihaul.transport.message import StopSign


@dataclass(frozen=True, slots=True)
class Credential:
    """A key and the name under which the service knows it; never shown by repr.

    `generation` counts the credentials of one session: a request remembers the generation that
    signed it, and a rejection of an old one renews nothing. `token` is None for an API key.
    """

    key: RSAPrivateKey = field(repr=False)
    key_id: str = field(repr=False)
    generation: int
    token: SessionToken | None = None

    @classmethod
    def of_token(cls, key: RSAPrivateKey, token: SessionToken, generation: int) -> "Credential":
        """The credential of a session token and its key."""
        return cls(key, f"ST${token.raw}", generation, token)

    def sign(
        self, *, method: str, target: str, host: str, date: str, json_body: bytes | None = None
    ) -> dict[str, str]:
        """The headers that authenticate one attempt; see `ocihaul.signing.sign`.

        A subclass may have them made elsewhere: by a signer of the official SDK, say.
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


@dataclass(frozen=True, slots=True)
class Unsigned(Credential):
    """What goes to a URL that carries its own right: requests are dated, and nothing else."""

    def sign(
        self, *, method: str, target: str, host: str, date: str, json_body: bytes | None = None
    ) -> dict[str, str]:
        """The headers that every request has."""
        del method, target, json_body
        return {"date": date, "host": host}


class Nobody:
    """The authority of requests that nobody signs."""

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  Authority
        """One without a key: there is nothing that could be sent by mistake."""
        return Unsigned(cast("RSAPrivateKey", None), "", generation=0)

    def rejected(
        self,
        credential: Credential,  # noqa: ARG002  Authority
        operation: str,  # noqa: ARG002  Authority
        cancel: StopSign | None = None,  # noqa: ARG002  Authority
    ) -> bool:
        """There is no other."""
        return False


class Authority(Protocol):
    """Hands out the credential of the moment."""

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """The credential to sign with right now; SessionError when there is none.

        Once `cancel` is set, a call that waits for one returns what there is.
        """
        ...

    def rejected(
        self, credential: Credential, operation: str, cancel: StopSign | None = None
    ) -> bool:
        """The service answered 401 to a request signed with `credential`.

        True when a newer one is there to sign again with. False when this authority has no
        other. Raises SessionError when renewal is over or out of reach.
        """
        ...


class ApiKey:
    """The authority of a long-lived API key: always the same credential."""

    def __init__(self, key: RSAPrivateKey, *, tenancy: str, user: str, fingerprint: str) -> None:
        self._credential = Credential(key, f"{tenancy}/{user}/{fingerprint}", generation=0)

    def credential(self, cancel: StopSign | None = None) -> Credential:  # noqa: ARG002  Authority
        """The one credential."""
        return self._credential

    def rejected(
        self,
        credential: Credential,  # noqa: ARG002  Authority
        operation: str,  # noqa: ARG002  Authority
        cancel: StopSign | None = None,  # noqa: ARG002  Authority
    ) -> bool:
        """A rejected API key stays rejected."""
        return False
