"""Receive one range of an object: from the socket into a buffer, hashed, and put away."""

import threading
from collections.abc import Callable, Mapping

from ocihaul.events import BytesReceived, Listener, ignore
from ocihaul.storage.object_range import ObjectRange
from ocihaul.transfer import checksum
from ocihaul.transfer.buffers import AbandonedError
from ocihaul.transfer.checksum import CRC32C, MD5, Running

#: Receive, hash and write in steps of this many bytes.
BLOCK = 512 * 1024

#: Takes bytes and their offset, counted from the start of what is fetched.
Put = Callable[[memoryview, int], None]


class Digests:
    """CRC32C of all bytes, and MD5 of each `block` of them where one is given."""

    def __init__(self, block: int | None) -> None:
        self._crc32c = checksum.start(CRC32C)
        self._block = block
        self._md5: Running | None = None
        self._left = 0
        self._blocks: list[bytes] = []

    def update(self, data: memoryview) -> None:
        """Take in the next bytes."""
        self._crc32c.update(data)
        while self._block is not None and data:
            if self._md5 is None:
                self._md5, self._left = checksum.start(MD5), self._block
            self._md5.update(data[: self._left])
            taken = min(self._left, len(data))
            self._left -= taken
            data = data[taken:]
            if not self._left:
                self._end_block()

    def _end_block(self) -> None:
        if self._md5 is not None:
            self._blocks.append(self._md5.digest())
        self._md5 = None

    @property
    def crc32c(self) -> bytes:
        """Of all bytes so far."""
        return self._crc32c.digest()

    def blocks(self) -> tuple[bytes, ...]:
        """MD5 of each block, the last of which may be short. Call it when all bytes are in."""
        self._end_block()
        return tuple(self._blocks)


class RangeSink:
    """Receive a range of an object.

    Each full `buffer` is hashed into `digests` and given to `put` with its offset, which begins
    with `offset`; both are optional. What came stays when a connection breaks. The last buffer
    waits for the end of the answer: an answer that goes on, or breaks there, is asked for it again.
    Once `abandoned` is set, AbandonedError ends the request.
    """

    def __init__(
        self,
        wanted: ObjectRange,
        *,
        buffer: memoryview,
        number: int = 1,
        offset: int = 0,
        digests: Digests | None = None,
        put: Put | None = None,
        listener: Listener = ignore,
        abandoned: threading.Event | None = None,
    ) -> None:
        self._range = wanted
        self._number = number
        self._offset = offset
        self._view = buffer
        self._filled = 0
        self._digests = digests
        self._put = put
        self._listener = listener
        self._abandoned = abandoned

    def wanted(self) -> Mapping[str, str]:
        """Headers for what is missing. Raises NetworkError when answers do not end."""
        if not self._range.missing:
            self._range.rewind(self._filled)
            self._filled = 0
        return self._range.request_headers()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Compare an answer's head with the range. Raises as `ObjectRange.check_answer`."""
        self._range.check_answer(status, headers)

    def space(self) -> memoryview:
        """The rest of the buffer, or of the range."""
        return self._view[self._filled : self._filled + self._range.missing]

    def filled(self, count: int) -> None:
        """Put a full buffer away. Raises AbandonedError, and what `put` raises."""
        if self._abandoned is not None and self._abandoned.is_set():
            raise AbandonedError
        self._filled += count
        self._range.next += count
        if self._filled == len(self._view) and self._range.missing:
            self._flush()

    def end(self) -> None:
        """Put the rest away. Raises WireError when the answer was cut short without a sign."""
        self._range.check_end()
        self._flush()

    def _flush(self) -> None:
        block = self._view[: self._filled]
        if self._digests is not None:
            self._digests.update(block)
        if self._put is not None:
            self._put(block, self._offset)
        self._offset += self._filled
        self._listener(BytesReceived(self._number, self._filled))
        self._filled = 0
