"""Which bodies may begin while `--bandwidth` holds: no more at a time than fill what is allowed.

A limit that ten parts share lets none of them end for a long time, and what was sent of a part is
lost when the upload is stopped. Where two connections fill the limit, two parts go at a time, and
the oldest are stored soon. How many fill it is found out: twice as many, whenever there was room.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ocihaul.transport.limiter import Limiter
from ocihaul.transport.message import Stopped, StopSign

#: Room for so long means that more may begin, seconds: the last ones have got going by then.
ROOM = 1.0
#: How often one that waits looks, seconds.
_GLANCE = 0.1


class Turns:
    """Counts the bodies under way. Thread-safe."""

    def __init__(
        self, limiter: Limiter, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._limiter = limiter
        self._monotonic = monotonic
        self._changed = threading.Condition()  # guards all below
        self._under_way = 0
        self._most = 1
        self._since = 0.0  # when `most` was last found to be too few

    @contextmanager
    def turn(self, stop: StopSign) -> Iterator[None]:
        """Wait until one more body may begin; it is under way while the context lasts.

        Without a limit nothing waits. Raises Stopped.
        """
        with self._changed:
            while not self._may_begin():
                if stop.is_set():
                    raise Stopped
                self._changed.wait(_GLANCE)
            self._under_way += 1
            self._since = self._monotonic()
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify()

    def _may_begin(self) -> bool:
        if self._limiter.allowed() is None:
            return True
        now = self._monotonic()
        full = max(self._since, self._limiter.full_at)
        if self._under_way >= self._most and now - full >= ROOM:
            self._most, self._since = 2 * self._most, now
        return self._under_way < self._most
