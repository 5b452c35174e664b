"""Files of a directory in batches: the jobs on the workers, and what brings them there."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ocihaul.cluster.jobs import ServiceAccess, TaskResult
from ocihaul.cluster.tasks import Tasks
from ocihaul.cluster.workers import DirectoryProof, NoWorkerLeft, sees_directory
from ocihaul.directories.destination import Destination
from ocihaul.directories.file_fetcher import FileFetcher
from ocihaul.directories.file_sender import FileSender
from ocihaul.directories.names import disk_path
from ocihaul.directories.request import DirectoryDownload, DirectoryUpload
from ocihaul.directories.workers import FAILED, FetchObject, Outcome, SendFile, is_outage
from ocihaul.errors import ServiceError, TransferCancelled
from ocihaul.events import ignore
from ocihaul.resources import CallScope
from ocihaul.storage.calls import Headers
from ocihaul.transfer.download.download import download
from ocihaul.transfer.download.local_file import Place
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.upload.request import UploadRequest
from ocihaul.transfer.upload.upload import upload

#: A batch ends with so many files, or so many bytes: large enough that Dask's part in it is small,
#: small enough that little is done twice when a worker is killed.
MOST_FILES = 64
MOST_BYTES = 64 * 2**20

T = TypeVar("T", SendFile, FetchObject)


@dataclass(frozen=True, slots=True)
class Unseen:
    """A worker does not see the file as the driver's walk has: nothing was sent."""

    reason: str


class _Threads:
    """Does the tasks of all batches of one worker, so many at a time."""

    def __init__(self, parallel: int, stop: threading.Event) -> None:
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="ocihaul-batch")
        self._stop = stop

    def run(self, work: Callable[[Any], Any], tasks: Sequence[Any]) -> list[Any]:
        """What comes of each, in order."""

        def unless_stopped(task: Any) -> Any:
            if self._stop.is_set():
                return Outcome(FAILED, error=TransferCancelled("stopped between two files"))
            return work(task)

        return list(self._pool.map(unless_stopped, tasks))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class SendFilesJob:
    """Files of a directory, which all workers see under the same path."""

    id: str
    version: str
    service: ServiceAccess
    request: DirectoryUpload

    def unfit(self) -> str | None:
        """Why this process does not see the directory."""
        return sees_directory(self.request.root)

    def open(self, stop: threading.Event) -> "_OpenSending":
        """Open connections; nothing is read yet."""
        return _OpenSending(self, stop)


class _OpenSending:
    def __init__(self, job: SendFilesJob, stop: threading.Event) -> None:
        self._root = job.request.root
        with ExitStack() as stack:
            resources = stack.enter_context(job.service.opened(stop))
            self._call: CallScope = stack.enter_context(resources.call(stop, ignore))
            self._sender = FileSender(
                self._call.storage, job.request, self._upload, listener=ignore, stop=stop
            )
            self._threads = _Threads(job.request.each.parallel, stop)
            self._stack = stack.pop_all()

    def run(self, payload: Sequence[SendFile]) -> list[Outcome | Unseen]:
        """One batch."""
        return self._threads.run(self._one, payload)

    def close(self) -> None:
        """Close connections; what is under way hears the stop."""
        self._threads.close()
        self._stack.close()

    def _one(self, task: SendFile) -> Outcome | Unseen:
        if not task.path.endswith("/"):
            unseen = _difference(disk_path(self._root, task.path), task)
            if unseen is not None:
                return Unseen(unseen)
        return self._sender.run(task)

    def _upload(self, wish: UploadRequest) -> Headers:
        call = self._call
        done = upload(
            call.storage, wish, listener=ignore, stop=call.stop, journal=None, monitor=call.monitor
        )
        return done.headers


