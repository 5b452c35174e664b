"""Decide when to renew a token, when to wait, and when it has expired; pure.

Everything comes in as a value: the time, the token, and its history. The functions here are the
whole truth about renewal, and their tests need neither clock nor sleep.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ocihaul.session.token import SessionToken

#: A renewal is due at this share of the token's own life, give or take `_SPREAD`, so that
#: processes that share a session do not all wake at once.
_DUE = 0.5
_SPREAD = 0.05
#: The last share of the life, at most this many seconds, in which nothing new is signed.
_MARGIN = 0.1
_LONGEST_MARGIN = 120.0
#: Backoff between attempts, seconds.
_FIRST_BACKOFF = 1.0
_LONGEST_BACKOFF = 60.0
_SHORTEST_WAIT = 0.1
#: At least this many tries have to fit before the token expires.
_TRIES = 3


class Decision(Enum):
    """What to do about the present token."""

    KEEP = "keep"
    RENEW_SOON = "renew soon"
    RENEW_NOW = "renew now"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class History:
    """What has happened to the present token.

    `since` is when it was adopted; `spread` in -1..1 is the share of the jitter of this process.
    `rejected`: the service answered 401 to it. `last_try`: no provider can renew it, and one more
    request is signed with it whatever the clock or an earlier 401 said; a 401 to that is final.
    `exhausted`: the providers that will not renew it, and why; `renewal_error`: the same in one
    sentence once no other provider is left. `failures` counts renewals in a row that failed for a
    passing reason; the next is due at `retry_at`. Times are epoch seconds by the service's clock.
    """

    since: float
    spread: float = 0.0
    rejected: bool = False
    last_try: bool = False
    exhausted: Mapping[str, str] = field(default_factory=dict)
    renewal_error: str | None = None
    failures: int = 0
    retry_at: float = 0.0


def life(token: SessionToken, history: History) -> float:
    """Return the token's whole life in seconds; without `iat` it counts from the adoption."""
    born = token.issued_at if token.issued_at is not None else history.since
    return max(token.expires_at - born, 0.0)


def due_at(token: SessionToken, history: History) -> float:
    """Return when the background renewal is due, failures left out."""
    share = 1 - (_DUE + _SPREAD * history.spread)
    return token.expires_at - share * life(token, history)


def retry_in(now: float, history: History) -> float:
    """Return the seconds that the backoff still lasts.

    A wait far longer than the longest backoff comes from a clock that has been set back since;
    waiting for its end could cost the session.
    """
    left = history.retry_at - now
    return left if 0 < left <= 2 * _LONGEST_BACKOFF else 0.0


def margin_at(token: SessionToken, history: History) -> float:
    """Return when to stop signing new requests with the token."""
    return token.expires_at - min(_MARGIN * life(token, history), _LONGEST_MARGIN)


def is_usable(now: float, token: SessionToken, history: History) -> bool:
    """Return whether the service may still accept the token; `exp` is a hint, a 401 the truth."""
    return not history.rejected and (now < token.expires_at or history.last_try)


def decide(now: float, token: SessionToken, history: History) -> Decision:
    """Return what to do at `now`."""
    if history.renewal_error is not None:
        return Decision.KEEP if is_usable(now, token, history) else Decision.EXPIRED
    if history.rejected or now >= margin_at(token, history):
        return Decision.RENEW_NOW
    if now >= due_at(token, history) and not retry_in(now, history):
        return Decision.RENEW_SOON
    return Decision.KEEP


def renewal_error(providers: Iterable[str], exhausted: Mapping[str, str]) -> str | None:
    """Return why no provider is left; None as long as one is."""
    if not set(providers) <= exhausted.keys():
        return None
    return "; ".join(f"{name}: {reason}" for name, reason in exhausted.items())


def with_last_try(history: History) -> History | None:
    """Return the history of a token that gets its last try; None when it has had it."""
    return None if history.last_try else replace(history, last_try=True, rejected=False)


def backoff(now: float, token: SessionToken, history: History, jitter: float) -> float:
    """Return the seconds until the next attempt after `history.failures` failures.

    Full jitter (`jitter` is in 0..1) between the first and the longest backoff, cut short where the
    token's remaining life would otherwise not leave room for three more tries.
    """
    ceiling = min(_FIRST_BACKOFF * 2.0 ** min(history.failures, 16), _LONGEST_BACKOFF)
    delay = _FIRST_BACKOFF + jitter * (ceiling - _FIRST_BACKOFF)
    if is_usable(now, token, history):
        delay = min(delay, (token.expires_at - now) / (_TRIES + 1))
    return max(delay, _SHORTEST_WAIT)


def attempt_timeout(now: float, token: SessionToken, history: History) -> float:
    """Return the seconds for one renewal attempt: one that hangs must leave room for others."""
    if not is_usable(now, token, history):
        return 10.0
    return min(max((token.expires_at - now) / (_TRIES + 1), 1.0), 10.0)
