"""Threads, where there may be fewer than we would like.

A container has a limit on its processes and threads (`pids`), a user one on all that are theirs,
and memory ends, too.
"""

import threading
from collections.abc import Sequence

from ocihaul.errors import TooManyThreads


def started(thread: threading.Thread) -> bool:
    """Start it; False when there may be no more threads."""
    try:
        thread.start()
    except RuntimeError:
        return False
    return True


def start_as_many(threads: Sequence[threading.Thread]) -> list[threading.Thread]:
    """Start them, or as many as there may be; returns those that run.

    Raises TooManyThreads when there may be none.
    """
    running = []
    for thread in threads:
        if not started(thread):
            break
        running.append(thread)
    if threads and not running:
        raise TooManyThreads(
            "no thread can be started",
            hint="Raise the limit on processes (ulimit -u, the container's pids limit) or on "
            "memory, then run the same command again.",
        )
    return running
