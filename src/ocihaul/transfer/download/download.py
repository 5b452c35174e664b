"""Download one object to one file or stream: look, restore, fetch, compare, put in place.

What gathers the bytes of a file has a name that every run finds again.
"""

import contextlib
import hashlib
import os
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ocihaul.errors import ObjectArchivedError, ServiceError, TransferCancelled
from ocihaul.events import DownloadFinished, Listener, Notice, audience, ignore
from ocihaul.filesystem import FileSystem
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C
from ocihaul.transfer.download.context import DownloadContext, RangeExecutor
from ocihaul.transfer.download.local_file import (
    DownloadCheckpoint,
    LocalFile,
    Place,
    is_special,
    opened,
    resolved,
)
from ocihaul.transfer.download.request import DownloadRequest, DownloadResult
from ocihaul.transfer.download.to_file import FileDownload
from ocihaul.transfer.download.to_stream import StreamDownload
from ocihaul.transfer.download.verification import check_provable
from ocihaul.transfer.journal.journal import state_directory
from ocihaul.transfer.locks import alone
from ocihaul.transfer.monitor import AdaptiveConcurrency, TransferMonitor

#: What unfinished files beside a target end with; no other files should.
SUFFIX = ".ocihaul"
#: What is added to that for the list of the ranges that are there.
RANGES = "-ranges"
#: How many bytes of a target's name its temporary file shows: a file name has at most 255, and
#: 143 on the encrypted shares of some storage devices.
_SHOWN = 40
#: The names of such files; a file system may take other cases for the same.
_UNFINISHED = re.compile(
    rf"\.(.{{0,{_SHOWN}}}\.)?[0-9a-f]{{16}}{re.escape(SUFFIX)}({RANGES})?",
    re.DOTALL | re.IGNORECASE,
)

#: HeadObject says no more than a status.
_HINTS = {
    304: "The object still has the etag that it should not have.",
    404: "There is no such object, bucket or namespace, or no policy lets you see it: check "
    "`name`, `bucket`, `namespace` and `region`.",
    412: "The object does not have the etag that it should have.",
}

#: The first and the longest pause between two looks, seconds. A restore takes about an hour.
_FIRST_LOOK = 0.5
_LONGEST_PAUSE = 60.0
#: Seconds within which the service says that a restore has begun.
_BEGINS_WITHIN = 900.0

_STATE = "archival-state"


