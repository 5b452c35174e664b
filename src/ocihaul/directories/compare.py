"""What has to happen to a file or an object: two sorted streams side by side, by size, time, bytes.

Whether a file and an object have the same bytes is found out without moving them. The list has the
MD5 of an object that was sent in one piece: the file is read, and nothing is asked. Of an object in
parts HeadObject tells the CRC32C, or the MD5 of its parts' MD5 values with their number; then the
likeliest part sizes are tried
(https://docs.oracle.com/iaas/Content/Object/Tasks/object-integrity.htm).
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ocihaul.directories.names import sort_key
from ocihaul.errors import ServiceError, SourceChangedError, TransferCancelled
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import epoch
from ocihaul.storage.values import ListedObject
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.download.verification import ObjectChecksums, of_parts, part_sizes
from ocihaul.transfer.source import BLOCK, FileSource, buffer_for

L = TypeVar("L")


class SyncMode(Enum):
    """What happens to what is there already."""

    REPLACE = "replace"
    KEEP = "keep"
    #: Where no answer can be had, what is there is a failure.
    ASK = "ask"
    #: Replace what has another size or time and another content, keep the rest.
    SYNC = "sync"
    #: The same without looking at the content, as the official CLI: what is newer is sent.
    SYNC_NEWER = "sync-newer"

    @property
    def syncs(self) -> bool:
        """Whether what is equal is kept."""
        return self in {SyncMode.SYNC, SyncMode.SYNC_NEWER}


class SyncAction(Enum):
    """What to do with one file or object."""

    SEND = "send"
    #: The size is the same: send it unless its content is, too.
    COMPARE = "compare"
    SKIP = "skip"
    ASK = "ask"


def judge_upload(
    mode: SyncMode, size: int, mtime_ns: int, there: ListedObject | None, *, checksum: bool = False
) -> SyncAction:
    """For a file and the object that has its name.

    The rule of `sync`: what has another size differs; what has the same size and is newer than
    the object is compared with it, or with `checksum` all that has the same size. The official
    CLI sends whatever is newer.
    """
    if there is None or mode is SyncMode.REPLACE:
        return SyncAction.SEND
    if mode.syncs:
        newer = checksum or mtime_ns > modified_ns(there)
        return _synced(mode, same_size=size == there.size, changed=newer)
    return SyncAction.SKIP if mode is SyncMode.KEEP else SyncAction.ASK


def judge_download(
    mode: SyncMode, there: ListedObject, size: int, mtime_ns: int, *, checksum: bool = False
) -> SyncAction:
    """For an object and the file that is in its place; the rule of `sync` as for uploads.

    The object's time counts in whole seconds, as the official CLI sets it on the file.
    """
    if mode is SyncMode.REPLACE:
        return SyncAction.SEND
    if mode.syncs:
        older = checksum or mtime_ns < whole_seconds(there) * 1_000_000_000
        return _synced(mode, same_size=size == there.size, changed=older)
    return SyncAction.SKIP if mode is SyncMode.KEEP else SyncAction.ASK


def _synced(mode: SyncMode, *, same_size: bool, changed: bool) -> SyncAction:
    if not same_size or (changed and mode is SyncMode.SYNC_NEWER):
        return SyncAction.SEND
    return SyncAction.COMPARE if changed else SyncAction.SKIP


def modified_ns(there: ListedObject) -> int:
    """When the object was last written: nanoseconds since the epoch."""
    return round(epoch(there.time_modified or "1970-01-01T00:00:00Z") * 1000) * 1_000_000


def whole_seconds(there: ListedObject) -> int:
    """When the object was last written: seconds since the epoch, rounded down."""
    return modified_ns(there) // 1_000_000_000


def in_order(objects: Iterator[ListedObject]) -> Iterator[ListedObject]:
    """The same, if the names ascend; else ServiceError: nothing could be concluded from a gap."""
    last = b""
    for each in objects:
        key = sort_key(each.name)
        if key <= last:
            raise ServiceError(
                status=200,
                code=None,
                message="the list of objects is not in the order of their names",
                operation="ListObjects",
            )
        last = key
        yield each


def side_by_side(
    local: Iterator[L], remote: Iterator[ListedObject], key: Callable[[L], bytes]
) -> Iterator[tuple[L | None, ListedObject | None]]:
    """Two ascending streams as pairs of what has the same name; one side may be None."""
    ours, theirs = next(local, None), next(remote, None)
    while ours is not None or theirs is not None:
        if ours is None or theirs is None:
            order = 1 if ours is None else -1
        else:
            left, right = key(ours), sort_key(theirs.name)
            order = (left > right) - (left < right)
        yield (ours if order <= 0 else None), (theirs if order >= 0 else None)
        if order <= 0:
            ours = next(local, None)
        if order >= 0:
            theirs = next(remote, None)


#: How many part sizes are tried: each is another read of the file, and sending it costs one.
_MOST_PART_SIZES = 3


class FileContents:
    """Compares files with checksums. Thread-safe: a buffer for each thread.

    `part_size` (bytes) is the likeliest one of objects in parts. Reading ends soon after `stop` is
    set.
    """

    def __init__(self, *, part_size: int, stop: threading.Event) -> None:
        self._part_size = part_size
        self._stop = stop
        self._local = threading.local()

    def equal(self, source: FileSource, expected: ObjectChecksums) -> bool:
        """Whether the file is proved to have these checksums; raises TransferCancelled."""
        size = source.size
        if expected.crc32c is not None:
            return self._whole(source, CRC32C) == expected.crc32c
        if expected.md5 is not None:
            return self._whole(source, MD5) == expected.md5
        if expected.md5_of_parts is None:
            return False
        sizes = part_sizes(size, expected.parts, self._part_size)
        return any(
            of_parts(self._md5_values(source, part_size)) == expected.md5_of_parts
            for part_size in islice(sizes, _MOST_PART_SIZES)
        )

    def _whole(self, source: FileSource, algorithm: str) -> str:
        return checksum.encoded(self._digest(source, 0, source.size, algorithm))

    def _md5_values(self, source: FileSource, part_size: int) -> Iterator[bytes]:
        for offset in range(0, source.size, part_size):
            yield self._digest(source, offset, min(part_size, source.size - offset), MD5)

    def _digest(self, source: FileSource, offset: int, length: int, algorithm: str) -> bytes:
        running, buffer = checksum.start(algorithm), self._buffer()
        for start in range(0, length, len(buffer)):
            if self._stop.is_set():
                raise TransferCancelled("stopped while files were compared")
            block = buffer[: length - start]
            source.read_into(block, offset + start)
            running.update(block)
        return running.digest()

    def _buffer(self) -> memoryview:
        buffer: memoryview | None = getattr(self._local, "buffer", None)
        if buffer is None:
            buffer = self._local.buffer = buffer_for(BLOCK)
        return buffer


class Contents:
    """Compares files with objects of one bucket. Thread-safe.

    `headers` are those of a customer's key. `part_size` (bytes) is the likeliest one of objects in
    parts. Reading ends soon after `stop` is set.
    """

    def __init__(
        self,
        storage: StorageClient,
        namespace: str,
        bucket: str,
        headers: Mapping[str, str],
        *,
        part_size: int,
        stop: threading.Event,
    ) -> None:
        self._storage = storage
        self._where = (namespace, bucket)
        self._headers = headers
        self._files = FileContents(part_size=part_size, stop=stop)

    def same(self, path: Path, there: ListedObject) -> bool:
        """Whether the file is proved to have the bytes of the object that was listed.

        What is not proved is not the same: a service without checksums, parts of an odd size,
        a file or an object that changes meanwhile. Raises SourceError when the file cannot be
        read, TransferCancelled, and what HeadObject raises.
        """
        with FileSource(path) as source:
            if source.size != there.size:
                return False
            expected = self._expected(there)
            if expected is None:
                return False
            try:
                equal = self._files.equal(source, expected)
                source.check_unchanged()
            except SourceChangedError:
                return False
            return equal

    def _expected(self, there: ListedObject) -> ObjectChecksums | None:
        """The object's checksums; None when it is not there any more, as it was."""
        if there.md5 is not None and "-" not in there.md5:
            return ObjectChecksums(md5=there.md5)
        try:
            found = self._storage.head_object(*self._where, there.name, dict(self._headers))
        except ServiceError as error:
            if error.status == 404 and error.code != "BucketNotFound":
                return None
            raise
        return ObjectChecksums.of(found.headers) if found.etag == there.etag else None


def compare_file(
    path: Path, size: int, headers: Mapping[str, str], *, part_size: int, stop: threading.Event
) -> bool | None:
    """Whether the file is the object that HeadObject told of; None where that is not known.

    Raises SourceError, and TransferCancelled once `stop` is set.
    """
    with FileSource(path) as source:
        if source.size != size:
            return False
        expected = ObjectChecksums.of(headers)
        try:
            equal = FileContents(part_size=part_size, stop=stop).equal(source, expected)
            source.check_unchanged()
        except SourceChangedError:
            return None
    # Parts of other sizes than those that were tried prove nothing.
    return equal or (False if expected.crc32c or expected.md5 else None)
