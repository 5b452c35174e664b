"""Threads, where there may be fewer than we would like.

A container has a limit on its processes and threads (`pids`), a user one on all that are theirs,
and memory ends, too.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

from ocihaul.errors import TooManyThreadsError

#: How often whoever waits for threads looks up, so that a signal is noticed: seconds.
_GLANCE = 0.2
#: How long threads are waited for that do not hear a stop, seconds. The session's renewal, which
#: is waited for next, has its own patience: together they stay near 2 s.
_STOP_PATIENCE = 1.0


T = TypeVar("T")


class StopSign(Protocol):
    """Whether to stop; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """True once what is under way is to end."""
        ...


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


class Later(Generic[T]):
    """What a call returns or raises, made in a thread while the caller does something else.

    Where there may be no more threads it is made when its result is asked for.
    """

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._outcome: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="later", daemon=True)
        self._is_running = started(self._thread)

    def result(self) -> T:
        """Wait for the call to end; returns and raises what it does."""
        if self._is_running:
            self._thread.join()
        else:
            self._run()
        if self._error is not None:
            raise self._error
        return self._outcome[0]

    def _run(self) -> None:
        try:
            self._outcome.append(self._call())
        except BaseException as error:  # noqa: BLE001  raised again where the result is asked for
            self._error = error


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each asked for while the one before it is used."""

    def following() -> tuple[T, ...]:
        return tuple(islice(items, 1))

    later = Later(following)
    while item := later.result():
        later = Later(following)
        yield item[0]


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


def call_for_each(
    items: Iterable[T], call: Callable[[T], object], *, parallel: int, name: str
) -> None:
    """Call it for each item, `parallel` at a time, or as many as there may be threads.

    Where no thread can be started, the calling one does it all. Raises the first error; nothing is
    begun after it, and what is under way ends first.
    """
    waiting, taking = iter(items), threading.Lock()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not errors:
                with taking:
                    following = tuple(islice(waiting, 1))
                if not following:
                    return
                call(following[0])
        except BaseException as error:  # noqa: BLE001  raised again by the thread that waits
            errors.append(error)

    threads = [
        threading.Thread(target=work, name=f"{name}-{number}", daemon=True)
        for number in range(parallel)
    ]
    try:
        running = start_as_many(threads)
    except TooManyThreadsError:
        running = []
        work()
    try:
        all_ended(running, lambda: False)
    except BaseException as error:
        errors.append(error)
        raise
    if errors:
        raise errors[0]


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
