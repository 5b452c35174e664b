"""Threads, where there may be fewer than we would like, and pools of them.

A container has a limit on its processes and threads (`pids`), a user one on all that are theirs,
and memory ends, too.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

from ocihaul.errors import SessionError, TooManyThreadsError, TransferCancelled

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


class AbandonedError(Exception):
    """Another task has failed for good: this one is given up. Control flow, never shown."""


def supply_of(tasks: Iterable[T]) -> Callable[[], T | None]:
    """A supply of tasks that are known beforehand."""
    left, lock = iter(tasks), threading.Lock()

    def next_task() -> T | None:
        with lock:
            return next(left, None)

    return next_task


class Gate(Protocol):
    """How many workers may be at work, from moment to moment."""

    def wait_turn(self, worker: int, over: Callable[[], bool]) -> bool:
        """Wait until this worker (from 0) may go on, or it is over; return whether it may."""
        ...


class WorkerPool(Generic[T]):
    """Do what `next_task` supplies until that returns None, with `parallel` threads.

    `next_task` is called from all threads at once, and may wait. `worker` is called once in each
    thread; what it returns does one task after the other. Once one has failed no task is begun,
    and `abandoned` is set, so that those under way are given up. They may finish when the login
    session expired and finished tasks are of use (`resumable`). `concurrency` may allow fewer
    threads at a time.
    """

    def __init__(
        self,
        next_task: Callable[[], T | None],
        worker: Callable[[], Callable[[T], None]],
        *,
        parallel: int,
        stop: threading.Event,
        abandoned: threading.Event,
        concurrency: Gate | None = None,
        resumable: bool = True,
    ) -> None:
        self._next_task = next_task
        self._worker = worker
        self._parallel = parallel
        self._stop = stop
        self._abandoned = abandoned
        self._concurrency = concurrency
        self._resumable = resumable
        self._lock = threading.Lock()  # guards the error
        self._error: BaseException | None = None
        self._exhausted = False
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Return when all tasks are done. Raises the first error, TransferCancelled.

        Where no thread can be started, the calling one does it all. A KeyboardInterrupt in it
        leaves no thread that goes on.
        """
        try:
            try:
                self.start()
            except TooManyThreadsError:
                self._work(0)
            self.join()
        except BaseException:
            self._abandoned.set()
            raise

    def start(self) -> None:
        """Start the threads. Raises TooManyThreadsError when none can be started."""
        self._threads = start_as_many(
            [
                threading.Thread(
                    target=self._work, args=[number], name=f"ocihaul-{number}", daemon=True
                )
                for number in range(self._parallel)
            ]
        )

    @property
    def done(self) -> bool:
        """Whether no task is done any more, because all are done or one has failed."""
        return self._stop.is_set() or not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait for the end. Raises as `run`."""
        self._wait()
        if self._error is not None:
            raise self._error
        if self._stop.is_set():
            raise TransferCancelled("stopped before everything was done")

    def _wait(self) -> None:
        """Wait for the threads; only a while where their work is of no use any more.

        That is after a stop, and after an error that ends everything: a thread may wait for its
        supply then.
        """
        if not all_ended(self._threads, self._is_in_vain) and self._stop.is_set():
            raise TransferCancelled("stopped while a connection was being opened")

    def _is_in_vain(self) -> bool:
        return self._stop.is_set() or (not self._resumable and self._abandoned.is_set())

    def _work(self, number: int) -> None:
        try:
            work: Callable[[T], None] | None = None
            while (task := self._next(number)) is not None:
                work = work or self._worker()
                work(task)
        except AbandonedError:
            return
        except BaseException as error:  # noqa: BLE001  join() raises it
            with self._lock:
                self._error = self._error or error
            if not (self._resumable and isinstance(error, SessionError)):
                self._abandoned.set()

    def _next(self, number: int) -> T | None:
        if self._concurrency is not None:
            self._concurrency.wait_turn(number, self._is_over)
        if self._is_over():
            return None
        task = self._next_task()
        if task is None:
            self._exhausted = True
        return task

    def _is_over(self) -> bool:
        ended = self._error is not None or self._abandoned.is_set() or self._stop.is_set()
        return ended or self._exhausted
