"""One download in hand: what was asked, which object it is, and how a range of it is fetched."""

import threading
from dataclasses import dataclass, field

from ocihaul.errors import Interrupted, ServiceError
from ocihaul.events import DownloadPlanned, Listener
from ocihaul.storage.client import StorageClient
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer.blocks import AbandonedError
from ocihaul.transfer.downloads.proof import Promise
from ocihaul.transfer.downloads.ranges import RangePlan, plan_download, wanted_bytes
from ocihaul.transfer.downloads.receiving import Digests, Pinned, Put, RangeSink
from ocihaul.transfer.downloads.request import DownloadRequest
from ocihaul.transfer.pace import Pace


@dataclass(slots=True)
class DownloadJob:
    """The context of one download. Once `abandoned` is set, ranges on their way are given up."""

    storage: StorageClient
    request: DownloadRequest
    there: ObjectSummary
    listener: Listener
    stop: threading.Event
    pace: Pace | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)
    pinned: Pinned = field(init=False)
    promise: Promise = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards received
    received: int = 0

    def __post_init__(self) -> None:
        self.pinned = Pinned(self.request.name, self.there.etag, self.there.size)
        whole = self.request.byte_range is None and self.request.verify
        self.promise = Promise.of(self.there.headers) if whole else Promise()

    def plan(self) -> RangePlan:
        """How the request would have it. Raises UsageError for a range that is not there."""
        request = self.request
        return plan_download(
            wanted_bytes(request.byte_range, self.there.size),
            part_size=request.part_size,
            threshold=request.threshold,
            multipart=request.multipart,
            parallel=request.parallel,
            block=self.promise.block(self.there.size, request.part_size),
        )

    def announce(self, plan: RangePlan) -> None:
        """Say what is going to be fetched."""
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
        """Raise Interrupted or AbandonedError when what is in hand is to be given up."""
        if self.stop.is_set():
            raise Interrupted("stopped")
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

        Raises ObjectChanged, AbandonedError, what `put` and the call raise.
        """
        request = self.request
        offset, length = plan.part(number)
        sink = RangeSink(
            self.pinned,
            plan.start + offset + here,
            length - here,
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
            if error.status == 412 or error.code == "ObjectNotFound":
                raise self.pinned.changed() from error
            raise
        with self._lock:
            self.received += length - here
