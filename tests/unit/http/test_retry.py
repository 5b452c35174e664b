import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocihaul.http.retry import Action, RetryPolicy, classify, rejection_delay, retry_after
from tests.support import NOW


@pytest.mark.parametrize(
    ("status", "code", "action"),
    [
        (301, None, Action.FAIL),
        (400, "InvalidParameter", Action.FAIL),
        (401, "NotAuthenticated", Action.ASK_SESSION),
        (403, None, Action.FAIL),
        (404, "BucketNotFound", Action.FAIL),
        (409, "ConcurrentObjectUpdate", Action.RETRY),
        (409, "NotRestored", Action.FAIL),
        (412, "IfNoneMatchFailed", Action.FAIL),
        (429, "TooManyRequests", Action.RETRY),
        (500, None, Action.RETRY),
        (501, "NotImplemented", Action.FAIL),
        (503, None, Action.RETRY),
    ],
)
def test_taxonomy(status: int, code: str | None, action: Action) -> None:
    assert classify(status, code) is action


def test_an_outage_of_minutes_is_survived_and_eight_attempts_are_always_made() -> None:
    policy = RetryPolicy()
    assert not policy.gives_up(100, 599)
    assert not policy.gives_up(7, 10_000)
    assert policy.gives_up(8, 600)


def test_where_nothing_answers_a_person_waits_for_seconds() -> None:
    waited_for = RetryPolicy(unreachable=5.0)
    assert not waited_for.gives_up(3, 4.9, unreachable=True)
    assert waited_for.gives_up(3, 5.0, unreachable=True)
    assert not waited_for.gives_up(30, 599.0), "a service that answers badly is another matter"
    assert not RetryPolicy().gives_up(7, 10_000, unreachable=True)
    assert RetryPolicy(max_attempts=2, unreachable=5.0).gives_up(2, 0.0, unreachable=True)
    assert not RetryPolicy(max_attempts=2, unreachable=5.0).gives_up(1, 60.0, unreachable=True)


def test_max_attempts_is_exact() -> None:
    assert not RetryPolicy(max_attempts=3).gives_up(2, 10_000)
    assert RetryPolicy(max_attempts=3).gives_up(3, 0)
    assert RetryPolicy(max_attempts=1).gives_up(1, 0)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_delay_is_within_its_bounds(attempts: int, chance: float) -> None:
    assert 0 <= RetryPolicy().delay(attempts, chance, None) <= 30


def test_the_service_may_ask_for_more_but_not_for_ever() -> None:
    assert RetryPolicy().delay(1, 0.0, 17.0) == 17
    assert RetryPolicy().delay(1, 0.0, 1e9) == 300


@pytest.mark.parametrize(
    ("rejections", "longest"), [(1, 0.0), (2, 0.5), (3, 1.0), (4, 2.0), (5, 4.0)]
)
def test_rejections_in_a_row_are_spaced(rejections: int, longest: float) -> None:
    assert rejection_delay(rejections, 1.0) == longest
    assert rejection_delay(rejections, 0.0) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12.0),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_no_retry_after_is_none() -> None:
    assert retry_after({}, NOW) is None
