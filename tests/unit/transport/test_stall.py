"""When a body is so slow that a new connection is better: the decision, and what it is made of."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ocihaul.transport.flows import Flow, Flows, Limiter
from ocihaul.transport.message import Stalled
from ocihaul.transport.stall import ALONE, GRAIN, SILENCE, WINDOW, Look, Verdict, judge
from tests.support import Hand

MIB = 2**20

#: A download that trickles at 3 B/s while four others have 10 MiB/s each.
TRICKLE = Look(
    seconds=15.0,  # more than the shortest window
    moved=45,
    left=100 * MIB,
    again=100 * MIB,
    others_seconds=60.0,
    others_moved=600 * MIB,
)
ALONE_AT_3 = replace(TRICKLE, seconds=30.0, moved=90, others_seconds=0.0, others_moved=0)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.BEHIND_THE_OTHERS),
        ({"moved": 0}, Verdict.BEHIND_THE_OTHERS),
        ({"seconds": WINDOW - 1}, Verdict.TOO_EARLY),
        # A tenth of what the others have is bad luck, and no more.
        ({"moved": 15 * MIB}, Verdict.MOVING),
        # All are equally slow: 3 B/s each, or 100 KiB/s each.
        ({"others_moved": 180}, Verdict.TOO_EARLY),
        ({"others_moved": 60 * 100 * 1024, "moved": 15 * 100 * 1024}, Verdict.TOO_EARLY),
        (
            {
                "seconds": 90.0,
                "others_seconds": 360.0,
                "others_moved": 360 * 100 * 1024,
                "moved": 90 * 60 * 1024,
            },
            Verdict.MOVING,
        ),
        # So slow a line that the buffers on the way may hold a fair share: not yet.
        ({"others_moved": 60 * 50 * 1024, "moved": 0}, Verdict.TOO_EARLY),
        # Most others trickle, too: the one that moves shows what is possible.
        ({"others_moved": 150 * MIB + 135}, Verdict.BEHIND_THE_OTHERS),
        # Others that were there for a moment only prove nothing.
        ({"others_seconds": 5.0, "others_moved": 50 * MIB}, Verdict.TOO_EARLY),
        # An upload whose last bytes go out slowly is not sent again for them.
        ({"left": 40, "again": 128 * MIB}, Verdict.MOVING),
        ({"left": MIB, "again": 128 * MIB}, Verdict.BEHIND_THE_OTHERS),
    ],
)
def test_finding_b04_beside_others(change: dict[str, float], verdict: Verdict) -> None:
    assert judge(replace(TRICKLE, **change)) is verdict  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.BELOW_THE_FLOOR),
        ({"seconds": ALONE - 1}, Verdict.TOO_EARLY),
        ({"moved": 31 * 1024}, Verdict.MOVING),
        # A limit of 500 B/s is a wish, and 3 B/s is still a stall.
        ({"limit": 500.0, "moved": 15_000}, Verdict.MOVING),
        ({"limit": 500.0}, Verdict.BELOW_THE_FLOOR),
        ({"limit": 1e9}, Verdict.BELOW_THE_FLOOR),
        # Its own past: a download only, an upload would have to be sent again.
        ({"moved": 30 * 100_000, "past": 10e6}, Verdict.BEHIND_ITS_PAST),
        ({"moved": 30 * 100_000, "past": 4e6}, Verdict.MOVING),
        ({"moved": 30 * 100_000, "past": 10e6, "again": 128 * MIB}, Verdict.MOVING),
        ({"again": 128 * MIB}, Verdict.BELOW_THE_FLOOR),
    ],
)
def test_finding_b04_alone(change: dict[str, float], verdict: Verdict) -> None:
    assert judge(replace(ALONE_AT_3, **change)) is verdict  # type: ignore[arg-type]  # by name


class Line:
    """Bodies over one pool, moved by hand; `rates` are bytes per second."""

    def __init__(self, *rates: float, size: int = 10**12, keeps: bool = True) -> None:
        self.hand = Hand()
        self.flows = Flows(monotonic=self.hand)
        self.rates = list(rates)
        self.moved = [0.0] * len(rates)
        self.bodies = [
            self.flows.begin(size, self._progress(index), keeps=keeps)
            for index in range(len(rates))
        ]
        self.stalled: list[int] = []

    def _progress(self, index: int) -> Callable[[], int]:
        return lambda: int(self.moved[index])

    def run(self, seconds: int, aside: int | None = None) -> None:
        """Let time pass, in quarters; the body `aside` is at its disk instead."""
        for _ in range(4 * seconds):
            self.hand.forward(0.25)
            for index, body in enumerate(self.bodies):
                if index == aside:
                    body.resume()
                    continue
                self.moved[index] += self.rates[index] / 4
                self.look(index, body)

    def look(self, index: int, body: Flow) -> None:
        try:
            body.look()
        except Stalled:
            if index not in self.stalled:
                self.stalled.append(index)


def test_finding_b04_only_the_one_that_trickles_is_found_and_soon() -> None:
    line = Line(10e6, 10e6, 3, 12e6)
    line.run(22)
    assert line.stalled == [2]


def test_finding_b04_one_that_begins_to_trickle_later_is_found_within_three_windows() -> None:
    line = Line(10e6, 10e6, 10e6)
    line.run(100)
    assert line.stalled == []
    line.rates[1] = 3
    line.run(31)
    assert line.stalled == [1]


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize("rate", [1, 700, 30_000, 10e6])
def test_finding_b04_on_a_slow_line_where_all_are_equal_none_is_found(
    rate: float, keeps: bool
) -> None:
    line = Line(*[rate] * 15, keeps=keeps)
    line.run(600)
    assert line.stalled == []


def test_finding_b04_a_line_that_becomes_slow_for_all_punishes_none() -> None:
    line = Line(*[10e6] * 5, keeps=False)
    line.run(60)
    line.rates = [2000.0] * 5
    line.run(1000)
    assert line.stalled == []


def test_finding_b04_shares_that_differ_as_those_of_tcp_do_are_no_stall() -> None:
    line = Line(1e6, 3e6, 5e6, 9e6, 400e3)
    line.run(300)
    assert line.stalled == []


def test_finding_b04_a_body_that_waits_for_its_disk_is_not_behind() -> None:
    line = Line(10e6, 10e6, 10e6)
    line.run(10)
    line.run(120, aside=0)
    line.run(60)
    assert line.stalled == []


def test_finding_b04_the_last_one_is_compared_with_those_that_have_just_ended() -> None:
    line = Line(10e6, 10e6, 5_000)
    line.run(5)
    for body in line.bodies[:2]:
        body.end(well=True)
    del line.bodies[:2], line.rates[:2], line.moved[:2]
    line.bodies[0]._progress = line._progress(0)  # the index has moved
    line.run(36)
    assert line.stalled == [0]


def test_finding_b04_a_body_that_is_not_judged_is_never_ended() -> None:
    hand = Hand()
    flows = Flows(monotonic=hand)
    body = flows.begin(10**9, lambda: 0, keeps=True, judged=False)
    for _ in range(1000):
        hand.forward(1.0)
        assert not body.look()


def test_finding_b04_the_limit_that_holds_now_counts() -> None:
    hand = Hand()
    flows = Flows(Limiter(lambda: 200.0), monotonic=hand)
    moved = 0
    body = flows.begin(10**9, lambda: moved, keeps=True)
    for _ in range(300):
        hand.forward(1.0)
        moved += 150
        assert body.look()
    for _ in range(29):
        hand.forward(1.0)
        body.look()
    hand.forward(1.0)
    with pytest.raises(Stalled, match="only 0 bytes moved in 30 s"):
        body.look()


#: An upload that has been silent for 6 s, beside four others that had 600 KB/s each.
SILENT = Look(
    seconds=8.0,
    moved=10**6,
    left=5 * MIB,
    again=8 * MIB,
    others_seconds=32.0,
    others_moved=32 * 600_000,
    exact=True,
    silent=6.0,
    others_meanwhile=24 * 600_000,
)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.SILENT),
        ({"silent": SILENCE - 0.5}, Verdict.MOVING),
        ({"others_meanwhile": 0}, Verdict.MOVING),
        ({"left": 0}, Verdict.MOVING),
        # A hundred MiB are not sent again for 6 s of silence, but for a minute's.
        ({"again": 105 * MIB}, Verdict.MOVING),
        ({"again": 105 * MIB, "silent": 60.0}, Verdict.SILENT),
        # Of a download only what is missing is asked for again.
        ({"left": 5000 * MIB, "again": 5000 * MIB}, Verdict.SILENT),
    ],
)
def test_silence_beside_others(change: dict[str, float], verdict: Verdict) -> None:
    assert judge(replace(SILENT, **change)) is verdict  # type: ignore[arg-type]  # by name


def test_what_is_known_exactly_needs_shorter_windows() -> None:
    look = replace(TRICKLE, seconds=WINDOW / 2, others_seconds=20.0, others_moved=20 * 300_000)
    assert judge(look) is Verdict.TOO_EARLY
    assert judge(replace(look, exact=True)) is Verdict.BEHIND_THE_OTHERS


@pytest.mark.parametrize("heard", [True, False])
def test_silence_of_the_other_side_is_what_counts(heard: bool) -> None:
    """A server whose buffer is full acknowledges every question, and is not dead."""
    line = Line(10e6, 10e6)
    body = line.flows.begin(
        10**9, lambda: 0, keeps=False, silence=lambda: 0.0 if heard else line.hand() - 1000.0
    )
    line.bodies.append(body)
    line.rates.append(0.0)
    line.moved.append(0.0)
    line.run(7)
    assert line.stalled == ([] if heard else [2])


def test_in_an_outage_none_is_silent() -> None:
    line = Line(10e6, 10e6, 10e6)
    line.run(10)
    for body in line.bodies:
        body._silence = line.hand  # never heard of again
    line.rates = [0.0] * 3
    line.run(29)
    assert line.stalled == []


def test_a_fair_share_has_to_be_more_than_what_buffers_hold() -> None:
    assert GRAIN >= 4 * MIB
