"""One object to one file: look, fetch, compare, put in place."""

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ocihaul.errors import ServiceError, UsageError
from ocihaul.events import DownloadFinished, Listener, Notice, ignore
from ocihaul.filesystem import FileSystem
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import (
    check_bucket_name,
    check_headers,
    check_object_name,
    check_text,
)
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.adaptive_concurrency import Pace
from ocihaul.transfer.checksum import CRC32C
from ocihaul.transfer.download.archive_restore import readable
from ocihaul.transfer.download.checkpoint import Finished
from ocihaul.transfer.download.context import DownloadJob
from ocihaul.transfer.download.local_file import LocalFile, Place, is_special, opened, resolved
from ocihaul.transfer.download.request import DownloadRequest, DownloadResult, check_wishes
from ocihaul.transfer.download.to_file import IntoFile
from ocihaul.transfer.download.to_stream import IntoStream
from ocihaul.transfer.download.verification import check_provable
from ocihaul.transfer.journal.journal import state_directory
from ocihaul.transfer.locks import alone
from ocihaul.transfer.plan import is_within

#: What unfinished files beside a target end with; nobody's own files should.
SUFFIX = ".ocihaul"
#: What is added to that for the list of the ranges that are there.
RANGES = "-ranges"
#: How many bytes of a target's name its temporary file shows: a file name has at most 255, and
#: 143 on the encrypted shares of some storage devices.
_SHOWN = 40

#: What both make of that; a file system may take other cases for the same.
_UNFINISHED = re.compile(
    rf"\.(.{{0,{_SHOWN}}}\.)?[0-9a-f]{{16}}{re.escape(SUFFIX)}({RANGES})?",
    re.DOTALL | re.IGNORECASE,
)

#: HeadObject says no more than a status.
_HINTS = {
    304: "The object still has the etag that it should not have.",
    404: "There is no such object, bucket or namespace, or no policy lets you see it: check "
    "--name, --bucket-name, --namespace and --region.",
    412: "The object does not have the etag that it should have.",
}


def download(
    storage: StorageClient,
    request: DownloadRequest,
    *,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
    before: Callable[[int], None] | None = None,
    directory: Path | None = None,
    pace: Pace | None = None,
    place: Place | None = None,
) -> DownloadResult:
    """Download `request.name`; its file appears only when all of it is here and right.

    Run again after it was stopped or killed, it goes on with the ranges that are here. `stop` is
    the event that the storage client was made with. `before` is called with the size before
    anything is fetched, and may raise. `directory` is for lock files (None: the state directory).
    With a `pace`, which has to hear the events, it says how many ranges are fetched at a time.
    `place` is the target in a directory that the caller holds open, and closes.

    Raises UsageError and TargetError before anything is fetched; ServiceError, NetworkError,
    SessionError; ObjectArchived; ObjectChanged; ChecksumError; DownloadBusy; Interrupted; and
    BrokenPipeError when the target is a stream that nobody reads any more.
    """
    stop = stop or threading.Event()
    _check(request)
    started = time.monotonic()

    def begin() -> DownloadJob:
        job = _job(storage, request, listener=listener, stop=stop, pace=pace)
        size = job.plan().size  # what cannot be fetched makes no file
        check_provable(job.promise, job.there.size, request.part_size)
        if before is not None:
            before(size)
        return job

    def into(place: Place) -> DownloadResult:
        target = str(place.path)
        lock = (directory or state_directory()) / f"download-{_digest(target)}.lock"
        with alone(lock, target, wait=request.wait, listener=listener, stop=stop):
            tidy(storage, request, place)
            job = begin()
            temporary = _temporary(storage, request, place)
            finished = Finished(place, temporary + RANGES, listener)
            try:
                with LocalFile(place, temporary) as file:
                    filling = IntoFile(job, file, finished)
                    filling.run()
            finally:
                finished.close()
        return _result(job, filling, started)

    target = request.target
    if place is not None:
        return into(place)
    if not isinstance(target, Path):
        return _streamed(begin(), target, started)
    if is_special(target) and not target.is_dir():
        with opened(target) as out:
            return _streamed(begin(), out, started)
    with Place.at(resolved(target), FileSystem(listener)) as named:
        return into(named)


