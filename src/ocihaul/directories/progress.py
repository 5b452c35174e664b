"""How far a directory is: files and bytes, summed up and emitted a few times a second.

How many there are is counted beside the work, so that its progress has an end: the walk of the work
itself is hardly ahead of it, because what waits is held in memory.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ocihaul.directories.listing import BucketIndex, Kind, walk
from ocihaul.directories.names import printable, relative_path, sort_key
from ocihaul.directories.request import DirectoryDownload, DirectoryUpload, Request
from ocihaul.errors import OcihaulError
from ocihaul.events import (
    BytesFound,
    BytesReceived,
    BytesSent,
    DirectoryProgress,
    DownloadFinished,
    DownloadPlanned,
    Event,
    FileFailed,
    FileFinished,
    Listener,
    PartFinished,
    UploadFinished,
    UploadPlanned,
    ignore,
)
from ocihaul.storage.client import StorageClient
from ocihaul.threads import started
from ocihaul.transfer.monitor import (
    INTERVAL,
    Clock,
    ObjectCount,
    RateWindow,
    fraction_of,
    seconds_left,
)

_OF_A_PART = (BytesSent, BytesReceived, BytesFound, PartFinished)
_OF_A_FILE = (UploadPlanned, DownloadPlanned, UploadFinished, DownloadFinished)


class DirectoryMeter:
    """A listener for the events of one run, which emits `DirectoryProgress`. Thread-safe.

    What no event tells, `found`, `unchanged` and `all_found` do. A large file counts while it is
    on its way; a small one when it is done.
    """

    def __init__(
        self,
        emit: Listener = ignore,
        *,
        interval: float = INTERVAL,
        monotonic: Clock = time.monotonic,
    ) -> None:
        self._emit = emit
        self._interval = interval
        self._monotonic = monotonic
        self._lock = threading.Lock()  # guards all below
        self._rate = RateWindow()
        self._rate.begin(monotonic())
        self._next = 0.0
        self._large: dict[str, ObjectCount] = {}  # on their way, by name
        self._found_files = self._found_bytes = 0
        self._counted: tuple[int, int] | None = None
        self._complete = False
        self._done_files = self._unchanged_files = self._unchanged_bytes = self._failed = 0
        self._deleted_files = 0
        self.transferred_bytes = 0

    def __call__(self, event: Event) -> None:
        """Take one event, from any thread."""
        with self._lock:
            at = self._monotonic()
            if not self._take(event, at):
                return
            progress = self._due(at)
        if progress is not None:
            self._emit(progress)

    def _take(self, event: Event, at: float) -> bool:
        if isinstance(event, _OF_A_PART):
            count = self._large.setdefault(event.name, ObjectCount())
            self._rate.add(count.add(event), at)
        elif isinstance(event, FileFinished):
            self._finished(event, at)
        elif isinstance(event, FileFailed):
            self._failed += 1
            self._give_up(event.name)
        elif isinstance(event, (UploadPlanned, DownloadPlanned)):
            self._large[event.name] = ObjectCount()
        elif isinstance(event, (UploadFinished, DownloadFinished)):
            self._large.setdefault(event.name, ObjectCount())
        else:
            return False
        return True

    def _finished(self, event: FileFinished, at: float) -> None:
        self._done_files += 1
        self._deleted_files += event.deleted
        self.transferred_bytes += event.size
        if self._large.pop(event.name, None) is None:
            self._rate.add(event.size if event.moved is None else event.moved, at)

    def _give_up(self, shown: str) -> None:
        """Forget a file that failed; its event has the name as it can be shown."""
        for name in [each for each in self._large if printable(each) == shown]:
            del self._large[name]

    def found(self, size: int = 0, *, files: int = 1) -> None:
        """So many more files or objects are to be dealt with, of `size` bytes together."""
        with self._lock:
            self._found_files += files
            self._found_bytes += size

    def all_found(self) -> None:
        """What was found is all there is."""
        self._complete = True

    def counted(self, files: int, size: int) -> None:
        """A count beside the work says how many files and bytes there are."""
        with self._lock:
            self._counted = (files, size)

    def unchanged(self, size: int) -> None:
        """One that was found stays as it is."""
        with self._lock:
            self._unchanged_files += 1
            self._unchanged_bytes += size
            progress = self._due(self._monotonic())
        if progress is not None:
            self._emit(progress)

    def finish(self) -> None:
        """Emit how far it has come."""
        with self._lock:
            progress = self._now(self._monotonic())
        self._emit(progress)

    def _due(self, at: float) -> DirectoryProgress | None:
        if at < self._next:
            return None
        self._next = at + self._interval
        return self._now(at)

    def _now(self, at: float) -> DirectoryProgress:
        files, size, complete = self._found_files, self._found_bytes, self._complete
        if not complete and self._counted is not None:
            # Files may have come since.
            files, size = max(files, self._counted[0]), max(size, self._counted[1])
            complete = True
        total = max(0, size - self._unchanged_bytes)
        done = self.transferred_bytes + sum(max(0, each.done) for each in self._large.values())
        rate = self._rate.rate(at)
        known = total if complete else None
        return DirectoryProgress(
            done=done,
            total=total,
            fraction=self._fraction(done, known, files),
            rate=rate,
            seconds_left=seconds_left(min(done, total), known, rate),
            files_done=self._done_files,
            files_unchanged=self._unchanged_files,
            files_failed=self._failed,
            files_total=files,
            complete=complete,
            files_deleted=self._deleted_files,
        )

    def _fraction(self, done: int, total: int | None, files: int) -> float | None:
        """By bytes; by files where these have none, as in a deletion."""
        if total is None or total:
            return fraction_of(done, total)
        return fraction_of(self._done_files + self._unchanged_files + self._failed, files)


#: What is over sooner needs no count, seconds.
DELAY = 1.0
#: How long the end waits for a count that is under way, seconds: a disk may hang.
_PATIENCE = 1.0


@contextmanager
def counting(
    request: Request, storage: StorageClient, meter: DirectoryMeter, *, delay: float = DELAY
) -> Iterator[None]:
    """Count in a thread of its own while the context lasts, and hand the sum to `meter`.

    It begins after `delay` seconds. Where no thread can be started there is no count.
    """
    over = threading.Event()

    def work() -> None:
        if over.wait(delay):
            return
        files = size = 0
        try:
            for each in _sizes(request, storage):
                if over.is_set():
                    return
                files, size = files + 1, size + each
        except OcihaulError:
            return  # the work meets the same error, and tells
        meter.counted(files, size)

    thread = threading.Thread(target=work, name="counting", daemon=True)
    counts = started(thread)
    try:
        yield
    finally:
        over.set()
        if counts:
            thread.join(_PATIENCE)


def _sizes(request: Request, storage: StorageClient) -> Iterator[int]:
    """The size of each file or object that the request selects; none of those to be deleted."""
    match request:
        case DirectoryUpload():
            yield from _local(request)
        case DirectoryDownload():
            yield from _remote(request, storage)


def _local(request: DirectoryUpload) -> Iterator[int]:
    found = walk(
        request.root,
        follow_links=request.follow_links,
        empty=request.empty_directories,
        wanted=request.wanted,
    )
    for each in found:
        ours = each.kind is Kind.FILE or (
            each.kind is Kind.EMPTY and request.shard.holds(sort_key(request.prefix + each.path))
        )
        if ours and request.local_filter(each.path):
            yield each.size


def _remote(request: DirectoryDownload, storage: StorageClient) -> Iterator[int]:
    bucket = BucketIndex(storage, request.namespace, request.bucket, request.prefix)
    prefix = request.prefix if request.strip_prefix else ""
    for each in bucket.of_shard(request.shard, delimiter=request.delimiter):
        try:
            path = relative_path(each.name, prefix=prefix)
        except OcihaulError:
            continue  # it is a failure of the work
        if not path or request.filter(path):
            yield each.size or 0
