"""Fetch one object of a directory; the same here and on another machine.

A small object is one GetObject: into memory, compared, written beside its place, renamed.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import threading
from collections.abc import Callable, Mapping

from ocihaul.directories.compare import Contents, whole_seconds
from ocihaul.directories.destination import Destination
from ocihaul.directories.file_sender import SMALL
from ocihaul.directories.request import DirectoryDownload
from ocihaul.directories.workers import DIFFERENT, DONE, FAILED, SAME, FetchObject, Outcome
from ocihaul.errors import ChecksumError, LocalFileError, OcihaulError, ServiceError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.object_operations import ObjectRange, PinnedObject
from ocihaul.storage.values import ListedObject
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.download.context import RangeSink
from ocihaul.transfer.download.download import SUFFIX
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.upload.part_uploader import MOST_SENDS

#: Downloads what is not small to its place.
DownloadLarge = Callable[[DownloadRequest, Place], None]


class FileFetcher:
    """Fetches objects one at a time, in any thread; it keeps nothing of them."""

    def __init__(
        self,
        storage: StorageClient,
        request: DirectoryDownload,
        destination: Destination,
        download: DownloadLarge,
        *,
        stop: threading.Event,
    ) -> None:
        self._request = request
        self._destination = destination
        self._download = download
        self._part_size = request.part_size or DEFAULT_PART_SIZE
        key = request.sse_customer_key
        where = (storage, request.namespace, request.bucket, key.headers() if key else {})
        self._small = SmallObjects(*where)
        self._contents = Contents(*where, part_size=self._part_size, stop=stop)

    @property
    def threshold(self) -> int:
        """What is larger is fetched in parts, bytes."""
        return max(self._part_size, self._request.threshold or 0)

    @property
    def part_size(self) -> int:
        """Of those parts, bytes."""
        return self._part_size

    def run(self, task: FetchObject) -> Outcome:
        """Fetch it, unless it is what the file is. A failure is an outcome, too."""
        there, path = task.there, task.path
        mtime = whole_seconds(there) if self._request.strip_prefix else None
        try:
            if task.compare:
                if self._same(there, path, mtime):
                    return Outcome(SAME)
                if task.compare_only:
                    return Outcome(DIFFERENT)
            small = self._small.fetch(there) if is_small(there) else None
            with self._destination.place(path, mtime=mtime) as place:
                if small is not None:
                    write(place, small)
                else:
                    self._download(self.request_for(there, place), place)
                status = os.stat(place.path.name, dir_fd=place.directory)
        except OSError as error:
            failure = LocalFileError(
                f"{path} cannot be looked at: {error.strerror}",
                hint="It was moved or removed meanwhile: run the same command again.",
            )
            return Outcome(FAILED, error=failure)
        except OcihaulError as error:
            return Outcome(FAILED, error=error)
        return Outcome(DONE, mtime_ns=status.st_mtime_ns)

    def _same(self, there: ListedObject, path: str, mtime: int | None) -> bool:
        """Whether the file is what was listed; then it gets that time, and is not read again."""
        with self._destination.place(path) as place:
            if not self._contents.same(place.path, there):
                return False
            if mtime is not None and not self._request.dry_run:
                name, times = place.path.name, (mtime, mtime)
                with contextlib.suppress(OSError):
                    os.utime(name, times, dir_fd=place.directory, follow_symlinks=False)
        return True

    def request_for(self, there: ListedObject, place: Place) -> DownloadRequest:
        """The request of one object alone."""
        request = self._request
        return DownloadRequest(
            namespace=request.namespace,
            bucket=request.bucket,
            name=there.name,
            target=place.path,
            if_match=there.etag,
            part_size=self._part_size,
            threshold=self.threshold,
            parallel=request.parallel,
            multipart=request.multipart,
            sse_customer_key=request.sse_customer_key,
        )


def is_small(there: ListedObject) -> bool:
    """Whether one request is enough, whose bytes fit into memory and can be proved there."""
    return (there.size or 0) <= SMALL and "-" not in (there.md5 or "")


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
    """Be the only process that writes this temporary file; one that a dead process left is ours.

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
