"""N threads that take from one supply: the next free one takes the next thing."""

import threading
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from ocihaul.errors import Interrupted, SessionError, TooManyThreads
from ocihaul.threads import all_ended, start_as_many
from ocihaul.transfer.adaptive_concurrency import Pace
from ocihaul.transfer.buffers import AbandonedError

T = TypeVar("T")


def one_by_one(things: Iterable[T]) -> Callable[[], T | None]:
    """A supply of what is known beforehand."""
    left, lock = iter(things), threading.Lock()

    def supply() -> T | None:
        with lock:
            return next(left, None)

    return supply


class Crew(Generic[T]):
    """Does what `supply` gives until that is None, with as many threads as `parallel`.

    `supply` is called from all threads at once, and may wait. `worker` is called once in each
    thread; what it returns does one thing after the other. Once one has failed no new thing is
    begun, and `abandoned` is set, so that those in hand are given up; not so when the session ended
    and what is finished can be gone on with (`resumable`): what was let in may finish. With a
    `pace` there may be fewer at a time.
    """

    def __init__(
        self,
        supply: Callable[[], T | None],
        worker: Callable[[], Callable[[T], None]],
        *,
        parallel: int,
        stop: threading.Event,
        abandoned: threading.Event,
        pace: Pace | None = None,
        resumable: bool = True,
    ) -> None:
        self._supply = supply
        self._worker = worker
        self._parallel = parallel
        self._stop = stop
        self._abandoned = abandoned
        self._pace = pace
        self._resumable = resumable
        self._lock = threading.Lock()  # guards the error
        self._error: BaseException | None = None
        self._exhausted = False
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Return when everything is done. Raises the first error, Interrupted.

        Where there may be no thread, the one that calls does it all. Who is interrupted in it
        (KeyboardInterrupt) leaves nothing behind that goes on.
        """
        try:
            try:
                self.start()
            except TooManyThreads:
                self._work(0)
            self.join()
        except BaseException:
            self._abandoned.set()
            raise

    def start(self) -> None:
        """Begin. Raises TooManyThreads when there may be none."""
        self._threads = start_as_many(
            [
                threading.Thread(
                    target=self._work, args=[member], name=f"ocihaul-{member}", daemon=True
                )
                for member in range(self._parallel)
            ]
        )

    @property
    def over(self) -> bool:
        """Whether nothing is done any more, because all is done or something failed."""
        return self._stop.is_set() or not any(thread.is_alive() for thread in self._threads)

    def join(self) -> None:
        """Wait for the end, like `run`."""
        self._wait()
        if self._error is not None:
            raise self._error
        if self._stop.is_set():
            raise Interrupted("stopped between two of them")

    def _wait(self) -> None:
        """Wait for the threads; for a while only, once their work is of no use.

        That is after a stop, and after an error that makes an end of it: a thread may wait for its
        supply then.
        """
        if not all_ended(self._threads, self._is_in_vain) and self._stop.is_set():
            raise Interrupted("stopped while a connection was being opened")

    def _is_in_vain(self) -> bool:
        return self._stop.is_set() or (not self._resumable and self._abandoned.is_set())

    def _work(self, member: int) -> None:
        try:
            work: Callable[[T], None] | None = None
            while (thing := self._next(member)) is not None:
                work = work or self._worker()
                work(thing)
        except AbandonedError:
            return
        except BaseException as error:  # noqa: BLE001  join() raises it
            with self._lock:
                self._error = self._error or error
            if not (self._resumable and isinstance(error, SessionError)):
                self._abandoned.set()

    def _next(self, member: int) -> T | None:
        if self._pace is not None:
            self._pace.wait_turn(member, self._is_over)
        if self._is_over():
            return None
        thing = self._supply()
        if thing is None:
            self._exhausted = True
        return thing

    def _is_over(self) -> bool:
        ended = self._error is not None or self._abandoned.is_set() or self._stop.is_set()
        return ended or self._exhausted
