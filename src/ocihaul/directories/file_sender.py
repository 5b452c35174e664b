"""Send one file of a directory; the same here and on another machine.

A small file is one PutObject, with as little around it as is safe. Its bytes are read once, before
anything is sent: so the checksum goes along, the service refuses what was damaged on the way, and a
file that changes while it is read stores nothing.
"""

import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ocihaul.directories.compare import Contents
from ocihaul.directories.names import disk_path
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.workers import DIFFERENT, DONE, FAILED, SAME, Outcome, SendFile
from ocihaul.errors import OcihaulError, SourceChangedError, SourceError
from ocihaul.events import Listener, ignore
from ocihaul.storage.calls import Headers
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import check_headers
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import Integrity
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.upload.context import RemoteObject
from ocihaul.transfer.upload.part_uploader import MOST_SENDS
from ocihaul.transfer.upload.request import (
    IfExists,
    UploadRequest,
    guess_content_type,
    put_headers,
    requested_algorithm,
)
from ocihaul.transfer.upload.single_put import Content, VerifiedPut

#: A file of at most so many bytes is small. It is held in memory once for each worker.
SMALL = 2**20

_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)

#: Uploads what is not small; returns the answer's headers.
UploadLarge = Callable[[UploadRequest], Headers]


class FileSender:
    """Sends files one at a time, in any thread; it keeps nothing of them."""

    def __init__(
        self,
        storage: StorageClient,
        request: DirectoryUpload,
        upload: UploadLarge,
        *,
        listener: Listener,
        stop: threading.Event,
    ) -> None:
        # The slots of a large file are counted in its parts, so their size must not depend on it.
        part_size = request.each.part_size or DEFAULT_PART_SIZE
        self._request = replace(request, each=replace(request.each, part_size=part_size))
        self._upload = upload
        self._small = SmallFiles(storage, self._request.each, listener)
        key = request.each.sse_customer_key
        self._contents = Contents(
            storage,
            request.each.namespace,
            request.each.bucket,
            key.headers() if key else {},
            part_size=part_size,
            stop=stop,
        )

    def run(self, task: SendFile) -> Outcome:
        """Send it, unless it is what it was compared with. A failure is an outcome, too."""
        path = disk_path(self._request.root, task.path)
        try:
            if task.compared is not None:
                if self._contents.same(Path(path), task.compared):
                    return Outcome(SAME)
                if task.compare_only:
                    return Outcome(DIFFERENT)
            return Outcome(DONE, self._sent(task, path))
        except OcihaulError as error:
            return Outcome(FAILED, error=error)

    def _sent(self, task: SendFile, path: str) -> Headers:
        name, request, preconditions = task.name, self._request, task.preconditions
        if task.path.endswith("/"):
            return self._small.empty(name, preconditions)
        encoding = request.each.content_encoding
        content_type = guess_content_type(name, encoding) if request.guess_types else None
        if task.size <= SMALL:
            return self._small.put(path, name, preconditions, content_type=content_type)
        wish = replace(
            request.each,
            source=Path(path),
            name=name,
            existing=IfExists.ABSENT if "if-none-match" in preconditions else IfExists.REPLACE,
            seen_etag=preconditions.get("if-match"),
            content_type=content_type or request.each.content_type,
        )
        try:
            return self._upload(wish)
        except SourceChangedError as error:
            # An unfinished upload of the file as it was, or a writer at work: begin anew, once.
            if error.stored is not None:  # what is there now is ours to replace
                wish = replace(wish, existing=IfExists.REPLACE, seen_etag=error.stored)
            return self._upload(replace(wish, restart=True))


class SmallFiles:
    """Uploads small files with the same headers. Thread-safe: it keeps no state.

    `request` is an upload's in all but source and name.
    """

    def __init__(
        self, storage: StorageClient, request: UploadRequest, listener: Listener = ignore
    ) -> None:
        self._storage = storage
        self._request = request
        self._integrity = Integrity(
            declared=requested_algorithm(request),
            want_md5=request.verify_checksum,
            listener=listener,
        )
        self._headers = put_headers(request)
        check_headers(self._headers)

    def put(
        self, path: str, name: str, preconditions: Headers, *, content_type: str | None = None
    ) -> Headers:
        """Upload one file; returns the answer's headers.

        Raises SourceError, SourceChangedError, ChecksumError, ServiceError (412 when a precondition
        fails) and what `Client.call` raises.
        """
        try:
            file = os.open(path, _FLAGS)
        except OSError as error:
            raise _unreadable(path, error) from error
        try:
            for _ in range(MOST_SENDS):
                data, status = _read(file, path)
                answer = self._send(data, name, preconditions, content_type)
                # The same rule that finds newer files later would not see what changed meanwhile.
                if _same(status, os.fstat(file)):
                    return answer
                if "etag" not in answer:
                    break  # nothing says that what is there is ours to replace
                preconditions = {"if-match": answer["etag"]}
                os.lseek(file, 0, os.SEEK_SET)
        finally:
            os.close(file)
        raise SourceChangedError(
            f"{path} has changed each time it was read",
            hint="What was stored is older than the file. Upload it when no program writes to it.",
        )

    def empty(self, name: str, preconditions: Headers) -> Headers:
        """An object without bytes, which stands for a directory."""
        return self._send(b"", name, preconditions, None)

    def _send(
        self, data: bytes, name: str, preconditions: Headers, content_type: str | None
    ) -> Headers:
        headers = self._headers
        if content_type is not None:
            headers = {**headers, "content-type": content_type}
        content = Content(
            data,
            len(data),
            {name: checksum.digest(name, data) for name in self._integrity.algorithms},
            lambda name: checksum.digest(name, data),
        )
        target = RemoteObject(self._storage, self._request, name)
        return VerifiedPut(target, self._integrity, headers).send(content, preconditions).headers


def _read(file: int, path: str) -> tuple[bytes, os.stat_result]:
    """All bytes of the file, which is at its start, and what it was while they were read."""
    for _ in range(MOST_SENDS):
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or status.st_size > 2 * SMALL:
                raise SourceChangedError(f"{path} is not the small file any more that it was")
            data = _read_whole(file, status.st_size)
            if len(data) == status.st_size and _same(status, os.fstat(file)):
                return data, status
            os.lseek(file, 0, os.SEEK_SET)
        except OSError as error:
            raise _unreadable(path, error) from error
    raise SourceChangedError(
        f"{path} changes while it is read",
        hint="Nothing was stored. Upload it when no program writes to it.",
    )


def _read_whole(file: int, size: int) -> bytes:
    """What is left of the file, or one byte more than `size`."""
    data = os.read(file, size + 1)
    while len(data) < size:
        more = os.read(file, size + 1 - len(data))
        if not more:
            break
        data += more
    return data


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(
        f"{path} cannot be read: {error.strerror}",
        hint="Check that it is still there, and that the user running this may read it.",
    )
