"""A limit on bytes per second, shared by all connections of a process."""

import threading
import time
from collections.abc import Callable, Iterator

#: Portions per second that a limited flow is cut into, so that it flows evenly: a server gives up
#: on a sender that is silent between large blocks.
_PER_SECOND = 20
_SMALLEST_PORTION = 4 * 1024
#: A portion is smaller still where it would take longer than this, seconds: with many connections
#: each of them waits for a portion of all the others.
_LONGEST_PORTION = 0.25
#: How much of the past may be made up for, seconds: a pause (of the session, a retry) must not be
#: followed by a burst.
_CATCH_UP = 0.25


def unlimited() -> float | None:
    """The rate of a limiter that limits nothing."""
    return None


class Limiter:
    """Says how long each portion has to wait, so that all together keep to the rate.

    `rate` gives the bytes per second that are allowed at this moment, None for no limit; it is
    asked for each portion, so it may change with the time of day. Thread-safe.
    """

    def __init__(
        self, rate: Callable[[], float | None], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards the two below
        self._free_at = 0.0
        self._full_at = 0.0

    @property
    def full_at(self) -> float:
        """When bytes had to wait last, on the monotonic clock."""
        return self._full_at

    def allowed(self) -> float | None:
        """Bytes per second that are allowed at this moment, None for no limit."""
        return self._rate()

    def portions(self, block: memoryview) -> Iterator[memoryview]:
        """`block` in pieces that may be reserved one by one; in one piece where it is small."""
        rate = self._rate()
        most = len(block) if rate is None else _portion(rate)
        for start in range(0, len(block), most or 1):
            yield block[start : start + most]

    def delay(self, count: int) -> float:
        """Reserve `count` bytes; the seconds to wait before they may go."""
        rate = self._rate()
        if rate is None:
            return 0.0
        now = self._monotonic()
        with self._lock:
            start = max(self._free_at, now - _CATCH_UP)
            self._free_at = start + count / rate
            if start > now:
                self._full_at = now
        return max(0.0, start - now)


def _portion(rate: float) -> int:
    smallest = min(_SMALLEST_PORTION, int(rate * _LONGEST_PORTION))
    return max(1, smallest, int(rate / _PER_SECOND))
