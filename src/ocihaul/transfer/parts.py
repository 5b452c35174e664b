"""N threads that send parts: the next free thread takes the next part, so the tail is balanced."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from ocihaul.errors import Interrupted, SessionError
from ocihaul.transfer.body import AbandonedError, RangeBody
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.plan import Plan
from ocihaul.transfer.sending import Headers, RangeSender

#: How often the waiting thread looks up, so that a signal is noticed: seconds.
_GLANCE = 0.2
#: How long threads are waited for that do not hear a stop, seconds. The session's renewal, which
#: is waited for next, has its own patience: together they stay near 2 s.
_STOP_PATIENCE = 1.0

#: Makes the UploadPart request with this number for this body; returns the answer's headers.
UploadPart = Callable[[int, RangeBody], Headers]


class PartWorkers:
    """Sends the `missing` parts of a plan, `parallel` at a time.

    Each is handed to `record` once the service has it, before it counts as done. With a `pace`
    there may be fewer at a time.
    """

    def __init__(
        self,
        plan: Plan,
        sender: RangeSender,
        upload_part: UploadPart,
        *,
        missing: Sequence[int],
        record: Callable[[int, SentPart], None],
        parallel: int,
        stop: threading.Event,
        pace: Pace | None = None,
    ) -> None:
        self._plan = plan
        self._sender = sender
        self._upload_part = upload_part
        self._record = record
        self._parallel = min(parallel, len(missing))
        self._stop = stop
        self._pace = pace
        self._lock = threading.Lock()  # guards all below
        self._todo: Iterator[int] = iter(missing)
        self._done: dict[int, SentPart] = {}
        self._error: BaseException | None = None
        self._exhausted = False

    def run(self) -> dict[int, SentPart]:
        """Send the missing parts and return them by number. Raises the first error, Interrupted.

        After an error no new part is begun. Parts in flight are given up with it, except when the
        session ended: what was let in may finish, and is there when the upload is taken up again.
        """
        threads = [
            threading.Thread(
                target=self._work, args=[worker], name=f"ocihaul-part-{worker}", daemon=True
            )
            for worker in range(self._parallel)
        ]
        for thread in threads:
            thread.start()
        self._join(threads)
        if self._error is not None:
            raise self._error
        return self._done

    def _join(self, threads: list[threading.Thread]) -> None:
        """Wait for the threads; but for a while only, once we were asked to stop.

        A thread that looks up a name or opens a connection cannot hear it: it is left behind.
        """
        stopped_at: float | None = None
        for thread in threads:
            while thread.is_alive():
                thread.join(_GLANCE)
                if self._stop.is_set():
                    stopped_at = time.monotonic() if stopped_at is None else stopped_at
                    if time.monotonic() - stopped_at > _STOP_PATIENCE:
                        raise Interrupted("stopped while a connection was being opened")

    def _work(self, worker: int) -> None:
        buffer: bytearray | None = None
        while (number := self._next(worker)) is not None:
            buffer = buffer or self._sender.buffer_for(self._plan.part_size)
            offset, length = self._plan.part(number)

            def send(body: RangeBody, _: Headers | None, number: int = number) -> Headers:
                return self._upload_part(number, body)

            try:
                part, _ = self._sender.send(number, offset, length, buffer=buffer, send=send)
                self._record(number, part)
            except AbandonedError:
                return
            except BaseException as error:  # noqa: BLE001  run() raises it
                self._fail(error)
            else:
                with self._lock:
                    self._done[number] = part

    def _next(self, worker: int) -> int | None:
        if self._pace is not None:
            self._pace.wait_turn(worker, self._is_over)
        with self._lock:
            if self._error is not None or self._stop.is_set():
                return None
            number = next(self._todo, None)
            self._exhausted = number is None
            return number

    def _is_over(self) -> bool:
        return self._exhausted or self._error is not None or self._stop.is_set()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        if not isinstance(error, SessionError):
            self._sender.abandoned.set()
