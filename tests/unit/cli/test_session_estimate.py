import pytest

from ocihaul.cli.client import LifetimeEstimator
from ocihaul.errors import SessionError
from ocihaul.events import BytesSent, ClockCorrected, Notice, TokenChanged, UploadPlanned
from tests.support import NOW, Hand, Recorder

PLAN = UploadPlanned("x", 10**10, 10**8, 100, 10, multipart=True)


def estimator(
    heard: Recorder, hand: Hand, *, rate: float | None = None, mints: str | None = None
) -> LifetimeEstimator:
    return LifetimeEstimator(heard, mints=mints, expected_rate=rate, monotonic=hand, now=hand)


def texts(heard: Recorder) -> list[str]:
    return [event.text for event in heard.events if isinstance(event, Notice)]


def test_it_is_said_before_the_first_byte_and_once_when_the_rate_is_known() -> None:
    heard, hand = Recorder(), Hand()
    told = estimator(heard, hand)
    told(TokenChanged("start", 1, NOW + 3600, NOW + 7200))
    told(PLAN)
    assert texts(heard) == [
        "the token ends in 60 min and can be renewed until " + "2027-01-15 10:00:00 UTC"
    ]
    for _ in range(40):
        hand.forward(1)
        told(BytesSent(1, 10**6))
    assert len(texts(heard)) == 2
    assert texts(heard)[1].startswith("at 0.95 MiB/s this needs 2.8 h; ")
    assert "it will pause then" in texts(heard)[1]


def test_finding_e08_a_long_read_before_the_first_byte_is_not_the_lines_rate() -> None:
    heard, hand = Recorder(), Hand()
    told = estimator(heard, hand)
    told(TokenChanged("start", 1, NOW + 36_000, NOW + 72_000))
    told(PLAN)
    hand.forward(500)
    for _ in range(30):
        hand.forward(1)
        told(BytesSent(1, 50 * 10**6))
    assert [text.split(";")[0] for text in texts(heard)[1:]] == ["at 48 MiB/s this needs 3 min"]


def test_an_api_key_needs_no_forecast() -> None:
    heard = Recorder()
    told = estimator(heard, Hand())
    told(PLAN)
    told.require(10**15)
    assert texts(heard) == []


def test_a_session_that_must_last_and_will_not_is_an_error_with_the_cure() -> None:
    told = estimator(Recorder(), Hand(), rate=1e6)
    told(TokenChanged("start", 1, NOW + 3600, NOW + 3600))
    told.require(10**9)
    with pytest.raises(SessionError, match="--renew-with"):
        told.require(10**10)


def test_a_session_that_cannot_be_judged_is_not_begun_either() -> None:
    told = estimator(Recorder(), Hand())
    told(TokenChanged("start", 1, NOW + 3600, NOW + 3600))
    with pytest.raises(SessionError, match="--expected-rate"):
        told.require(1)


def test_a_minted_session_always_lasts() -> None:
    told = estimator(Recorder(), Hand(), mints="BACKUP")
    told(TokenChanged("start", 1, NOW + 3600, NOW + 3600))
    told.require(10**15)


def test_of_a_stream_only_the_end_of_the_session_is_said() -> None:
    heard, hand = Recorder(), Hand()
    told = estimator(heard, hand, rate=1e6)
    told(TokenChanged("start", 1, NOW + 3600, NOW + 7200))
    told.require(None)
    told(UploadPlanned("x", None, 10**7, None, 10, multipart=True))
    for _ in range(40):
        hand.forward(1)
        told(BytesSent(1, 10**6))
    assert texts(heard) == [
        "the token ends in 60 min and can be renewed until 2027-01-15 10:00:00 UTC"
    ]


def test_finding_b18_a_forecast_is_made_by_the_clock_of_the_service() -> None:
    heard, hand = Recorder(), Hand()
    told = estimator(heard, hand)
    told(ClockCorrected(-7200.0))
    told(TokenChanged("start", 1, NOW - 7200 + 3600, NOW))
    told(PLAN)
    (text,) = texts(heard)
    assert text.startswith("the token ends in 60 min")
