"""Under a limit no more bodies go at a time than fill it; without one none waits."""

import threading
from contextlib import ExitStack

import pytest

from ocihaul.transport.flows import ROOM, Limiter, Turns
from ocihaul.transport.message import Stopped
from tests.support import Hand


class Line:
    """Bodies that begin when they may; those under way fill `share` of the limit each."""

    def __init__(self, share: float, rate: float | None = 1000.0) -> None:
        self.hand = Hand()
        self.limiter = Limiter(lambda: rate, monotonic=self.hand)
        self.turns = Turns(self.limiter, monotonic=self.hand)
        self.share = share
        self.under_way: list[ExitStack] = []
        self.stop = threading.Event()

    def begin(self) -> bool:
        """Whether one more may begin at this moment."""
        stack = ExitStack()
        self.stop.set()  # it does not wait
        try:
            stack.enter_context(self.turns.turn(self.stop))
        except Stopped:
            return False
        self.under_way.append(stack)
        return True

    def run(self, seconds: float) -> None:
        """Let time pass; whoever may begin does."""
        for _ in range(int(seconds * 10)):
            while self.begin():
                pass
            for _ in self.under_way:
                self.limiter.delay(int(100 * self.share))
            self.hand.forward(0.1)


@pytest.mark.parametrize(("share", "most"), [(1.5, 1), (0.8, 2), (0.4, 4), (0.11, 16)])
def test_as_many_go_as_fill_the_limit(share: float, most: int) -> None:
    line = Line(share)
    line.run(20)
    assert len(line.under_way) == most


def test_one_that_ends_makes_room_for_one() -> None:
    line = Line(1.5)
    line.run(5)
    line.under_way.pop().close()
    assert line.begin()
    assert not line.begin()


def test_more_begin_only_after_the_last_ones_have_got_going() -> None:
    line = Line(0.01)
    line.run(ROOM / 2)
    assert len(line.under_way) == 1
    line.run(ROOM)
    assert len(line.under_way) == 2


def test_without_a_limit_none_waits() -> None:
    line = Line(1.0, rate=None)
    assert all(line.begin() for _ in range(50))
