"""Every rung and every outcome: what comes next, as one table."""

import pytest

from ocihaul.session.ladder import (
    MINT,
    REFRESH,
    Climbed,
    Failed,
    Move,
    NotExtended,
    Outcome,
    Refused,
    Renewed,
    Rung,
    climb,
    move,
    reason_of,
)
from ocihaul.session.token import SessionToken
from tests.support import NOW

TOKEN = SessionToken("t", NOW, NOW + 3600, None, None, None)

#: How the world's answers become outcomes is tested with each rung; the names say which is which.
OUTCOMES: dict[str, Outcome] = {
    "success": Renewed(TOKEN),
    "not extended": NotExtended(TOKEN),
    "refused": Refused("401 NotAuthenticated"),
    "network error": Failed("connection refused"),
    "garbage": Failed("answered 200 with something that is not JSON"),
    "hang": Failed("the server took more than 10 s to answer"),
}

STANDS = {
    "success": Move.ADOPT,
    "not extended": Move.CLIMB,
    "refused": Move.CLIMB,
    "network error": Move.LATER,
    "garbage": Move.LATER,
    "hang": Move.LATER,
}
GONE = {**STANDS, "network error": Move.SKIP, "garbage": Move.SKIP, "hang": Move.SKIP}


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize(("usable", "table"), [(True, STANDS), (False, GONE)])
def test_what_follows_an_outcome(name: str, usable: bool, table: dict[str, Move]) -> None:
    assert move(OUTCOMES[name], usable=usable) is table[name]


#: The first rung is *reread*: it succeeds when somebody else has renewed meanwhile.
RUNGS = (REFRESH, MINT)


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("usable", [True, False], ids=["the token stands", "the token is gone"])
@pytest.mark.parametrize("reread", [False, True], ids=["alone", "somebody else renewed"])
def test_every_rung_and_every_outcome(rung: str, name: str, usable: bool, reread: bool) -> None:
    """The rungs below it are spent; the one above it, if there is one, renews."""
    asked: list[str] = []
    outcome, above = OUTCOMES[name], SessionToken("above", NOW, NOW + 7200, None, None, None)

    def make(each: str) -> Rung:
        def ask(*_: object) -> Outcome:
            asked.append(each)
            return outcome if each == rung else Renewed(above)

        return ask

    index = RUNGS.index(rung)
    spent = dict.fromkeys(RUNGS[:index], "spent before")
    climbed = climb(
        {each: make(each) for each in RUNGS},
        spent,
        ask=lambda each: each(None, 1.0),  # type: ignore[arg-type]  # nobody looks at it
        is_usable=lambda: usable,
        has_moved_on=lambda: reread,
    )
    step = (STANDS if usable else GONE)[name]
    next_rung = RUNGS[index + 1] if index + 1 < len(RUNGS) else None
    if step is Move.ADOPT:
        assert climbed == Climbed(rung, TOKEN, spent)
    elif step is Move.CLIMB and reread:
        assert climbed is None, "a refusal may be somebody else's doing"
    elif step is Move.LATER:
        assert climbed == Climbed(rung, None, spent, failure=reason_of(outcome))
    else:
        assert climbed is not None
        now_spent = spent | ({rung: reason_of(outcome)} if step is Move.CLIMB else {})
        assert climbed.spent == now_spent
        if next_rung is not None:
            assert (climbed.rung, climbed.token) == (next_rung, above)
        else:  # the last one: what is left is to park, or to try again
            spare = TOKEN if isinstance(outcome, NotExtended) else None
            failure = reason_of(outcome) if step is Move.SKIP else None
            assert (climbed.token, climbed.failure) == (spare, failure)
    goes_on = step in {Move.CLIMB, Move.SKIP} and climbed is not None
    assert asked == [rung, *([next_rung] if goes_on and next_rung else [])]


def test_every_failure_has_a_reason() -> None:
    for name, outcome in OUTCOMES.items():
        assert bool(reason_of(outcome)) == (name != "success")
