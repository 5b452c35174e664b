"""Sending parts, several at a time."""

import threading
from collections.abc import Callable

from ocihaul.transfer.blocks import BLOCK, buffer_for
from ocihaul.transfer.crew import Crew
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.source import Piece
from ocihaul.transfer.uploads.body import RangeBody
from ocihaul.transfer.uploads.sending import Headers, RangeSender

#: Makes the UploadPart request with this number for this body; returns the answer's headers.
UploadPart = Callable[[int, RangeBody], Headers]


class PartWorkers:
    """Sends what `supply` gives, as a `Crew` does it.

    Each part is handed to `record` once the service has it, before it counts as done.
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
        self._sender = sender
        self._upload_part = upload_part
        self._record = record
        self._lock = threading.Lock()  # guards _done
        self._done: dict[int, SentPart] = {}
        self._crew = Crew(
            supply,
            self._worker,
            parallel=parallel,
            stop=stop,
            abandoned=sender.abandoned,
            pace=pace,
            resumable=resumable,
        )

    def run(self) -> dict[int, SentPart]:
        """Send all parts and return them by number. Raises the first error, Interrupted."""
        self._crew.run()
        return self._done

    def _worker(self) -> Callable[[Piece], None]:
        buffer = buffer_for(BLOCK)

        def work(piece: Piece) -> None:
            try:
                self._send(piece, buffer)
            finally:
                piece.free()

        return work

    def _send(self, piece: Piece, buffer: memoryview) -> None:
        def send(body: RangeBody) -> Headers:
            return self._upload_part(piece.number, body)

        part, _ = self._sender.send(piece, buffer=buffer, send=send)
        self._record(piece.number, part)
        with self._lock:
            self._done[piece.number] = part
