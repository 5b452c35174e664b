"""N threads that send parts: the next free thread takes the next part, so the tail is balanced."""

import threading
import time
from collections.abc import Callable

from ocihaul.errors import Interrupted, SessionError
from ocihaul.transfer.blocks import BLOCK, AbandonedError
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.source import Piece
from ocihaul.transfer.uploads.body import RangeBody
from ocihaul.transfer.uploads.sending import Headers, RangeSender

#: How often the waiting thread looks up, so that a signal is noticed: seconds.
_GLANCE = 0.2
#: How long threads are waited for that do not hear a stop, seconds. The session's renewal, which
#: is waited for next, has its own patience: together they stay near 2 s.
_STOP_PATIENCE = 1.0

#: Makes the UploadPart request with this number for this body; returns the answer's headers.
UploadPart = Callable[[int, RangeBody], Headers]


class PartWorkers:
    """Sends what `supply` gives until that is None, `parallel` parts at a time.

    `supply` is called from all threads at once, and may wait. Each part is handed to `record`
    once the service has it, before it counts as done. With a `pace` there may be fewer at a time.
    `resumable`: what is finished can be gone on with after an error.
    """

    def __init__(
        self,
        supply: Callable[[], Piece | None],
        sender: RangeSender,
        upload_part: UploadPart,
        *,
        record: Callable[[int, SentPart], None],
        parallel: int,
        stop: threading.Event,
        pace: Pace | None = None,
        resumable: bool = True,
    ) -> None:
        self._supply = supply
        self._sender = sender
        self._upload_part = upload_part
        self._record = record
        self._parallel = parallel
        self._resumable = resumable
        self._stop = stop
        self._pace = pace
        self._lock = threading.Lock()  # guards all below
        self._done: dict[int, SentPart] = {}
        self._error: BaseException | None = None
        self._exhausted = False

    def run(self) -> dict[int, SentPart]:
        """Send all parts and return them by number. Raises the first error, Interrupted.

        After an error no new part is begun. Parts in flight are given up with it, except when the
        session ended and the upload can be taken up again: what was let in may finish.
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

        A thread that looks up a name or opens a connection cannot hear it: it is left behind. So
        is one that waits for a producer, after an error that makes an end of the stream.
        """
        over_at: float | None = None
        for thread in threads:
            while thread.is_alive():
                thread.join(_GLANCE)
                given_up = not self._resumable and self._sender.abandoned.is_set()
                if not self._stop.is_set() and not given_up:
                    continue
                over_at = time.monotonic() if over_at is None else over_at
                if time.monotonic() - over_at > _STOP_PATIENCE:
                    if self._stop.is_set():
                        raise Interrupted("stopped while a connection was being opened")
                    return

    def _work(self, worker: int) -> None:
        buffer: bytearray | None = None
        try:
            while (piece := self._next(worker)) is not None:
                buffer = buffer or self._sender.buffer_for(BLOCK)
                try:
                    self._send(piece, buffer)
                finally:
                    piece.free()
        except AbandonedError:
            return
        except BaseException as error:  # noqa: BLE001  run() raises it
            self._fail(error)

    def _send(self, piece: Piece, buffer: bytearray) -> None:
        def send(body: RangeBody, _: Headers | None) -> Headers:
            return self._upload_part(piece.number, body)

        part, _ = self._sender.send(piece, buffer=buffer, send=send)
        self._record(piece.number, part)
        with self._lock:
            self._done[piece.number] = part

    def _next(self, worker: int) -> Piece | None:
        if self._pace is not None:
            self._pace.wait_turn(worker, self._is_over)
        if self._error is not None or self._stop.is_set():
            return None
        piece = self._supply()
        if piece is None:
            self._exhausted = True
        return piece

    def _is_over(self) -> bool:
        return self._exhausted or self._error is not None or self._stop.is_set()

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        if not (self._resumable and isinstance(error, SessionError)):
            self._sender.abandoned.set()
