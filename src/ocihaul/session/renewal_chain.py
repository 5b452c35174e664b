"""Ask the renewal providers in their order, and decide after each what comes next; pure.

The chain begins with the token file, which `Renewer` reads before it asks any provider: another
process may have renewed the session. Then come *refresh* and *mint*. Each ends in one of four
outcomes, and the next step depends only on the outcome and on whether the present token can still
be used. When all providers are exhausted and the token is dead, requests wait for a login.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ocihaul.errors import OcihaulError
from ocihaul.session.credential import Credential
from ocihaul.session.token import SessionToken


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
    """How far one renewal got; `provider` is the last one that was asked.

    `token` came from the provider `source` and is to be adopted; `note` is what a person should
    know about it. `exhausted` are the providers that will not renew this session and why.
    `failure` is why the last provider gave no answer: a later renewal may succeed.
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
    source, last, failure = None, "", None
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
            failure = reason_of(outcome)
        if step is NextStep.RETRY:
            break
    return RenewalResult(last, exhausted, spare, source, failure)
