"""One range of an object on its way: from the socket into a buffer, hashed, and put away."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ocihaul.errors import NetworkError, ObjectChanged
from ocihaul.events import BytesReceived, Listener
from ocihaul.transfer import checksum
from ocihaul.transfer.buffers import AbandonedError
from ocihaul.transfer.checksum import CRC32C, MD5, Running
from ocihaul.wire.message import WireError

#: Receive, hash and write in steps of this many bytes.
BLOCK = 512 * 1024

#: How often an answer may go on, or break, behind its last byte.
MOST_ENDLESS = 5

#: Takes bytes and where they belong, counted from the start of what is fetched.
Put = Callable[[memoryview, int], None]


@dataclass(frozen=True, slots=True)
class Pinned:
    """The object that is being fetched, and no other: its etag and its size in bytes."""

    name: str
    etag: str | None
    size: int

    def changed(self) -> ObjectChanged:
        """The error to raise when it is another one."""
        return ObjectChanged(
            f"the object {self.name!r} has changed while it was fetched",
            hint="Nothing was kept: run the same command again to fetch it as it is now.",
        )


def endless(name: str) -> NetworkError:
    """The error to raise when all bytes came, again and again, and no answer ended there."""
    return NetworkError(
        f"the answers with the bytes of {name!r} do not end where they should",
        hint="Check the proxies on the way: they may change what passes.",
    )


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
    """A `wire.Sink` for the bytes `first` to `first + length` of an object.

    Every full buffer is hashed and put away; what has come stays when a connection breaks. The
    last one waits for the end of the answer: one that goes on, or breaks there, is asked for it
    again.
    """

    def __init__(
        self,
        pinned: Pinned,
        first: int,
        length: int,
        *,
        number: int,
        offset: int,
        buffer: memoryview,
        digests: Digests | None,
        put: Put,
        listener: Listener,
        abandoned: threading.Event,
    ) -> None:
        self._pinned = pinned
        self._next = first
        self._end = first + length
        self._number = number
        self._offset = offset
        self._view = buffer
        self._filled = 0
        self._endless = 0
        self._digests = digests
        self._put = put
        self._listener = listener
        self._abandoned = abandoned

    def wanted(self) -> Mapping[str, str]:
        """What is missing, and of which object. Raises NetworkError when that has no end."""
        if self._next == self._end:
            self._endless += 1
            if self._endless > MOST_ENDLESS:
                raise endless(self._pinned.name)
            self._next -= self._filled
            self._filled = 0
        headers = {
            "range": f"bytes={self._next}-{self._end - 1}",
            "accept-encoding": "identity",  # as it is stored: nobody on the way may compress it
        }
        return headers if self._pinned.etag is None else headers | {"if-match": self._pinned.etag}

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Raises WireError for other bytes than asked for, ObjectChanged for another object."""
        pinned = self._pinned.etag
        if pinned is not None and headers.get("etag", pinned) != pinned:
            raise self._pinned.changed()
        size = self._pinned.size
        told = headers.get("content-range", "") if status == 206 else None
        if told is None and (self._next, self._end) == (0, size):
            told = f"bytes 0-{size - 1}/{headers.get('content-length', size)}"
        asked = f"bytes {self._next}-{self._end - 1}/{size}"
        if told != asked:
            raise WireError(f"asked for {asked}, and the answer is {status} {told or 'all of it'}")
        length = str(self._end - self._next)
        if headers.get("content-length", length) != length:
            raise WireError(
                f"asked for {length} bytes, and {headers['content-length']} are to come"
            )

    def space(self) -> memoryview:
        """The rest of the buffer, or of the range."""
        return self._view[self._filled : self._filled + self._end - self._next]

    def filled(self, count: int) -> None:
        """Put a full buffer away. Raises AbandonedError, and what `put` raises."""
        if self._abandoned.is_set():
            raise AbandonedError
        self._filled += count
        self._next += count
        if self._filled == len(self._view) and self._next < self._end:
            self._flush()

    def end(self) -> None:
        """Put the rest away. Raises WireError when it was cut short without a sign."""
        if self._next < self._end:
            raise WireError(f"the answer ended {self._end - self._next} bytes too early")
        self._flush()

    def _flush(self) -> None:
        block = self._view[: self._filled]
        if self._digests is not None:
            self._digests.update(block)
        self._put(block, self._offset)
        self._offset += self._filled
        self._listener(BytesReceived(self._number, self._filled))
        self._filled = 0
