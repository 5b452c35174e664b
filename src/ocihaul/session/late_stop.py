"""A stop that a renewal obeys a little later than everybody else.

The service may have issued the new token, and killed the old one with it, while its answer is on
the way: who hangs up at once leaves a dead session on disk.
"""

import threading
import time
from collections.abc import Callable

#: How long a renewal in flight may go on once it is asked to stop, seconds. A person who pressed
#: Ctrl-C waits for it.
GRACE = 1.5


class LateStop:
    """Says stop `GRACE` seconds after it has first been seen that `stop` is set."""

    def __init__(
        self, stop: threading.Event, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._stop = stop
        self._monotonic = monotonic
        self._seen_at: float | None = None

    def is_set(self) -> bool:
        """True when the grace is over. Two threads that see it first differ by nothing much."""
        if not self._stop.is_set():
            return False
        if self._seen_at is None:
            self._seen_at = self._monotonic()
        return self._monotonic() - self._seen_at >= GRACE