def tidy(storage: StorageClient, request: DownloadRequest, place: Place) -> None:
    """Remove what a kill between the last two steps of a download leaves beside a finished file.

    That is the list of the ranges in a temporary file which has the target's name by now.
    """
    temporary = _temporary(storage, request, place)
    with contextlib.suppress(OSError):
        if place.status(temporary) is None:
            place.remove(temporary + RANGES)


def is_unfinished(name: str) -> bool:
    """Whether a file is called like those that gather the bytes of a download."""
    return _UNFINISHED.fullmatch(name) is not None


def _streamed(job: DownloadJob, out: BinaryIO, started: float) -> DownloadResult:
    into = IntoStream(job, out)
    into.run()
    return _result(job, into, started)


def _check(request: DownloadRequest) -> None:
    """Raise UsageError for what no request could carry, before any is made."""
    check_text(request.namespace, "namespace")
    check_bucket_name(request.bucket)
    check_object_name(request.name)
    check_headers(_preconditions(request))
    check_wishes(part_size=request.part_size, parallel=request.parallel)
    if request.restore_hours is not None and not is_within(request.restore_hours, 1, 240):
        raise UsageError(f"{request.restore_hours!r} hours cannot be (1 to 240)")


def _preconditions(request: DownloadRequest) -> dict[str, str]:
    given = {"if-match": request.if_match, "if-none-match": request.if_none_match}
    return {name: value for name, value in given.items() if value is not None}


def _job(
    storage: StorageClient,
    request: DownloadRequest,
    *,
    listener: Listener,
    stop: threading.Event,
    pace: Pace | None,
) -> DownloadJob:
    key = request.sse_customer_key
    headers = _preconditions(request) | (key.headers() if key else {})

    def look() -> ObjectSummary:
        return storage.head_object(
            request.namespace,
            request.bucket,
            request.name,
            headers,
            version_id=request.version_id,
        )

    try:
        there = look()
    except ServiceError as error:
        error.hint = _HINTS.get(error.status, error.hint)
        raise
    there = readable(storage, request, there, look=look, listener=listener, stop=stop)
    return DownloadJob(storage, request, there, listener, stop, pace)


def _temporary(storage: StorageClient, request: DownloadRequest, place: Place) -> str:
    """Where this object's bytes for this target gather: the same name in every run."""
    name = place.path.name
    where = (storage.base_url(request.namespace), request.namespace, request.bucket, request.name)
    what = (*where, request.version_id or "", request.byte_range or "", name)
    shown = os.fsencode(name)[:_SHOWN].decode(errors="ignore")
    shown = os.fsdecode(shown.encode())  # the locale may not have these characters
    return f".{shown}.{_digest(*what)}{SUFFIX}"


def _digest(*words: str) -> str:
    text = "\n".join(words)
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _result(job: DownloadJob, into: IntoFile | IntoStream, started: float) -> DownloadResult:
    request, plan = job.request, into.plan
    if into.checked_by is None and request.byte_range is None and request.verify:
        text = f"The service gives no checksum of {request.name}: what came was not compared."
        job.listener(Notice(text))
    result = DownloadResult(
        headers=job.there.headers,
        size=plan.size,
        part_count=plan.part_count,
        bytes_received=job.received,
        crc32c=checksum.whole(CRC32C, into.ranges),
        checked_by=into.checked_by,
        seconds=time.monotonic() - started,
    )
    job.listener(
        DownloadFinished(
            request.name, plan.size, result.seconds, into.checked_by, result.bytes_received
        )
    )
    return result
