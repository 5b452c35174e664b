"""Which rung comes next; pure.

The ladder has rungs in this order: *reread* the file (the store does that before any rung), then
those that ask somebody: *refresh*, *mint*. Each ends in one of four outcomes, and what follows
depends only on the outcome and on whether the present token can still be used. When no rung is left
and the token is dead, the session *parks* and watches the file, where a person's *login* appears.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from ocihaul.errors import OcihaulError
from ocihaul.session.credential import Credential
from ocihaul.session.token import SessionToken


@dataclass(frozen=True, slots=True)
class Renewed:
    """A new token; it lives longer than the one before.

    `note` is what a person should know about it: not all that was asked for was granted.
    """

    token: SessionToken
    note: str | None = None


@dataclass(frozen=True, slots=True)
class NotExtended:
    """An answer of success, but the token ends no later than the old one: no success."""

    token: SessionToken


@dataclass(frozen=True, slots=True)
class Refused:
    """This rung will not renew this session any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """No usable answer this time; a later try may succeed.

    `setting` is the error where one is to be corrected, such as a proxy that wants a password: a
    running session tries again all the same, since something may have come between.
    """

    reason: str
    setting: OcihaulError | None = field(default=None, compare=False)


Outcome = Renewed | NotExtended | Refused | Failed

#: The names of the rungs that ask an auth service.
REFRESH = "refresh"
MINT = "mint"

#: Why a refresh that changes nothing counts as a refusal.
NOT_MOVED = "the refresh did not move the token's end, so the session is at its own"


#: A rung that asks: takes the credential to renew and the seconds that the attempt may take.
Rung = Callable[[Credential, float], Outcome]


class Move(Enum):
    """What to do after one rung."""

    ADOPT = "adopt the new token"
    CLIMB = "this rung is spent: take the next one"
    SKIP = "this rung failed for now: take the next one"
    LATER = "try again after a pause"


def move(outcome: Outcome, *, usable: bool) -> Move:
    """What follows an outcome, where `usable` says whether the present token still stands.

    A passing failure is waited out as long as the token stands: a stronger rung (a minted session,
    a person at a browser) is not taken for a hiccup of the refresh endpoint.
    """
    match outcome:
        case Renewed():
            return Move.ADOPT
        case NotExtended() | Refused():
            return Move.CLIMB
        case Failed():
            return Move.LATER if usable else Move.SKIP


def reason_of(outcome: Outcome) -> str:
    """Why a rung did not renew."""
    match outcome:
        case NotExtended():
            return NOT_MOVED
        case Refused(reason) | Failed(reason):
            return reason
        case Renewed():
            return ""


@dataclass(frozen=True, slots=True)
class Climbed:
    """How far a climb got, and on which rung it ended.

    `token` is to be adopted: it came from the rung `giver` (`note`: what a person should know about
    it). `spent` are the rungs that will not renew this session and why, `failure` is why the last
    rung did not answer: a later climb may succeed.
    """

    rung: str
    spent: Mapping[str, str]
    token: SessionToken | None = None
    giver: str | None = None
    failure: str | None = None
    note: str | None = None


def climb(
    rungs: Mapping[str, Rung],
    spent: Mapping[str, str],
    *,
    ask: Callable[[Rung], Outcome],
    is_usable: Callable[[], bool],
    has_moved_on: Callable[[], bool],
) -> Climbed | None:
    """Ask the rungs in their order, but for the spent ones, until one renews.

    None when the session turns out to have been renewed by somebody else. A refresh that gave a
    token without more life is the last resort: the old token may have died of it.
    """
    spent = dict(spent)
    spare: SessionToken | None = None
    giver, last, failure = None, "", None
    for name, rung in rungs.items():
        if name in spent:
            continue
        outcome = ask(rung)
        if isinstance(outcome, Renewed):
            return Climbed(name, spent, outcome.token, name, note=outcome.note)
        step = move(outcome, usable=is_usable())
        last = name
        if step is Move.CLIMB:
            if has_moved_on():
                return None
            spent[name] = reason_of(outcome)
            if isinstance(outcome, NotExtended):
                spare, giver = outcome.token, name
        else:
            failure = reason_of(outcome)
        if step is Move.LATER:
            break
    return Climbed(last, spent, spare, giver, failure)


def refusal(rungs: Mapping[str, Rung], spent: Mapping[str, str]) -> str | None:
    """Why no rung is left; None as long as one is."""
    if not rungs.keys() <= spent.keys():
        return None
    return "; ".join(f"{rung}: {reason}" for rung, reason in spent.items())
