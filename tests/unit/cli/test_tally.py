"""How far an upload is, from events and a clock that is handed in."""

from hypothesis import given
from hypothesis import strategies as st

from ocihaul.cli.progress import Tally
from ocihaul.events import BytesSent, ClockCorrected, PartFinished, TokenChanged, UploadPlanned

MIB = 1024 * 1024


def planned(parts: int = 4, part: int = 10 * MIB) -> Tally:
    tally = Tally()
    tally.add(
        UploadPlanned(
            name="x", size=parts * part, part_size=part, part_count=parts, parallel=2,
            multipart=True,
        ),
        0.0,
    )  # fmt: skip
    return tally


def test_bytes_time_left_parts_and_token_are_in_one_line() -> None:
    tally = planned()
    tally.add(TokenChanged("start", 1, expires_at=1000.0, session_ends_at=None), 0.0)
    for second in range(1, 11):
        tally.add(BytesSent(1, MIB), float(second))
    tally.add(PartFinished(1, 10 * MIB), 10.0)
    assert tally.line(10.0, now=400.0) == (
        "25% (10.0 MiB of 40.0 MiB), 1.0 MiB/s, 30 s left, parts 1/4, token 10 min 00 s"
    )


def test_before_anything_is_sent_no_time_is_promised() -> None:
    assert planned().line(0.0, now=0.0) == (
        "0% (0 bytes of 40.0 MiB), starting, time left unknown, parts 0/4"
    )


def test_bytes_of_a_discarded_attempt_are_taken_back() -> None:
    tally = planned()
    tally.add(BytesSent(1, 7 * MIB), 1.0)
    tally.add(BytesSent(1, -7 * MIB), 2.0)
    assert tally.done == 0
    tally.add(BytesSent(1, 10 * MIB), 3.0)
    tally.add(PartFinished(1, 10 * MIB), 3.0)
    assert tally.done == 10 * MIB


def test_a_part_from_an_earlier_run_counts_as_done_but_not_as_speed() -> None:
    tally = planned()
    tally.add(PartFinished(1, 10 * MIB), 1.0)
    assert tally.done == 10 * MIB
    assert tally.rate(10.0) == 0.0
    assert tally.seconds_left(10.0) is None


def test_the_rate_is_that_of_the_last_minute() -> None:
    tally = planned(parts=1000)
    for second in range(1, 121):
        tally.add(BytesSent(1, MIB if second <= 60 else 3 * MIB), float(second))
    rate = tally.rate(120.0)
    assert rate is not None
    assert 2.9 * MIB < rate < 3.1 * MIB


def test_an_expired_token_is_called_so() -> None:
    tally = planned()
    tally.add(TokenChanged("start", 1, expires_at=10.0, session_ends_at=None), 0.0)
    assert tally.token(11.0) == "token expired"


def test_an_empty_file_is_done_at_once() -> None:
    assert planned(parts=1, part=0).line(0.0, 0.0).startswith("100%")


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(-20 * MIB, 20 * MIB))))
def test_done_is_never_below_nothing_or_above_everything(steps: list[tuple[int, int]]) -> None:
    tally = planned()
    for at, (part, count) in enumerate(steps):
        tally.add(BytesSent(part, count), float(at))
        assert 0 <= tally.done <= (tally.size or 0)
        assert tally.line(float(at), 0.0)


def test_of_a_stream_nobody_knows_how_much_is_left() -> None:
    tally = Tally()
    tally.add(UploadPlanned("x", None, 16 * MIB, None, 10, multipart=True), 0.0)
    tally.add(BytesSent(1, 3 * MIB), 1.0)
    tally.add(BytesSent(2, 3 * MIB), 2.0)
    tally.add(PartFinished(1, 3 * MIB), 3.0)
    assert tally.line(3.0, 0.0) == "6.0 MiB sent, 2.0 MiB/s, time left unknown, parts 1"


def test_finding_b18_the_life_of_a_token_is_reckoned_by_the_clock_of_the_service() -> None:
    tally = planned()
    tally.add(TokenChanged("start", 1, expires_at=1000.0, session_ends_at=None), 0.0)
    assert tally.token(now=8000.0) == "token expired"
    tally.add(ClockCorrected(-7600.0), 1.0)
    assert tally.token(now=8000.0) == "token 10 min 00 s"
