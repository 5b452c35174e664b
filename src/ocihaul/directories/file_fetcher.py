"""Fetch one object of a directory; the same here and on another machine."""

import contextlib
import os
import threading
from collections.abc import Callable

from ocihaul.directories.compare import whole_seconds
from ocihaul.directories.content import Contents
from ocihaul.directories.destination import Destination
from ocihaul.directories.file_tasks import DIFFERENT, DONE, FAILED, SAME, FetchObject, Outcome
from ocihaul.directories.request import DirectoryDownload
from ocihaul.directories.small_get import SmallObjects, write
from ocihaul.directories.small_put import SMALL
from ocihaul.errors import LocalFileError, OcihaulError
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import ListedObject
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.plan import DEFAULT_PART_SIZE

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
            failure = LocalFileError(f"{path} cannot be looked at: {error.strerror}")
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
