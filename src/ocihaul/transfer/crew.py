"""N threads that share a list of things to do: the next free one takes the next thing."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from ocihaul.errors import Interrupted, SessionError
from ocihaul.transfer.blocks import AbandonedError
from ocihaul.transfer.pace import Pace

T = TypeVar("T")

#: How often the waiting thread looks up, so that a signal is noticed: seconds.
_GLANCE = 0.2
#: How long threads are waited for that do not hear a stop, seconds.
_STOP_PATIENCE = 1.0


class Crew(Generic[T]):
    """Does `todo` with as many threads as `parallel`.

    `worker` is called once in each thread; what it returns does one thing after the other. Once
    one has failed no new thing is begun, and `abandoned` is set, so that those in hand are given
    up. Not so when the session ended: what was let in may finish. With a `pace` there may be
    fewer at a time.
    """

    def __init__(
        self,
        todo: Iterable[T],
        worker: Callable[[], Callable[[T], None]],
        *,
        parallel: int,
        stop: threading.Event,
        abandoned: threading.Event,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace
        self._worker = worker
        self._parallel = parallel
        self._stop = stop
        self._abandoned = abandoned
        self._lock = threading.Lock()  # guards the three below
        self._todo: Iterator[T] = iter(todo)
        self._exhausted = False
        self._error: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def run(self) -> None:
        """Return when everything is done. Raises the first error, Interrupted."""
        self.start()
        self.join()

    def start(self) -> None:
        """Begin."""
        self._threads = [
            threading.Thread(
                target=self._work, args=[member], name=f"ocihaul-{member}", daemon=True
            )
            for member in range(self._parallel)
        ]
        for thread in self._threads:
            thread.start()

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
            raise Interrupted("stopped between two ranges")

    def _wait(self) -> None:
        """A thread that looks up a name or opens a connection hears no stop: it is left behind."""
        stopped_at: float | None = None
        for thread in self._threads:
            while thread.is_alive():
                thread.join(_GLANCE)
                if self._stop.is_set():
                    stopped_at = time.monotonic() if stopped_at is None else stopped_at
                    if time.monotonic() - stopped_at > _STOP_PATIENCE:
                        raise Interrupted("stopped while a connection was being opened")

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
            if not isinstance(error, SessionError):
                self._abandoned.set()

    def _next(self, member: int) -> T | None:
        if self._pace is not None:
            self._pace.wait_turn(member, self._is_over)
        with self._lock:
            if self._error is not None or self._stop.is_set():
                return None
            thing = next(self._todo, None)
            self._exhausted = thing is None
            return thing

    def _is_over(self) -> bool:
        return self._exhausted or self._error is not None or self._stop.is_set()
