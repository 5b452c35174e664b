"""One download: what its steps share, and the sink that takes a range as it arrives.

A `RangeExecutor` fetches ranges by other machines.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ocihaul.errors import ServiceError, TransferCancelled
from ocihaul.events import BytesReceived, DownloadPlanned, Listener, ignore
from ocihaul.storage.client import StorageClient
from ocihaul.storage.object_operations import ObjectRange, PinnedObject
from ocihaul.storage.values import ObjectSummary
from ocihaul.threads import AbandonedError
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5, Running
from ocihaul.transfer.download.local_file import FinishedRange
from ocihaul.transfer.download.request import (
    DownloadRequest,
    RangePlan,
    plan_download,
    wanted_bytes,
)
from ocihaul.transfer.download.verification import ObjectChecksums
from ocihaul.transfer.monitor import AdaptiveConcurrency


@dataclass(frozen=True, slots=True)
class RemoteDownload:
    """A download that is under way: to `temporary`, a name beside `target`."""

    request: DownloadRequest
    there: ObjectSummary
    plan: RangePlan
    target: Path
    temporary: str


#: What an earlier run has finished of each range, by its number.
Ranges = Mapping[int, FinishedRange | None]


class RangeTasks(Protocol):
    """Fetches ranges of one object."""

    def fetch(self, ranges: Ranges, *, elsewhere: bool = False) -> None:
        """Fetch them, or read what is there again; with `elsewhere`, by another machine than
        before.
        """


class RangeExecutor(Protocol):
    """Other machines that write to the same file."""

    def fetching_ranges(
        self, remote: RemoteDownload, told: Callable[[int, FinishedRange, bool], None]
    ) -> AbstractContextManager[RangeTasks]:
        """`told` hears of each range that is in the file, and on its disk: its number, what it is,
        and whether it came now.

        Raises SourceError, which names each machine that does not see the same directory.
        """


#: Receive, hash and write in steps of this many bytes.
READ_BLOCK = 512 * 1024

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
        name: str = "",
        offset: int = 0,
        digests: Digests | None = None,
        put: Put | None = None,
        listener: Listener = ignore,
        abandoned: threading.Event | None = None,
    ) -> None:
        self._range = wanted
        self._number = number
        self._name = name
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
        self._listener(BytesReceived(self._number, self._filled, self._name))
        self._filled = 0


@dataclass(slots=True)
class DownloadContext:
    """The context of one download. Once `abandoned` is set, ranges on their way are given up.

    `executor` are other machines that fetch the ranges.
    """

    storage: StorageClient
    request: DownloadRequest
    there: ObjectSummary
    listener: Listener
    stop: threading.Event
    concurrency: AdaptiveConcurrency | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)
    executor: RangeExecutor | None = None
    pinned: PinnedObject = field(init=False)
    expected: ObjectChecksums = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards received
    received: int = 0

    def __post_init__(self) -> None:
        self.pinned = PinnedObject(self.request.name, self.there.etag, self.there.size)
        whole = self.request.byte_range is None and self.request.verify
        self.expected = ObjectChecksums.of(self.there.headers) if whole else ObjectChecksums()

    def plan(self) -> RangePlan:
        """The ranges that the request asks for. Raises UsageError for one that does not exist."""
        request = self.request
        return plan_download(
            wanted_bytes(request.byte_range, self.there.size),
            part_size=request.part_size,
            threshold=request.threshold,
            multipart=request.multipart,
            parallel=request.parallel,
            block=self.expected.block(self.there.size, request.part_size),
        )

    def announce(self, plan: RangePlan) -> None:
        """Tell the listener what is going to be fetched."""
        self.listener(
            DownloadPlanned(
                name=self.request.name,
                size=plan.size,
                part_size=plan.part_size,
                part_count=plan.part_count,
                parallel=min(self.request.parallel, plan.part_count),
            )
        )

    def check_stop(self) -> None:
        """Raise TransferCancelled, or AbandonedError when another range has failed."""
        if self.stop.is_set():
            raise TransferCancelled("stopped")
        if self.abandoned.is_set():
            raise AbandonedError

    def fetch(
        self,
        plan: RangePlan,
        number: int,
        *,
        buffer: memoryview,
        digests: Digests | None,
        put: Put,
        here: int = 0,
    ) -> None:
        """Fetch one range, but for the `here` bytes of it that `digests` have taken already.

        Raises ObjectChangedError, AbandonedError, what `put` and the call raise.
        """
        request = self.request
        offset, length = plan.part(number)
        start = plan.start + offset
        sink = RangeSink(
            ObjectRange(self.pinned, start + here, start + length),
            number=number,
            name=request.name,
            offset=offset + here,
            buffer=buffer,
            digests=digests,
            put=put,
            listener=self.listener,
            abandoned=self.abandoned,
        )
        key = request.sse_customer_key
        query = {f"httpResponse{name}": value for name, value in request.response_headers.items()}
        if request.version_id is not None:
            query["versionId"] = request.version_id
        try:
            self.storage.get_object(
                request.namespace,
                request.bucket,
                request.name,
                sink,
                headers=key.headers() if key else {},
                query=query,
                abandoned=self.abandoned,
            )
        except ServiceError as error:
            if self.pinned.is_changed(error):
                raise self.pinned.changed() from error
            raise
        self.count_received(length - here)

    def count_received(self, count: int) -> None:
        """Count bytes that came."""
        with self._lock:
            self.received += count
