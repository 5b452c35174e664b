"""BBR is taken where packets get lost although the line has room, and only there."""

import socket
from collections.abc import Iterator

import pytest

from ocihaul.errors import UsageError
from ocihaul.transport import congestion
from ocihaul.transport.congestion import (
    AUTO,
    BBR,
    LOOKS,
    SYSTEM,
    Congestion,
    CongestionWatch,
    Sent,
    choose,
    chosen,
    has_random_loss,
    sent,
)
from tests.support import Hand, joined

LEAST = 80_000  # microseconds


def looks(*trips_and_losses: tuple[int, int]) -> list[Sent]:
    """Milliseconds of a round trip and packets sent again, at each look."""
    return [
        Sent(1000 * number, again, trip * 1000, LEAST)
        for number, (trip, again) in enumerate(trips_and_losses, 1)
    ]


@pytest.mark.parametrize(
    ("seen", "random"),
    [
        ([(82, 0), (83, 0)], None),
        ([(82, 5)], None),
        ([(82, 0), (83, 2)], True),
        # The queue was long just before, and empty after what did not fit was dropped.
        ([(128, 0), (131, 0), (88, 40)], False),
        ([(131, 0), (127, 9)], False),
        ([(82, 3), (91, 3), (84, 4)], True),
    ],
)
def test_a_queue_that_overflows_is_told_from_a_line_that_loses(
    seen: list[tuple[int, int]], random: bool | None
) -> None:
    assert has_random_loss(looks(*seen), max(trip for trip, _ in seen) * 1000) is random


@pytest.mark.parametrize(("longest", "random"), [(102, False), (131, True), (500, True)])
def test_a_queue_is_long_beside_the_longest_that_was_seen(longest: int, random: bool) -> None:
    assert has_random_loss(looks((101, 0), (99, 1)), longest * 1000) is random


class Kernel:
    """TCP as the watch sees it: what was sent, and what was chosen."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: Iterator[Sent] = iter(())
        self.chosen: list[str] = []
        monkeypatch.setattr(congestion, "sent", lambda _: next(self.seen, None))
        monkeypatch.setattr(congestion, "choose", lambda _, name: self.chosen.append(name))


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def watched(kernel: Kernel, shared: Congestion, seen: list[Sent]) -> None:
    hand = Hand()
    kernel.seen = iter(seen)
    with socket.socket() as sock:
        watch = CongestionWatch(shared, sock, monotonic=hand)
        for _ in seen:
            hand.forward(0.3)
            watch.look()
            watch.look()  # too soon: that is no look


def test_random_losses_give_this_connection_and_later_ones_bbr(kernel: Kernel) -> None:
    shared = Congestion()
    watched(kernel, shared, looks(*[(82, number) for number in range(LOOKS)]))
    assert not shared.lossy
    assert kernel.chosen == []
    watched(kernel, shared, looks((83, 0), (83, 1)))
    with socket.socket() as sock:
        shared.apply(sock)
    assert kernel.chosen == [BBR, BBR]


def test_a_full_line_keeps_what_the_system_has(kernel: Kernel) -> None:
    shared = Congestion()
    watched(kernel, shared, looks(*[(130, 7 * number) for number in range(50)]))
    assert kernel.chosen == []


def test_a_few_random_losses_among_many_of_a_queue_are_no_reason(kernel: Kernel) -> None:
    shared = Congestion()
    for _ in range(20):
        watched(kernel, shared, looks((82, 0), (83, 1)))
        watched(kernel, shared, looks(*[(131, 20 * number) for number in range(20)]))
        if shared.lossy:
            break
    assert not shared.lossy


def test_random_losses_count_also_where_a_queue_overflows_at_times(kernel: Kernel) -> None:
    shared = Congestion()
    for _ in range(LOOKS):
        watched(kernel, shared, looks((131, 0), (88, 20)))
        watched(kernel, shared, looks((82, 0), (83, 1)))
    assert shared.lossy


@pytest.mark.parametrize("name", [SYSTEM, "cubic"])
def test_what_was_chosen_stays(kernel: Kernel, name: str) -> None:
    shared = Congestion(name)
    watched(kernel, shared, looks(*[(82, number) for number in range(20)]))
    with socket.socket() as sock:
        shared.apply(sock)
    assert kernel.chosen == ([] if name == SYSTEM else [name])


def test_an_algorithm_that_the_system_lacks_is_an_error_that_names_those_it_has() -> None:
    with pytest.raises(UsageError, match="'no-such-one' \\(this system lets a program choose"):
        chosen("no-such-one")
    assert chosen(AUTO).name == AUTO
    with socket.socket() as sock:
        assert not choose(sock, "no-such-one")


@pytest.mark.skipif(not hasattr(socket, "TCP_CONGESTION"), reason="no choice on this system")
def test_reno_is_everywhere_and_the_connection_has_it_then() -> None:
    with socket.socket() as sock:
        chosen("reno").apply(sock)
        name = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    assert name.rstrip(b"\0") == b"reno"


@pytest.mark.skipif(not hasattr(socket, "TCP_CONGESTION"), reason="nothing is told here")
def test_the_kernel_counts_what_was_sent() -> None:
    with joined() as (ours, theirs):
        before = sent(ours)
        ours.sendall(b"x" * 10_000)
        assert theirs.recv(10_000, socket.MSG_WAITALL) == b"x" * 10_000
        now = sent(ours)
    assert before is not None
    assert now is not None
    assert before.packets == 0
    assert now.packets >= 1
    assert now.again == 0
    assert 0 < now.least_round_trip <= now.round_trip or now.round_trip > 0


def test_what_is_no_tcp_tells_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert sent(ours) is None
        assert not choose(ours, BBR)
