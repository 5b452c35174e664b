"""Small jobs that wait for a worker; there are never many of them."""

import itertools
import queue
import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class Backlog(Generic[T]):
    """A queue of at most about `3 * many` things, for one who brings and many who take.

    Who brings sleeps while it is full, and until there is room for `many`. To be woken for each
    thing that is taken would cost two switches between threads each time: 6 to 8 % of the CPU
    that a small file costs.
    """

    def __init__(self, many: int) -> None:
        self._many = many
        self._things: queue.SimpleQueue[T | None] = queue.SimpleQueue()
        self._brought = 0
        self._taken = itertools.count(1)  # one step of it cannot be interrupted by another thread
        self._room = threading.Semaphore(2)  # each of them is room for `many`

    def put(self, thing: T) -> None:
        """Bring one; waits while there are enough."""
        self._things.put(thing)
        self._brought += 1
        if self._brought % self._many == 0:
            self._room.acquire()

    def get(self) -> T | None:
        """Take one, and wait for it; None when there will be no more."""
        thing = self._things.get()
        if next(self._taken) % self._many == 0:
            self._room.release()
        return thing

    def end(self, takers: int) -> None:
        """There is no more: each of so many takers hears it once."""
        for _ in range(takers):
            self._things.put(None)
