"""Every rung and every outcome: what comes next, as one table."""

import pytest

from ocihaul.session.ladder import (
    Failed,
    Move,
    NotExtended,
    Outcome,
    Refused,
    Renewed,
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


@pytest.mark.parametrize("rung", ["refresh", "mint", "login"])
@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize(("usable", "table"), [(True, STANDS), (False, GONE)])
def test_what_follows(rung: str, name: str, usable: bool, table: dict[str, Move]) -> None:
    assert move(OUTCOMES[name], usable=usable) is table[name], rung


def test_every_failure_has_a_reason() -> None:
    for name, outcome in OUTCOMES.items():
        assert bool(reason_of(outcome)) == (name != "success")
