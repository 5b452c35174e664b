"""A range of the source as a request body: read, hashed and sent in one pass, again if need be."""

import threading
from collections.abc import Iterator, Mapping

from ocihaul.errors import SourceChanged
from ocihaul.events import BytesSent, Listener, PartResent
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import AbandonedError
from ocihaul.transfer.source import Source


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
