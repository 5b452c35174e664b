"""What owner and workers say to each other, as values of msgpack; pure.

A credential travels in answers only: never in a task, a plugin or a request, which Dask may log,
keep or spill.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ocihaul.errors import (
    CredentialError,
    OcihaulError,
    RenewalUnavailable,
    SessionError,
    SessionExpiredError,
    UsageError,
)
from ocihaul.session.credential import Credential, SessionToken
from ocihaul.session.store import load_key, private_pem

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
