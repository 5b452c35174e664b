"""Sending one range of the source until the service has it right."""

import threading
from collections.abc import Callable, Mapping

from ocihaul.errors import ChecksumError
from ocihaul.events import Listener, PartFinished
from ocihaul.transfer.digesting import digest_range
from ocihaul.transfer.integrity import Integrity, SentPart
from ocihaul.transfer.source import Piece
from ocihaul.transfer.uploads.body import RangeBody

#: How often a range is sent whose checksum comes back wrong.
MOST_SENDS = 3

Headers = Mapping[str, str]

#: Makes the request that carries a body; returns the answer's headers.
Send = Callable[[RangeBody], Headers]


class RangeSender:
    """Sends ranges of sources and checks what arrived. Thread-safe.

    `sent_bytes` counts every body byte that was handed to a connection, repeats included.
    Once `abandoned` is set, bodies on their way end with AbandonedError.
    """

    def __init__(
        self, integrity: Integrity, *, listener: Listener, abandoned: threading.Event | None = None
    ) -> None:
        self.abandoned = abandoned or threading.Event()
        self.sent_bytes = 0
        self._integrity = integrity
        self._listener = listener
        self._lock = threading.Lock()  # guards sent_bytes

    def count(self, sent: int) -> None:
        """So many more body bytes were handed to a connection."""
        with self._lock:
            self.sent_bytes += sent

    def send(self, piece: Piece, *, buffer: memoryview, send: Send) -> tuple[SentPart, Headers]:
        """Send one range, through a buffer that is lent; returns the part and the answer.

        Raises ChecksumError when they arrive damaged three times, SourceError when the source
        changed meanwhile, and what `send` raises.
        """
        source, offset, length = piece.source, piece.offset, piece.length
        for attempt in range(1, MOST_SENDS + 1):
            body = RangeBody(
                source,
                offset,
                length,
                part_number=piece.number,
                algorithms=self._integrity.algorithms,
                buffer=buffer,
                listener=self._listener,
                abandoned=self.abandoned,
            )
            try:
                answer = send(body)
            finally:
                self.count(body.total_sent)
            try:
                digests = self._integrity.check_part(
                    body.digests,
                    answer,
                    lambda name: digest_range(source, offset, length, [name])[name],
                )
            except ChecksumError as error:
                body.throw_away(error.message)
                if attempt == MOST_SENDS:
                    raise ChecksumError(
                        f"part {piece.number} arrived damaged {MOST_SENDS} times: {error.message}",
                        hint="Check this machine's memory and disk, and the proxies on the way.",
                    ) from error
            else:
                self._listener(PartFinished(piece.number, length))
                etag, request_id = answer.get("etag", ""), answer.get("opc-request-id")
                return SentPart(length, etag, digests, request_id), answer
        raise AssertionError("the loop above returns or raises")