def _difference(path: str, task: SendFile) -> str | None:
    """What is not as the walk has seen it. Opened, as network file systems ask the server then."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(file)
        finally:
            os.close(file)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if (status.st_size, status.st_mtime_ns) != (task.size, task.mtime_ns):
        return f"{path} has another size or time"
    return None


@dataclass(frozen=True, slots=True)
class FetchFilesJob:
    """Objects to a directory, which all workers see under the same path."""

    id: str
    version: str
    service: ServiceAccess
    request: DirectoryDownload
    proof: DirectoryProof

    def unfit(self) -> str | None:
        """Why this process does not write to the same directory."""
        return self.proof.difference()

    def open(self, stop: threading.Event) -> "_OpenFetching":
        """Open connections and the directory."""
        return _OpenFetching(self, stop)


class _OpenFetching:
    def __init__(self, job: FetchFilesJob, stop: threading.Event) -> None:
        with ExitStack() as stack:
            resources = stack.enter_context(job.service.opened(stop))
            self._call: CallScope = stack.enter_context(resources.call(stop, ignore))
            destination = stack.enter_context(Destination(job.request.root))
            self._fetcher = FileFetcher(
                self._call.storage, job.request, destination, self._download, stop=stop
            )
            self._threads = _Threads(job.request.parallel, stop)
            self._stack = stack.pop_all()

    def run(self, payload: Sequence[FetchObject]) -> list[Outcome]:
        """One batch."""
        return self._threads.run(self._fetcher.run, payload)

    def close(self) -> None:
        """Put what came on the disk, and close connections."""
        self._threads.close()
        if hasattr(os, "sync"):
            os.sync()
        self._stack.close()

    def _download(self, wish: DownloadRequest, place: Place) -> None:
        call = self._call
        download(
            call.storage,
            wish,
            listener=ignore,
            stop=call.stop,
            monitor=call.monitor,
            place=place,
        )


def _may_be_local(outcome: Outcome) -> bool:
    """Whether it failed for the network or the disk, which another worker may have in order."""
    error = outcome.error
    return error is not None and is_outage(error) and not isinstance(error, ServiceError)


class Batches(Generic[T]):
    """Gathers tasks until they are a batch, and takes what came of them apart again."""

    def __init__(
        self,
        note: Callable[[T, Outcome], None],
        here: Callable[[T], None],
    ) -> None:
        self._note: Callable[[T, Outcome], None] = note
        self._here: Callable[[T], None] = here
        self._tasks: Tasks[list[T]] | None = None
        self._batch: list[T] = []
        self._bytes = 0
        self._sound: set[str] = set()
        self._unseen: dict[str, int] = {}

    def attach(self, tasks: "Tasks[list[T]]") -> None:
        """Bring batches there."""
        self._tasks = tasks

    def do(self, task: T) -> None:
        """Have it done. Raises what concerns all."""
        self._batch.append(task)
        self._bytes += task.weight
        if len(self._batch) >= MOST_FILES or self._bytes >= MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        """Bring what is gathered."""
        batch, self._batch, self._bytes = self._batch, [], 0
        if batch and self._tasks is not None:
            self._tasks.put(batch)

    def handle(self, batch: list[T], answer: TaskResult) -> None:
        """Tell what came of each; what may be that worker's own trouble is tried elsewhere."""
        again: list[tuple[T, Outcome]] = []
        for task, outcome in zip(batch, answer.value, strict=True):
            if isinstance(outcome, Unseen):
                self._not_seen(answer.address, outcome.reason)
                self._here(task)
            elif _may_be_local(outcome) and not task.is_second:
                again.append((task, outcome))
            else:
                self._sound.add(answer.address)
                self._note(task, outcome)
        if again and not self._elsewhere([task for task, _ in again], answer.address):
            for task, outcome in again:
                self._note(task, outcome)

    def _elsewhere(self, batch: list[T], address: str) -> bool:
        """Have them tried by another worker; False where there is none."""
        if self._tasks is None:
            return False
        try:
            second = [replace(task, is_second=True) for task in batch]
            self._tasks.again(second, without=frozenset({address}))
        except NoWorkerLeft:
            return False
        return True

    def _not_seen(self, address: str, reason: str) -> None:
        """A worker that has seen nothing right sees other files; the caches of others are late."""
        self._unseen[address] = self._unseen.get(address, 0) + 1
        if self._unseen[address] == MOST_FILES // 4 and address not in self._sound and self._tasks:
            self._tasks.leave_out(address, f"it does not see the same files ({reason})")
