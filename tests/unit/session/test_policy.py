"""The rules of renewal as tables: no clock, no sleep."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.session import policy
from ocihaul.session.credential import SessionToken
from ocihaul.session.policy import Decision, History
from tests.support import NOW

HOUR = 3600.0


def token(life: float = HOUR, *, iat: bool = True) -> SessionToken:
    return SessionToken("t", NOW if iat else None, NOW + life, None, None, None)


FRESH = History(since=NOW)
FAILING = History(since=NOW, failures=2, retry_at=NOW + 2000)
REJECTED = History(since=NOW, rejected=True)
REFUSED = History(since=NOW, renewal_error="session ended")
LAST_TRY = History(since=NOW, renewal_error="session ended", last_try=True)


@pytest.mark.parametrize(
    ("after", "history", "verdict"),
    [
        (0, FRESH, Decision.KEEP),
        (1799, FRESH, Decision.KEEP),
        (1800, FRESH, Decision.RENEW_SOON),
        (3479, FRESH, Decision.RENEW_SOON),
        (3480, FRESH, Decision.RENEW_NOW),  # the last tenth, at most two minutes
        (9999, FRESH, Decision.RENEW_NOW),
        (1, REJECTED, Decision.RENEW_NOW),
        (1900, FAILING, Decision.KEEP),  # backing off
        (2000, FAILING, Decision.RENEW_SOON),
        (3480, FAILING, Decision.RENEW_NOW),
        (1900, REFUSED, Decision.KEEP),  # it cannot be renewed, but it stands
        (3599, REFUSED, Decision.KEEP),
        (3600, REFUSED, Decision.EXPIRED),
        (1, History(since=NOW, renewal_error="x", rejected=True), Decision.EXPIRED),
        (1, LAST_TRY, Decision.KEEP),  # `exp` is a hint, a 401 is the truth
        (9999, LAST_TRY, Decision.KEEP),
        (1, replace(LAST_TRY, rejected=True), Decision.EXPIRED),
        (9999, replace(LAST_TRY, rejected=True), Decision.EXPIRED),
    ],
)
def test_verdicts(after: float, history: History, verdict: Decision) -> None:
    assert policy.decide(NOW + after, token(), history) is verdict


@pytest.mark.parametrize("history", [REFUSED, replace(REFUSED, rejected=True)])
def test_there_is_one_last_try(history: History) -> None:
    trying = policy.with_last_try(history)
    assert trying == LAST_TRY
    assert policy.with_last_try(trying) is None
    assert policy.with_last_try(replace(trying, rejected=True)) is None


@pytest.mark.parametrize(("spread", "minutes"), [(-1, 27), (0, 30), (1, 33)])
def test_renewal_of_an_hour_is_due_between_27_and_33_minutes(spread: float, minutes: int) -> None:
    history = History(since=NOW, spread=spread)
    assert policy.due_at(token(), history) == pytest.approx(NOW + minutes * 60)


@pytest.mark.parametrize("life", [30, 300, 3600, 5400, 7200, 86400])
def test_nothing_assumes_an_hour(life: float) -> None:
    assert policy.due_at(token(life), FRESH) == NOW + life / 2
    margin = NOW + life - policy.margin_at(token(life), FRESH)
    assert margin == min(life / 10, 120)


def test_a_token_without_iat_lives_from_its_adoption() -> None:
    history = History(since=NOW + 600)
    assert policy.due_at(token(HOUR, iat=False), history) == NOW + 600 + 1500


@given(st.floats(0, 1), st.integers(1, 50))
def test_an_outage_leaves_three_tries_before_the_end(chance: float, failures: int) -> None:
    now, tries = NOW + 1800, 0
    while now < NOW + HOUR:
        tries += 1
        history = History(since=NOW, failures=failures + tries)
        now += policy.attempt_timeout(now, token(), history)
        now += policy.backoff(now, token(), history, chance)
    assert tries >= 3


@given(st.floats(0, 1), st.integers(0, 1000), st.floats(-1000, 8000))
def test_backoff_is_bounded(chance: float, failures: int, after: float) -> None:
    history = History(since=NOW, failures=failures)
    assert 0.1 <= policy.backoff(NOW + after, token(), history, chance) <= 60


def test_backoff_grows_with_failures_once_the_token_is_gone() -> None:
    delays = [
        policy.backoff(NOW + HOUR, token(), History(since=NOW, failures=n), 1.0) for n in range(8)
    ]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
