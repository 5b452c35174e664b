"""A small object as one GetObject: into memory, compared, written beside its place, renamed."""

import errno
import fcntl
import hashlib
import os
from collections.abc import Mapping

from ocihaul.errors import ChecksumError, LocalFileError, ServiceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.object_operations import ObjectRange, PinnedObject
from ocihaul.storage.values import ListedObject
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.download.context import RangeSink
from ocihaul.transfer.download.download import SUFFIX
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.upload.part_uploader import MOST_SENDS

#: What a file system says that has no locks.
_NO_LOCKS = frozenset({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL})


class SmallObjects:
    """Downloads small objects. Thread-safe: it keeps no state.

    `headers` are those of a customer's key.
    """

    def __init__(
        self, storage: StorageClient, namespace: str, bucket: str, headers: Mapping[str, str]
    ) -> None:
        self._storage = storage
        self._where = (namespace, bucket)
        self._headers = headers

    def fetch(self, there: ListedObject) -> bytes | bytearray:
        """The bytes of the object that was listed, compared with its checksum.

        Raises ObjectChangedError, ChecksumError, ServiceError and what `Client.call` raises.
        """
        if not there.size:
            return b""
        pinned, data = PinnedObject(there.name, there.etag, there.size), bytearray(there.size)
        for attempt in range(1, MOST_SENDS + 1):
            wanted = ObjectRange(pinned, 0, pinned.size, explicit=False)
            sink = RangeSink(wanted, buffer=memoryview(data))
            try:
                answer = self._storage.get_object(
                    *self._where, there.name, sink, headers=self._headers, query={}
                )
            except ServiceError as error:
                if error.status in {404, 412} and error.code != "BucketNotFound":
                    raise pinned.changed() from error
                raise
            try:
                _check(data, answer.headers, there.md5)
            except ChecksumError:
                if attempt == MOST_SENDS:
                    raise
            else:
                break
        return data


def _check(data: bytearray, answer: Mapping[str, str], md5: str | None) -> None:
    """Raise ChecksumError unless the bytes are those of the object, as far as it can be told."""
    theirs = answer.get(checksum.content_header(CRC32C))
    if theirs is not None:
        name, ours = CRC32C, checksum.encoded(checksum.digest(CRC32C, data))
    else:
        theirs = answer.get("content-md5", md5)
        if theirs is None:
            return
        name = MD5
        ours = checksum.encoded(checksum.digest(MD5, data))
    if ours != theirs:
        raise ChecksumError(
            f"{name} checksum does not match [Local: {ours}] [Service: {theirs}]: what came is "
            "not the object",
            hint="Check this machine's memory, and the proxies on the way.",
        )


def write(place: Place, data: bytes | bytearray) -> None:
    """Put the bytes in their place, which holds the old ones or the new ones at any time.

    Raises LocalFileError.
    """
    target = place.path
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    temporary = f".{digest}{SUFFIX}"
    try:
        file, _ = place.open(temporary)
        try:
            _alone(file, temporary, place)
            os.ftruncate(file, 0)
            view = memoryview(data)
            while view:
                view = view[os.write(file, view) :]
            place.put(file, temporary)
        finally:
            os.close(file)
    except OSError as error:
        if not isinstance(error, BlockingIOError):
            place.remove(temporary)
        raise LocalFileError(
            f"{target} cannot be written: {error.strerror}",
            hint="Check the space and the rights there.",
        ) from error


def _alone(file: int, temporary: str, place: Place) -> None:
    """Be the only one who writes this temporary file; one that a dead process left is ours.

    A file system may have no locks (Lustre, network file systems): the run as a whole has one.
    """
    busy = BlockingIOError(0, f"another process downloads to {place.path}")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise busy from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    if not place.is_named(file, temporary):
        raise busy
