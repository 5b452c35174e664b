"""How many files and bytes there are, counted beside the work: so that its progress has an end.

The walk of the work itself is hardly ahead of it, because what waits is held in memory.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ocihaul.directories.bucket_index import BucketIndex
from ocihaul.directories.names import relative_path, sort_key
from ocihaul.directories.progress import DirectoryMeter
from ocihaul.directories.request import DirectoryDownload, DirectoryUpload, Request
from ocihaul.directories.walk import Kind, walk
from ocihaul.errors import OcihaulError
from ocihaul.storage.client import StorageClient
from ocihaul.threads import started

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
