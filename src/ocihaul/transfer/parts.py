"""N threads that send parts: the next free thread takes the next part, so the tail is balanced."""

import threading
from collections.abc import Callable, Iterator, Sequence

from ocihaul.errors import SessionError
from ocihaul.transfer.body import AbandonedError, RangeBody
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.plan import Plan
from ocihaul.transfer.sending import Headers, RangeSender

#: How often the waiting thread looks up, so that a signal is noticed: seconds.
_GLANCE = 0.2

#: Makes the UploadPart request with this number for this body; returns the answer's headers.
UploadPart = Callable[[int, RangeBody], Headers]


class PartWorkers:
    """Sends the `missing` parts of a plan, `parallel` at a time.

    Each is handed to `record` once the service has it, before it counts as done.
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
    ) -> None:
        self._plan = plan
        self._sender = sender
        self._upload_part = upload_part
        self._record = record
        self._parallel = min(parallel, len(missing))
        self._stop = stop
        self._lock = threading.Lock()  # guards all below
        self._todo: Iterator[int] = iter(missing)
        self._done: dict[int, SentPart] = {}
        self._error: BaseException | None = None

    def run(self) -> dict[int, SentPart]:
        """Send the missing parts and return them by number. Raises the first error.

        After an error no new part is begun. Parts in flight are given up with it, except when the
        session ended: what was let in may finish, and is there when the upload is taken up again.
        """
        threads = [
            threading.Thread(target=self._work, name=f"ocihaul-part-{number}", daemon=True)
            for number in range(self._parallel)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(_GLANCE)
        if self._error is not None:
            raise self._error
        return self._done

    def _work(self) -> None:
        buffer = self._sender.buffer_for(self._plan.part_size)
        while (number := self._next()) is not None:
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

    def _next(self) -> int | None:
        with self._lock:
            stopped = self._error is not None or self._stop.is_set()
            return None if stopped else next(self._todo, None)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        if not isinstance(error, SessionError):
            self._sender.abandoned.set()
