"""The session that a cluster shares: its name, and what owner and workers say to each other.

The messages are values of msgpack. A credential travels in answers only: never in a task, a plugin
or a request, which Dask may log, keep or spill. The name may go into tasks, and stand on any disk.

Each process has a table of the providers that it can use: the owner its session, a worker what
asks the owner. They are looked for when they are used, so a scheduler that unpickles a graph needs
none.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ocihaul.errors import (
    CredentialError,
    OcihaulError,
    RenewalUnavailable,
    SessionError,
    SessionExpiredError,
    UsageError,
)
from ocihaul.session.credential import Credential, CredentialProvider, SessionToken
from ocihaul.session.store import load_key, private_pem
from ocihaul.threads import StopSign

if TYPE_CHECKING:
    from ocihaul.integrations.oci_sdk import SessionSigner


#: Changes whenever a message does: owner and workers have to have the same one.
PROTOCOL = 1

CREDENTIAL = "ocihaul_credential"
REJECTED = "ocihaul_rejected"

#: The part of a token's life that is left when a worker asks for the next one. The owner renews at
#: half of the life, a twentieth more or less.
_ASK_AT = 0.4
#: Between two questions that bring nothing new: that part of the life, and seconds at least.
_ASK_AGAIN, _ASK_AGAIN_AT_LEAST = 0.02, 0.25

_ERRORS: dict[str | None, type[OcihaulError]] = {
    each.code: each
    for each in (
        SessionError,
        CredentialError,
        SessionExpiredError,
        RenewalUnavailable,
        UsageError,
    )
}

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Held:
    """A credential as a worker has it; times are of its own monotonic clock, seconds."""

    credential: Credential
    ask_at: float
    usable_until: float
    life: float

    def postponed(self, now: float) -> "Held":
        """The same, for which the owner had nothing newer or no answer."""
        again = now + max(self.life * _ASK_AGAIN, _ASK_AGAIN_AT_LEAST)
        return Held(self.credential, again, self.usable_until, self.life)


def answer(credential: Credential, *, known: int | None, now: float) -> Message:
    """The owner's answer to a worker that has generation `known`; `now` is the service's time."""
    token = credential.token
    if token is None:
        raise UsageError("an API key is not handed out (allowed: the token of a session)")
    left = token.expires_at - now
    life = token.expires_at - (token.issued_at if token.issued_at is not None else now)
    message: Message = {"generation": credential.generation, "left": left, "life": max(life, 0.0)}
    if credential.generation != known:
        message |= {"token": token.raw, "key": private_pem(credential.key)}
    return message


def failure(error: OcihaulError) -> Message:
    """The owner's answer when there is no credential."""
    known = error if error.code in _ERRORS else SessionError(error.message, hint=error.hint)
    return {"error": known.code, "message": known.message, "hint": known.hint}


def refusal(worker: str, protocol: int, version: str, *, ours: str) -> Message | None:
    """The answer to a worker that speaks another protocol; None where it is ours."""
    if protocol == PROTOCOL:
        return None
    return failure(
        UsageError(
            f"worker {worker} has ocihaul {version}, the owner of the session has {ours}",
            hint="Install the same version on all of them.",
        )
    )


def held(message: Mapping[str, Any], before: Held | None, now: float) -> Held:
    """What a worker has after an answer; `before` is what it had when it asked.

    Raises the owner's error; CredentialError for what is no answer.
    """
    if message.get("error") is not None:
        kind = _ERRORS.get(message["error"], SessionError)
        raise kind(str(message.get("message")), hint=message.get("hint"))
    try:
        generation, left = int(message["generation"]), float(message["left"])
        life = float(message["life"])
        if before is not None and before.credential.generation == generation:
            credential = before.credential
        else:
            token = SessionToken.parse(message["token"])
            key = load_key(message["key"], where="the key of the shared session")
            credential = Credential.of_token(key, token, generation)
    except (KeyError, TypeError, ValueError):
        raise CredentialError("the owner of the session gave no answer that can be used") from None
    found = Held(credential, now + left - life * _ASK_AT, now + left, life)
    return found if found.ask_at > now else found.postponed(now)


_lock = threading.Lock()  # guards _providers
#: By name; one process may have several workers, of which the last one counts.
_providers: dict[str, list[CredentialProvider]] = {}


def provide(name: str, provider: CredentialProvider) -> None:
    """Use `provider` in this process."""
    with _lock:
        _providers.setdefault(name, []).append(provider)


def withdraw(name: str, provider: CredentialProvider) -> None:
    """Use it no longer; harmless when it was not used."""
    with _lock:
        left = [each for each in _providers.get(name, []) if each is not provider]
        if left:
            _providers[name] = left
        else:
            _providers.pop(name, None)


def provider_of(name: str) -> CredentialProvider:
    """What this process has. Raises SessionError when it has none."""
    with _lock:
        found = _providers.get(name)
        if found:
            return found[-1]
    raise SessionError(
        f"there is no session {name!r} in this process",
        hint="It is there on the workers of the cluster that it is shared with, until its owner "
        "closes it or ends.",
    )


class SharedSession:
    """A credential provider for every process of the cluster. Thread-safe, and small when pickled.

    Whatever takes a `Session` takes it: `oci_sdk.signer`, `Client.from_credentials`. Use it as a
    context manager in the process that owns the session, or call `close` there.
    """

    def __init__(
        self, name: str, *, region: str | None = None, close: Callable[[], None] | None = None
    ) -> None:
        self.name = name
        self.region = region
        self._close = close

    def __repr__(self) -> str:
        return f"SharedSession({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _by_name, (self.name, self.region)

    def __dask_tokenize__(self) -> tuple[str, str, str | None]:
        """What tells it from others, for the names of Dask's tasks."""
        return type(self).__qualname__, self.name, self.region

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def credential(self, cancel: StopSign | None = None) -> Credential:
        """Return the credential to sign with now; raises SessionError as a Session does."""
        return provider_of(self.name).credential(cancel)

    def handle_unauthorized(
        self, credential: Credential, operation: str = "request", cancel: StopSign | None = None
    ) -> bool:
        """Handle a 401; see `Session.handle_unauthorized`. All workers get one renewal."""
        return provider_of(self.name).handle_unauthorized(credential, operation, cancel)

    def signer(self) -> "SessionSigner":
        """A signer for the official SDK, and for ocifs; it may go into tasks. Needs `oci`."""
        from ocihaul.integrations.oci_sdk import SharedSigner

        return SharedSigner(self, region=self.region)

    def close(self) -> None:
        """Share it no longer; the session itself stays open. Does nothing on a worker."""
        if self._close is not None:
            close, self._close = self._close, None
            close()


def _by_name(name: str, region: str | None) -> SharedSession:
    return SharedSession(name, region=region)
