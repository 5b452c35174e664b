"""Threads, where there may be fewer than we would like.

A container has a limit on its processes and threads (`pids`), a user one on all that are theirs,
and memory ends, too.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence

from ocihaul.errors import TooManyThreadsError

#: How often whoever waits for threads looks up, so that a signal is noticed: seconds.
_GLANCE = 0.2
#: How long threads are waited for that do not hear a stop, seconds. The session's renewal, which
#: is waited for next, has its own patience: together they stay near 2 s.
_STOP_PATIENCE = 1.0


class Either(threading.Event):
    """An event that is set as soon as one of two is. Only those are ever set."""

    def __init__(self, one: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._one, self._other = one, other

    def is_set(self) -> bool:
        """Whether one of them is."""
        return self._one.is_set() or self._other.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for one of them, `timeout` seconds at most; returns whether it is set."""
        end = math.inf if timeout is None else time.monotonic() + timeout
        while not self.is_set() and (left := end - time.monotonic()) > 0:
            self._one.wait(min(left, _GLANCE))
        return self.is_set()


def started(thread: threading.Thread) -> bool:
    """Start it; False when there may be no more threads."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def start_as_many(threads: Sequence[threading.Thread]) -> list[threading.Thread]:
    """Start them, or as many as there may be; returns those that run.

    Raises TooManyThreadsError when there may be none.
    """
    running = []
    for thread in threads:
        if not started(thread):
            break
        running.append(thread)
    if threads and not running:
        raise TooManyThreadsError(
            "no thread can be started",
            hint="Raise the limit on processes (ulimit -u, the container's pids limit) or on "
            "memory, then run the same command again.",
        )
    return running


def all_ended(threads: Sequence[threading.Thread], hurry: Callable[[], bool]) -> bool:
    """Wait for their end; but for a while only, once there is a `hurry`: False then.

    A thread that looks up a name or opens a connection cannot hear a stop: it is left behind.
    """
    over_at: float | None = None
    for thread in threads:
        while thread.is_alive():
            thread.join(_GLANCE)
            if not hurry():
                continue
            over_at = time.monotonic() if over_at is None else over_at
            if time.monotonic() - over_at > _STOP_PATIENCE:
                return False
    return True
