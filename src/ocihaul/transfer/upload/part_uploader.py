"""Upload parts: read, hash, send and compare each, and send it again where it arrived damaged."""

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Protocol

from ocihaul.errors import ChecksumError, SourceChangedError
from ocihaul.events import BytesSent, Listener, PartFinished, PartResent
from ocihaul.threads import AbandonedError, WorkerPool
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.source import BLOCK, Piece, Source, buffer_for, digest_range
from ocihaul.transfer.upload.context import UploadContext
from ocihaul.transport.message import Answer, Body

#: How often a part is sent whose checksum comes back wrong.
MOST_SENDS = 3


class UploadPart(Protocol):
    """The UploadPart request of one multipart upload, all but its number and its bytes."""

    def __call__(self, *, number: int, body: Body) -> Answer:
        """Send it. Raises what the storage client raises."""
        ...


class PartUploader:
    """Upload the parts of one multipart upload.

    `record` gets each part once the service has it, before it counts as done.
    """

    def __init__(
        self,
        context: UploadContext,
        upload_part: UploadPart,
        *,
        record: Callable[[int, SentPart], None],
    ) -> None:
        self._context = context
        self._upload_part = upload_part
        self._record = record
        self._lock = threading.Lock()  # guards _done
        self._done: dict[int, SentPart] = {}

    def run(
        self, next_piece: Callable[[], Piece | None], *, parallel: int, resumable: bool = True
    ) -> dict[int, SentPart]:
        """Upload what `next_piece` supplies until it returns None; return the parts by number.

        `parallel` threads do it. `resumable`: the finished parts are of use after an error. Raises
        the first error, TransferCancelled.
        """
        context = self._context
        WorkerPool(
            next_piece,
            lambda: partial(self.upload, buffer=buffer_for(BLOCK)),
            parallel=parallel,
            stop=context.stop,
            abandoned=context.abandoned,
            concurrency=context.concurrency,
            resumable=resumable,
        ).run()
        return self._done

    def upload(self, piece: Piece, *, buffer: memoryview) -> None:
        """Upload one part, through a buffer that is lent, and release its piece.

        Raises ChecksumError when it arrives damaged MOST_SENDS times, SourceError when the source
        changed meanwhile, and what the request raises.
        """
        context, integrity = self._context, self._context.integrity
        number, source, offset, length = piece.number, piece.source, piece.offset, piece.length

        def reread(algorithm: str) -> bytes:
            return digest_range(source, offset, length, [algorithm])[algorithm]

        try:
            for attempt in range(1, MOST_SENDS + 1):
                body = RangeBody(
                    source,
                    offset,
                    length,
                    part_number=number,
                    name=context.request.name,
                    algorithms=integrity.algorithms,
                    buffer=buffer,
                    listener=context.listener,
                    abandoned=context.abandoned,
                )
                try:
                    answer = self._upload_part(number=number, body=body).headers
                finally:
                    context.count_sent(body.total_sent)
                try:
                    digests = integrity.check_part(body.digests, answer, reread)
                except ChecksumError as error:
                    body.discard_progress(error.message)
                    if attempt == MOST_SENDS:
                        raise ChecksumError(
                            f"part {number} arrived damaged {MOST_SENDS} times: {error.message}",
                            hint="Check this machine's memory and disk, and the proxies on the "
                            "way.",
                        ) from error
                else:
                    break
        finally:
            piece.release()
        context.listener(PartFinished(number, length, context.request.name))
        etag, request_id = answer.get("etag", ""), answer.get("opc-request-id")
        part = SentPart(length, etag, digests, request_id)
        self._record(number, part)
        with self._lock:
            self._done[number] = part


class RangeBody:
    """`length` bytes of a source from `offset` as a request body; read anew by each attempt.

    `digests` has the checksum of each of `algorithms` once all bytes were sent. `expected` has
    those that the request declares, from an earlier read. `total_sent` counts the bytes of all
    attempts. `buffer` is lent for as long as the body is used; nothing else is held in memory.
    """

    def __init__(
        self,
        source: Source,
        offset: int,
        length: int,
        *,
        part_number: int,
        name: str = "",
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
        self._name = name
        self._algorithms = algorithms
        self._buffer = buffer
        self._listener = listener
        self._abandoned = abandoned
        self._expected = expected or {}

    def blocks(self) -> Iterator[memoryview]:
        """Read and hash block after block, from the start. Raises SourceError, AbandonedError.

        The last block is sent only if the source has not changed: else nothing is stored.
        """
        self.discard_progress("the attempt before it failed")
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
            raise SourceChangedError(
                "the bytes read to be sent differ from those read before",
                hint="Nothing was stored. Upload it when no program writes to it; if none does, "
                "check this machine's memory and disk.",
            )

    def sent(self, count: int) -> None:
        """Count bytes that the connection took. Raises AbandonedError: a block may take long."""
        self._sent_now += count
        self.total_sent += count
        self._listener(BytesSent(self._number, count, self._name))
        if self._abandoned.is_set():
            raise AbandonedError

    def discard_progress(self, reason: str) -> None:
        """Take back what was sent so far, and tell the listener if it was anything."""
        self.digests = {}
        if self._sent_now:
            self._listener(BytesSent(self._number, -self._sent_now, self._name))
            self._listener(PartResent(self._number, self._sent_now, reason))
        self._sent_now = 0
