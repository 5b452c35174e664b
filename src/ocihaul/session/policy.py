"""When to renew, when to wait, when to give up; pure.

Everything comes in as a value: the time, the token, and what has happened to it so far. So the
rules below are the whole truth about renewal, and their tests need neither clock nor sleep.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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


class Verdict(Enum):
    """What to do about the present token."""

    KEEP = "keep"
    RENEW_SOON = "renew soon"
    RENEW_NOW = "renew now"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class History:
    """What has happened to the present token.

    `since` is when it was adopted; `spread` in -1..1 is this holder's own share of the jitter.
    `rejected`: the service answered 401 to it. `spent`: the rungs that will not renew it, and why;
    `refused`: the same in one sentence once no other rung is left.
    `failures` counts renewals in a row that failed for a passing reason; the next is due at
    `retry_at`. Times are epoch seconds by the service's clock.
    """

    since: float
    spread: float = 0.0
    rejected: bool = False
    spent: Mapping[str, str] = field(default_factory=dict)
    refused: str | None = None
    failures: int = 0
    retry_at: float = 0.0


def life(token: SessionToken, history: History) -> float:
    """The token's whole life in seconds; counted from its adoption when it does not say."""
    born = token.issued_at if token.issued_at is not None else history.since
    return max(token.expires_at - born, 0.0)


def due_at(token: SessionToken, history: History) -> float:
    """When the background renewal is due, were there no failures."""
    share = 1 - (_DUE + _SPREAD * history.spread)
    return token.expires_at - share * life(token, history)


def retry_in(now: float, history: History) -> float:
    """Seconds that the backoff still lasts.

    One that seems far longer than the longest was reckoned by a clock that has been set back
    since, and to wait for its end could cost the session.
    """
    left = history.retry_at - now
    return left if 0 < left <= 2 * _LONGEST_BACKOFF else 0.0


def margin_at(token: SessionToken, history: History) -> float:
    """From when on nothing new should be signed with the token."""
    return token.expires_at - min(_MARGIN * life(token, history), _LONGEST_MARGIN)


def is_usable(now: float, token: SessionToken, history: History) -> bool:
    """Whether the service may still accept the token."""
    return not history.rejected and now < token.expires_at


def decide(now: float, token: SessionToken, history: History) -> Verdict:
    """What to do at `now`."""
    if history.refused is not None:
        return Verdict.KEEP if is_usable(now, token, history) else Verdict.OVER
    if history.rejected or now >= margin_at(token, history):
        return Verdict.RENEW_NOW
    if now >= due_at(token, history) and not retry_in(now, history):
        return Verdict.RENEW_SOON
    return Verdict.KEEP


def backoff(now: float, token: SessionToken, history: History, chance: float) -> float:
    """Seconds until the next attempt after `history.failures` failures; `chance` is in 0..1.

    Full jitter between the first and the longest backoff, cut short where the token's remaining
    life would otherwise not leave room for three more tries.
    """
    ceiling = min(_FIRST_BACKOFF * 2.0 ** min(history.failures, 16), _LONGEST_BACKOFF)
    delay = _FIRST_BACKOFF + chance * (ceiling - _FIRST_BACKOFF)
    if is_usable(now, token, history):
        delay = min(delay, (token.expires_at - now) / (_TRIES + 1))
    return max(delay, _SHORTEST_WAIT)


def attempt_timeout(now: float, token: SessionToken, history: History) -> float:
    """Seconds that one renewal attempt may take, so that a hanging one leaves room for others."""
    if not is_usable(now, token, history):
        return 10.0
    return min(max((token.expires_at - now) / (_TRIES + 1), 1.0), 10.0)
