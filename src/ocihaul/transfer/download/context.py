"""What all steps of one download share: the options, the object, and how a range is fetched."""

import threading
from dataclasses import dataclass, field

from ocihaul.errors import ServiceError, TransferCancelled
from ocihaul.events import DownloadPlanned, Listener
from ocihaul.storage.client import StorageClient
from ocihaul.storage.object_range import ObjectRange, PinnedObject
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.adaptive_concurrency import AdaptiveConcurrency
from ocihaul.transfer.buffers import AbandonedError
from ocihaul.transfer.download.range_sink import Digests, Put, RangeSink
from ocihaul.transfer.download.request import (
    DownloadRequest,
    RangePlan,
    plan_download,
    wanted_bytes,
)
from ocihaul.transfer.download.verification import ObjectChecksums


@dataclass(slots=True)
class DownloadContext:
    """The context of one download. Once `abandoned` is set, ranges on their way are given up."""

    storage: StorageClient
    request: DownloadRequest
    there: ObjectSummary
    listener: Listener
    stop: threading.Event
    concurrency: AdaptiveConcurrency | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)
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
        with self._lock:
            self.received += length - here
