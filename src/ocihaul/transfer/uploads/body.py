"""A range of the source as a request body: read, hashed and sent in one pass, again if need be."""

import threading
from collections.abc import Iterator

from ocihaul.events import BytesSent, Listener, PartResent
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import AbandonedError
from ocihaul.transfer.source import Source


class RangeBody:
    """`length` bytes of the source from `offset`, as a `wire.Body`.

    `digests` holds the checksum of each of `algorithms` once all bytes have gone out. `buffer`
    is lent for as long as the body is used; nothing else is held in memory.
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
            yield block
        self.digests = {name: one.digest() for name, one in running.items()}

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
