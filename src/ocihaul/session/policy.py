"""Decide when to renew a token and how, when to wait, and when it has expired; pure.

Everything comes in as a value: the time, the token, its history, the outcome of an attempt. The
functions here are the whole truth about renewal, and their tests need neither clock nor sleep.

The renewal chain begins with the token file, which `Renewer` reads before it asks any provider:
another process may have renewed the session. Then come *refresh* and *mint*. Each ends in one of
four outcomes, and the next step depends only on the outcome and on whether the present token can
still be used. When all providers are exhausted and the token is dead, requests wait for a login.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ocihaul.errors import OcihaulError
from ocihaul.session.credential import Credential, SessionToken

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


@dataclass(frozen=True, slots=True)
class Renewed:
    """A new token that lives longer than the one before.

    `note` is what a person should know about it: not everything asked for was granted.
    """

    token: SessionToken
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NotExtended:
    """An answer of success, but the token ends no later than the old one: no success."""

    token: SessionToken


@dataclass(frozen=True, slots=True)
class Refused:
    """This provider will not renew this session any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No usable answer this time; a later try may succeed.

    `setting` is the error where a setting is wrong, such as a proxy that wants a password. A
    running session tries again all the same: the path to the service may recover.
    """

    reason: str
    setting: OcihaulError | None = field(default=None, compare=False)


Outcome = Renewed | NotExtended | Refused | Failed

#: The names of the providers, which are the sources in `TokenChanged`, too.
REFRESH = "refresh"
MINT = "mint"

#: Why a refresh that changes nothing counts as a refusal.
NOT_MOVED = "the refresh did not move the token's end, so the session is at its own"


#: A provider: takes the credential to renew and the seconds that the attempt may take.
Provider = Callable[[Credential, float], Outcome]


class NextStep(Enum):
    """What to do after one provider."""

    ADOPT = "adopt the new token"
    EXHAUST = "this provider is exhausted: ask the next one"
    SKIP = "this provider failed for now: ask the next one"
    RETRY = "try again after a pause"


def next_step(outcome: Outcome, *, usable: bool) -> NextStep:
    """Return what follows an outcome; `usable` says whether the present token still stands.

    While the token stands, a passing failure is waited out: a stronger provider (a minted session,
    a person at a browser) is not used for a hiccup of the refresh endpoint.
    """
    match outcome:
        case Renewed():
            return NextStep.ADOPT
        case NotExtended() | Refused():
            return NextStep.EXHAUST
        case Failed():
            return NextStep.RETRY if usable else NextStep.SKIP


def reason_of(outcome: Outcome) -> str:
    """Return why a provider did not renew."""
    match outcome:
        case NotExtended():
            return NOT_MOVED
        case Refused(reason) | Failed(reason):
            return reason
        case Renewed():
            return ""


@dataclass(frozen=True, slots=True)
class RenewalResult:
    """How far one renewal got; `provider` is the last one that was asked, or that has failed.

    `token` came from the provider `source` and is to be adopted; `note` is what a person should
    know about it. `exhausted` are the providers that will not renew this session and why.
    `failure` is why `provider` gave no answer: a later renewal may succeed.
    """

    provider: str
    exhausted: Mapping[str, str]
    token: SessionToken | None = None
    source: str | None = None
    failure: str | None = None
    note: str | None = None


def run_chain(
    providers: Mapping[str, Provider],
    exhausted: Mapping[str, str],
    *,
    ask: Callable[[Provider], Outcome],
    is_usable: Callable[[], bool],
    has_moved_on: Callable[[], bool],
) -> RenewalResult | None:
    """Ask the providers in their order, without the exhausted ones, until one renews.

    Returns None when another process turns out to have renewed the session. A refresh that gave a
    token without more life is the last resort: the old token may have died of it.
    """
    exhausted = dict(exhausted)
    spare: SessionToken | None = None
    source, last, failed, failure = None, "", None, None
    for name, provider in providers.items():
        if name in exhausted:
            continue
        outcome = ask(provider)
        if isinstance(outcome, Renewed):
            return RenewalResult(name, exhausted, outcome.token, name, note=outcome.note)
        step = next_step(outcome, usable=is_usable())
        last = name
        if step is NextStep.EXHAUST:
            if has_moved_on():
                return None
            exhausted[name] = reason_of(outcome)
            if isinstance(outcome, NotExtended):
                spare, source = outcome.token, name
        else:
            failed, failure = name, reason_of(outcome)
        if step is NextStep.RETRY:
            break
    return RenewalResult(failed or last, exhausted, spare, source, failure)