def download(
    storage: StorageClient,
    request: DownloadRequest,
    *,
    listener: Listener = ignore,
    stop: threading.Event | None = None,
    before: Callable[[int], None] | None = None,
    directory: Path | None = None,
    monitor: TransferMonitor | None = None,
    place: Place | None = None,
    executor: RangeExecutor | None = None,
) -> DownloadResult:
    """Download `request.name`; its file appears only when all of it is here and right.

    Run again after it was stopped or killed, it resumes with the ranges that are here. `stop` is
    the event that the storage client was made with. `before` is called with the size before
    anything is fetched, and may raise. `directory` is for lock files (None: the state directory).
    A `monitor` hears the storage client's events already; without one, an adaptive download is
    watched by one of its own. `place` is the target in a directory that the caller holds open, and
    closes. `executor` are other machines that fetch the ranges of a file; the rest is done here.

    Raises UsageError and LocalFileError before anything is fetched; ServiceError, NetworkError,
    SessionError; ObjectArchivedError; ObjectChangedError; ChecksumError; TransferInProgressError;
    TransferCancelled; and BrokenPipeError when the reader of a stream is gone.
    """
    stop = stop or threading.Event()
    if monitor is None:
        monitor = TransferMonitor(adaptive=request.adaptive)
        if request.adaptive:
            listener = audience(listener, monitor)
            storage = storage.scoped(listener, stop)
    call = _Call(storage, request, listener, stop, before, directory, monitor.concurrency, executor)
    target = request.target
    if place is not None:
        return call.to_place(place)
    if not isinstance(target, Path):
        return call.to_stream(target)
    if is_special(target) and not target.is_dir():
        with opened(target) as out:
            return call.to_stream(out)
    with Place.at(resolved(target), FileSystem(listener)) as named:
        return call.to_place(named)


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of `download`: its parameters, and the way for each kind of target."""

    storage: StorageClient
    request: DownloadRequest
    listener: Listener
    stop: threading.Event
    before: Callable[[int], None] | None
    directory: Path | None
    concurrency: AdaptiveConcurrency | None
    executor: RangeExecutor | None
    started: float = field(default_factory=time.monotonic)

    def to_place(self, place: Place) -> DownloadResult:
        """Download to a file, with the lock for it."""
        request, target = self.request, str(place.path)
        lock = (self.directory or state_directory()) / f"download-{_digest(target)}.lock"
        with alone(lock, target, wait=request.wait, listener=self.listener, stop=self.stop):
            tidy(self.storage, request, place)
            context = self._begin()
            temporary = _temporary(self.storage, request, place)
            checkpoint = DownloadCheckpoint(place, temporary + RANGES, self.listener)
            try:
                with LocalFile(place, temporary) as file:
                    transfer = FileDownload(context, file, checkpoint)
                    transfer.run()
            finally:
                checkpoint.close()
        return _result(context, transfer, self.started)

    def to_stream(self, out: BinaryIO) -> DownloadResult:
        """Download to an open stream."""
        context = self._begin()
        transfer = StreamDownload(context, out)
        transfer.run()
        return _result(context, transfer, self.started)

    def _begin(self) -> DownloadContext:
        """Look at the object. Raises for what cannot be fetched or compared: it makes no file."""
        request = self.request
        context = DownloadContext(
            self.storage,
            request,
            self._head(),
            self.listener,
            self.stop,
            self.concurrency,
            executor=self.executor,
        )
        size = context.plan().size
        check_provable(context.expected, context.there.size, request.part_size)
        if self.before is not None:
            self.before(size)
        return context

    def _head(self) -> ObjectSummary:
        """The object, restored if it is archived and the request says so."""
        storage, request = self.storage, self.request
        key = request.sse_customer_key
        headers = request.preconditions | (key.headers() if key else {})

        def head() -> ObjectSummary:
            return storage.head_object(
                request.namespace,
                request.bucket,
                request.name,
                headers,
                version_id=request.version_id,
            )

        try:
            there = head()
        except ServiceError as error:
            error.hint = _HINTS.get(error.status, error.hint)
            raise
        return readable(storage, request, there, look=head, listener=self.listener, stop=self.stop)


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


def _result(
    context: DownloadContext, transfer: FileDownload | StreamDownload, started: float
) -> DownloadResult:
    request, plan = context.request, transfer.plan
    if transfer.checked_by is None and request.byte_range is None and request.verify:
        text = f"The service gives no checksum of {request.name}: what came was not compared."
        context.listener(Notice(text))
    result = DownloadResult(
        headers=context.there.headers,
        size=plan.size,
        part_count=plan.part_count,
        bytes_received=context.received,
        crc32c=checksum.whole(CRC32C, transfer.ranges),
        checked_by=transfer.checked_by,
        seconds=time.monotonic() - started,
    )
    context.listener(
        DownloadFinished(
            request.name, plan.size, result.seconds, transfer.checked_by, result.bytes_received
        )
    )
    return result


def readable(
    storage: StorageClient,
    request: DownloadRequest,
    there: ObjectSummary,
    *,
    look: Callable[[], ObjectSummary],
    listener: Listener,
    stop: threading.Event,
) -> ObjectSummary:
    """Return the object once it can be read; restore it and wait, if the request says so.

    `look` asks the service for the object as it is. Raises ObjectArchivedError, TransferCancelled,
    and what the calls raise.
    """
    state = there.headers.get(_STATE, "")
    if state in {"", "Restored"}:
        return there
    if not request.restore:
        raise _archived(request.name, state)
    if state != "Restoring":
        _request_restore(storage, request)
        hours = "" if request.restore_hours is None else f" for {request.restore_hours} hours"
        listener(Notice(f"The restore of {request.name} was asked for{hours}."))
    listener(Notice(f"Waiting until {request.name} is restored: this takes about an hour."))
    started, pause, begun = time.monotonic(), _FIRST_LOOK, state == "Restoring"
    while True:
        if stop.wait(pause):
            raise TransferCancelled(
                f"stopped while {request.name!r} was being restored",
                hint="The restore goes on: run the same command again later.",
            )
        there = look()
        state = there.headers.get(_STATE, "")
        if state in {"", "Restored"}:
            break
        if begun and state != "Restoring":
            raise _archived(request.name, state)
        if not begun and state != "Restoring" and time.monotonic() - started > _BEGINS_WITHIN:
            raise ObjectArchivedError(
                f"the restore of {request.name!r} was asked for and has not begun after "
                f"{_BEGINS_WITHIN / 60:.0f} minutes",
                hint="Run the same command again: it asks for it anew.",
            )
        begun = begun or state == "Restoring"  # the service may take a moment to say so
        pause = min(pause * 2, _LONGEST_PAUSE)
    minutes = (time.monotonic() - started) / 60
    until = there.headers.get("time-of-archival")
    text = f"{request.name} is restored, after {minutes:.0f} minutes"
    listener(Notice(text + (f"; it is archived again at {until}." if until else ".")))
    return there


def _request_restore(storage: StorageClient, request: DownloadRequest) -> None:
    try:
        storage.restore_objects(
            request.namespace,
            request.bucket,
            request.name,
            hours=request.restore_hours,
            version_id=request.version_id,
        )
    except ServiceError as error:
        if not (error.status == 409 and error.after_retry):
            raise  # a repeated request may find that the first one took effect


def _archived(name: str, state: str) -> ObjectArchivedError:
    if state == "Restoring":
        return ObjectArchivedError(
            f"the object {name!r} is being restored from the Archive tier",
            hint="Pass `restore` to wait for it.",
        )
    return ObjectArchivedError(
        f"the object {name!r} is in the Archive tier",
        hint="Pass `restore`: it is restored, which takes about an hour, and then fetched.",
    )
