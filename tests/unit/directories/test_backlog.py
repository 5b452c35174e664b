"""The queue between the walk and the workers: bounded, and quiet."""

import threading

from ocihaul.directories.workers import Backlog

_MANY = 10


class Bringer:
    """Brings 1000 numbers from a thread of its own."""

    def __init__(self, backlog: Backlog[int]) -> None:
        self.brought = 0
        self._moved = threading.Condition()
        self._backlog = backlog
        self._thread = threading.Thread(target=self._bring, daemon=True)
        self._thread.start()

    def _bring(self) -> None:
        for number in range(1000):
            self._backlog.put(number)
            with self._moved:
                self.brought += 1
                self._moved.notify_all()

    def comes_to(self, count: int) -> bool:
        """Whether so many have been brought, soon enough."""
        with self._moved:
            return self._moved.wait_for(lambda: self.brought >= count, timeout=10)

    def stays_at(self, count: int) -> bool:
        """Whether no more than so many are brought, for a while."""
        with self._moved:
            return not self._moved.wait_for(lambda: self.brought > count, timeout=0.2)

    def join(self) -> None:
        self._thread.join(10)


def test_who_brings_sleeps_until_there_is_room_for_many() -> None:
    backlog: Backlog[int] = Backlog(_MANY)
    bringer = Bringer(backlog)
    full = 3 * _MANY - 1  # the last one put is not counted yet: its put has not returned
    assert bringer.comes_to(full)
    assert bringer.stays_at(full)
    for _ in range(_MANY - 1):
        backlog.get()
    assert bringer.stays_at(full)
    backlog.get()
    assert bringer.comes_to(full + _MANY)
    assert bringer.stays_at(full + _MANY)


def test_all_comes_in_order_and_each_taker_hears_the_end() -> None:
    backlog: Backlog[int] = Backlog(_MANY)
    bringer = Bringer(backlog)
    taken = [backlog.get() for _ in range(1000)]
    bringer.join()
    backlog.end(2)
    assert taken == list(range(1000))
    assert backlog.get() is None
    assert backlog.get() is None


def test_many_takers_take_each_thing_once() -> None:
    backlog: Backlog[int] = Backlog(_MANY)
    taken: list[int] = []

    def take() -> None:
        while (thing := backlog.get()) is not None:
            taken.append(thing)

    takers = [threading.Thread(target=take, daemon=True) for _ in range(8)]
    for taker in takers:
        taker.start()
    Bringer(backlog).join()
    backlog.end(len(takers))
    for taker in takers:
        taker.join(10)
    assert sorted(taken) == list(range(1000))
