"""Send one file of a directory; the same here and on another machine."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ocihaul.directories.content import Contents
from ocihaul.directories.file_tasks import DIFFERENT, DONE, FAILED, SAME, Outcome, SendFile
from ocihaul.directories.names import disk_path
from ocihaul.directories.request import DirectoryUpload
from ocihaul.directories.small_put import SMALL, SmallFiles
from ocihaul.errors import OcihaulError, SourceChangedError
from ocihaul.events import Listener
from ocihaul.storage.calls import Headers
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.upload.request import IfExists, UploadRequest, guess_content_type

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
