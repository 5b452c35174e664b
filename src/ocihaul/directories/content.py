"""Whether a file and an object have the same bytes, without moving them.

The list has the MD5 of an object that was sent in one piece: the file is read, and nothing is
asked. Of an object in parts HeadObject tells the CRC32C, or the MD5 of its parts' MD5 values with
their number; then the likeliest part sizes are tried
(https://docs.oracle.com/iaas/Content/Object/Tasks/object-integrity.htm).
"""

import threading
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from ocihaul.errors import ServiceError, SourceChangedError, TransferCancelled
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ListedObject
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.download.verification import ObjectChecksums, of_parts, part_sizes
from ocihaul.transfer.source import BLOCK, FileSource, buffer_for

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

    def equal(self, source: FileSource, promise: ObjectChecksums) -> bool:
        """Whether the file is proved to have these checksums; raises TransferCancelled."""
        size = source.size
        if promise.crc32c is not None:
            return self._whole(source, CRC32C) == promise.crc32c
        if promise.md5 is not None:
            return self._whole(source, MD5) == promise.md5
        if promise.md5_of_parts is None:
            return False
        sizes = part_sizes(size, promise.parts, self._part_size)
        return any(
            of_parts(self._md5_values(source, part_size)) == promise.md5_of_parts
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

        What cannot be proved is not the same: a service without checksums, parts of an odd size,
        a file or an object that changes meanwhile. Raises SourceError when the file cannot be
        read, TransferCancelled, and what HeadObject raises.
        """
        with FileSource(path) as source:
            if source.size != there.size:
                return False
            promise = self._promise(there)
            if promise is None:
                return False
            try:
                equal = self._files.equal(source, promise)
                source.check_unchanged()
            except SourceChangedError:
                return False
            return equal

    def _promise(self, there: ListedObject) -> ObjectChecksums | None:
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
        promise = ObjectChecksums.of(headers)
        try:
            equal = FileContents(part_size=part_size, stop=stop).equal(source, promise)
            source.check_unchanged()
        except SourceChangedError:
            return None
    # Parts of other sizes than those that were tried prove nothing.
    return equal or (False if promise.crc32c or promise.md5 else None)
