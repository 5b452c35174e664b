"""Worker threads that take tasks from one supply: the next free one takes the next task."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from ocihaul.errors import SessionError, TooManyThreadsError, TransferCancelled
from ocihaul.threads import all_ended, start_as_many
from ocihaul.transfer.monitor import AdaptiveConcurrency

T = TypeVar("T")


class AbandonedError(Exception):
    """Another part has failed for good: this one is given up. Control flow, never shown."""


def supply_of(tasks: Iterable[T]) -> Callable[[], T | None]:
    """A supply of tasks that are known beforehand."""
    left, lock = iter(tasks), threading.Lock()

    def next_task() -> T | None:
        with lock:
            return next(left, None)

    return next_task


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
        concurrency: AdaptiveConcurrency | None = None,
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
