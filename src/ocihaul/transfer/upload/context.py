"""One upload: what its caller handed over, and what all its steps share."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ocihaul.errors import ChecksumError
from ocihaul.events import Listener
from ocihaul.storage.calls import Headers
from ocihaul.storage.client import StorageClient
from ocihaul.transfer import checksum
from ocihaul.transfer.adaptive_concurrency import AdaptiveConcurrency
from ocihaul.transfer.hashing import digest_ranges
from ocihaul.transfer.integrity import Integrity, SentPart
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.stats import TransferMonitor
from ocihaul.transfer.upload.incomplete import IncompleteUploadIndex
from ocihaul.transfer.upload.remote_object import RemoteObject
from ocihaul.transfer.upload.request import (
    Confirm,
    UploadRequest,
    UploadResult,
    expected_checksums,
)
from ocihaul.transfer.upload.state import UploadState, load_state


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadParameters:
    """One call of `upload`: its parameters, which files and streams use alike."""

    storage: StorageClient
    request: UploadRequest
    listener: Listener
    stop: threading.Event
    confirm: Confirm | None
    before: Callable[[int | None], None] | None
    journal: Journal | None
    monitor: TransferMonitor
    incomplete: IncompleteUploadIndex | None

    def load_state(self) -> UploadState:
        """The state of this upload, from the journal."""
        return load_state(
            self.storage,
            self.request,
            self.journal,
            self.listener,
            stats=self.monitor.stats,
            incomplete=self.incomplete,
        )

    def context(
        self, declared: str | None, *, abandoned: threading.Event | None = None
    ) -> "UploadContext":
        """What the steps of this upload share; `declared` is the checksum told to the service."""
        integrity = Integrity(
            declared=declared, want_md5=self.request.verify_checksum, listener=self.listener
        )
        return UploadContext(
            self.storage,
            self.request,
            self.listener,
            self.stop,
            integrity,
            concurrency=self.monitor.concurrency,
            abandoned=abandoned or threading.Event(),
        )


@dataclass(slots=True)
class UploadContext:
    """One upload. `started` is monotonic seconds.

    `kept_bytes` are the bytes of parts that an earlier run has uploaded, `bytes_sent` those handed
    to connections by this one, repeats included. `concurrency` limits the parts at a time (None:
    `request.parallel` of them). Once `abandoned` is set, requests on their way are given up.
    """

    storage: StorageClient
    request: UploadRequest
    listener: Listener
    stop: threading.Event
    integrity: Integrity
    remote: RemoteObject = field(init=False)
    started: float = field(default_factory=time.monotonic)
    kept_bytes: int = 0
    bytes_sent: int = 0
    concurrency: AdaptiveConcurrency | None = None
    abandoned: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards bytes_sent

    def __post_init__(self) -> None:
        self.remote = RemoteObject(self.storage, self.request)

    def count_sent(self, count: int) -> None:
        """Count body bytes that were handed to a connection."""
        with self._lock:
            self.bytes_sent += count

    def result(
        self,
        answer: Headers,
        *,
        size: int,
        part_count: int,
        crc32c: str | None,
        md5: str | None,
        parts: Sequence[SentPart],
        upload_id: str | None = None,
    ) -> UploadResult:
        """What the caller gets."""
        return UploadResult(
            headers=answer,
            size=size,
            part_count=part_count,
            upload_id=upload_id,
            crc32c=crc32c,
            md5=md5,
            bytes_sent=self.bytes_sent,
            bytes_resent=self.bytes_sent - (size - self.kept_bytes),
            seconds=time.monotonic() - self.started,
            parts=parts,
        )


def verify_expected_checksums(
    request: UploadRequest, source: FileSource, stop: threading.Event
) -> None:
    """Compare the file with the checksums that the caller gave; a multipart upload carries none.

    Raises ChecksumError when one differs, SourceError, TransferCancelled.
    """
    expected = expected_checksums(request)
    if not expected:
        return
    (digests,) = digest_ranges(source, [(0, source.size)], expected, stop=stop)
    compare_expected_checksums(request, digests)


def compare_expected_checksums(request: UploadRequest, digests: Mapping[str, bytes]) -> None:
    """Raise ChecksumError when a checksum that the caller gave is not ours; nothing was sent."""
    for algorithm, value in expected_checksums(request).items():
        ours = checksum.encoded(digests[algorithm])
        if ours != value:
            raise ChecksumError(
                f"{request.source} has the {algorithm} {ours}, not {value} as expected",
                hint="Nothing was sent: find out which of the two is right.",
            )
