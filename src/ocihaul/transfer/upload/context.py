"""One upload: what its caller handed over, what all its steps share, and the object on the service.

`RemoteObject` tells whether that may be written, and whether it is what we sent. A `PartExecutor`
sends parts by other machines.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ocihaul.errors import ChecksumError, NetworkError, ObjectExistsError, ServiceError
from ocihaul.events import Listener
from ocihaul.storage.calls import Headers
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import Integrity, SentPart
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.monitor import AdaptiveConcurrency, TransferMonitor
from ocihaul.transfer.source import FileSource, digest_ranges
from ocihaul.transfer.upload.incomplete import IncompleteUploadIndex
from ocihaul.transfer.upload.request import (
    Confirm,
    IfExists,
    UploadRequest,
    UploadResult,
    expected_checksums,
)
from ocihaul.transfer.upload.state import UploadState, load_state
from ocihaul.transport.message import Body


@dataclass(frozen=True, slots=True)
class RemoteUpload:
    """A multipart upload that is under way; `declared` is the checksum that the service is told."""

    request: UploadRequest
    upload_id: str
    declared: str


#: Offset and length of each part by its number, bytes.
Parts = Mapping[int, tuple[int, int]]


class PartTasks(Protocol):
    """Sends parts of one upload."""

    def send(self, parts: Parts, *, elsewhere: bool = False) -> dict[int, SentPart]:
        """Send them; with `elsewhere`, not by the machine that has sent that part before."""


class PartExecutor(Protocol):
    """Other machines that see the file."""

    def check_file(self, path: Path) -> None:
        """Raise SourceError, which names each machine that does not see the same file."""

    def sending_parts(
        self, upload: RemoteUpload, told: Callable[[int, SentPart, int], None]
    ) -> AbstractContextManager[PartTasks]:
        """`told` hears of each part: its number, what it is, and how many bytes were sent for it.

        Raises SourceError, which names each machine that does not see the same file.
        """


#: How long the deletion of a damaged object may take, seconds: the transfer may be cancelled.
_DELETE_SECONDS = 10.0


class RemoteObject:
    """One object name in one bucket: the request's, unless another is given."""

    def __init__(
        self, storage: StorageClient, request: UploadRequest, name: str | None = None
    ) -> None:
        self.name = request.name if name is None else name
        self._storage = storage
        self._request = request

    def put(self, body: bytes | Body, headers: Mapping[str, str]) -> Mapping[str, str]:
        """Make one PutObject request; returns the answer's headers."""
        request = self._request
        return self._storage.put_object(
            request.namespace, request.bucket, self.name, body, headers
        ).headers

    def delete(self, version_id: str | None, etag: str | None) -> None:
        """Delete an object that was just made, also when the transfer is cancelled.

        One of `version_id` and `etag` is known. In a bucket with versions the version is deleted,
        so the one before it is visible again. Without an error the object is gone, perhaps because
        another writer has replaced it. Raises what the call raises.
        """
        where = (self._request.namespace, self._request.bucket, self.name)
        with self._storage.bounded(_DELETE_SECONDS) as storage:
            try:
                try:
                    storage.delete_object(*where, version_id=version_id, if_match=etag)
                except ServiceError as error:
                    # Whether a bucket without versions knows a version's id is not documented.
                    if error.status not in {400, 404} or version_id is None or etag is None:
                        raise
                    storage.delete_object(*where, if_match=etag)
            except ServiceError as error:
                if error.status not in {404, 412}:
                    raise

    def head(self, preconditions: Mapping[str, str] | None = None) -> ObjectSummary | None:
        """The object as it is now; None when there is none."""
        request = self._request
        key = request.sse_customer_key
        headers = {**(preconditions or {}), **(key.headers() if key else {})}
        try:
            return self._storage.head_object(request.namespace, request.bucket, self.name, headers)
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def preconditions(self, confirm: Confirm | None) -> dict[str, str]:
        """The headers that keep the upload from replacing what the caller has not seen.

        Raises ObjectExistsError when the object exists and the caller does not want it replaced.
        """
        request = self._request
        etag = request.if_match or request.seen_etag
        chosen = {"if-match": etag} if etag else {}
        if request.existing is IfExists.REPLACE:
            return chosen
        if request.existing is IfExists.ABSENT:
            return {"if-none-match": "*"}
        there = self._seen(chosen)
        if there is None:
            return chosen or {"if-none-match": "*"}
        if request.existing is IfExists.KEEP:
            raise ObjectExistsError(
                f"the object {request.name!r} already exists",
                size=there.size,
                headers=there.headers,
            )
        if confirm is None or not confirm(there):
            raise ObjectExistsError(
                f"the object {request.name!r} already exists",
                hint="Pass `existing=IfExists.REPLACE` to replace it; with "
                "`existing=IfExists.KEEP` it stays as it is.",
                size=there.size,
                headers=there.headers,
            )
        return chosen or ({"if-match": there.etag} if there.etag else {})

    def _seen(self, preconditions: Mapping[str, str]) -> ObjectSummary | None:
        """The object whatever key it has: a customer's key of ours need not be the one it has."""
        request = self._request
        if request.sse_customer_key is None:
            return self.head(preconditions)
        where = (request.namespace, request.bucket, self.name)
        try:
            return self._storage.head_object(*where, preconditions)
        except ServiceError as error:
            if error.status == 404:
                return None
            if error.status not in {400, 403}:
                raise
        return self.head(preconditions)

    def matching(self, size: int, expected: Mapping[str, str]) -> Mapping[str, str] | None:
        """The object's headers if it is the one we sent; None if it is not, or is not readable.

        After a reply was lost, a repeated request fails although the first one took effect. Size
        and at least one checksum have to match, and none may differ. Raises SessionError and
        TransferCancelled: they are not about the object.
        """
        headers = self.head_as_put_response(size)
        if headers is None or checksum.differing(expected, headers):
            return None
        return headers if expected.keys() & headers.keys() else None

    def head_as_put_response(self, size: int) -> Mapping[str, str] | None:
        """The object's headers by the names of PutObject's answer.

        None when it has another size, does not exist, or is not readable. Raises as `matching`.
        """
        try:
            there = self.head()
        except (ServiceError, NetworkError):
            return None
        if there is None or there.size != size:
            return None
        headers = dict(there.headers)
        if "content-md5" in headers:  # HeadObject's name for what PutObject calls opc-content-md5
            headers["opc-content-md5"] = headers["content-md5"]
        return headers


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
    executor: PartExecutor | None = None

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
            executor=self.executor,
        )


@dataclass(slots=True)
class UploadContext:
    """One upload. `started` is monotonic seconds.

    `kept_bytes` are the bytes of parts that an earlier run has uploaded, `bytes_sent` those handed
    to connections by this one, repeats included. `concurrency` limits the parts at a time (None:
    `request.parallel` of them). `executor` are other machines that send the parts. Once `abandoned`
    is set, requests on their way are given up.
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
    executor: PartExecutor | None = None
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
