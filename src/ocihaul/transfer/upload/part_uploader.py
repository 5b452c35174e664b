"""A range of the source as a request body: read, hashed and sent in one pass, again if need be."""

import threading
from collections.abc import Callable, Iterator, Mapping

from ocihaul.errors import ChecksumError, SourceChanged
from ocihaul.events import BytesSent, Listener, PartFinished, PartResent
from ocihaul.transfer import checksum
from ocihaul.transfer.adaptive_concurrency import Pace
from ocihaul.transfer.buffers import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.hashing import digest_range
from ocihaul.transfer.integrity import Integrity, SentPart
from ocihaul.transfer.source import Piece, Source
from ocihaul.transfer.workers import Crew


class RangeBody:
    """`length` bytes of the source from `offset`, as a `wire.Body`.

    `digests` holds the checksum of each of `algorithms` once all bytes have gone out. `expected`
    has those of an earlier read that the request has told already. `buffer` is lent for as long as
    the body is used; nothing else is held in memory.
    """

    def __init__(
        self,
        source: Source,
        offset: int,
        length: int,
        *,
        part_number: int,
        algorithms: frozenset[str],
        buffer: memoryview,
        listener: Listener,
        abandoned: threading.Event,
        expected: Mapping[str, bytes] | None = None,
    ) -> None:
        self.length = length
        self.digests: dict[str, bytes] = {}
        self.total_sent = 0
        self._sent_now = 0
        self._source = source
        self._offset = offset
        self._number = part_number
        self._algorithms = algorithms
        self._buffer = buffer
        self._listener = listener
        self._abandoned = abandoned
        self._expected = expected or {}

    def blocks(self) -> Iterator[memoryview]:
        """The bytes from the start. Raises SourceError, AbandonedError.

        The last of them go out only if the source is what it was: else nothing is stored.
        """
        self.throw_away("the attempt before it failed")
        running = {name: checksum.start(name) for name in self._algorithms}
        view = self._buffer
        for start in range(0, self.length, len(view)):
            if self._abandoned.is_set():
                raise AbandonedError
            block = view[: min(len(view), self.length - start)]
            self._source.read_into(block, self._offset + start)
            for one in running.values():
                one.update(block)
            if start + len(block) == self.length:
                self._source.check_unchanged()
                self._check_expected(running)
            yield block
        self.digests = {name: one.digest() for name, one in running.items()}

    def _check_expected(self, running: Mapping[str, checksum.Running]) -> None:
        if any(running[name].digest() != digest for name, digest in self._expected.items()):
            raise SourceChanged(
                "the bytes that were read to be sent are not those that were read before",
                hint="Nothing was stored. Upload it when nobody writes to it; if nobody does, "
                "check this machine's memory and disk.",
            )

    def sent(self, count: int) -> None:
        """Called by the connection. Raises AbandonedError: on a slow line a block takes long."""
        self._sent_now += count
        self.total_sent += count
        self._listener(BytesSent(self._number, count))
        if self._abandoned.is_set():
            raise AbandonedError

    def throw_away(self, reason: str) -> None:
        """What was sent so far does not count; say so, if it was anything."""
        self.digests = {}
        if self._sent_now:
            self._listener(BytesSent(self._number, -self._sent_now))
            self._listener(PartResent(self._number, self._sent_now, reason))
        self._sent_now = 0


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
