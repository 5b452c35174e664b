"""Parts of an upload, ranges of a download: the jobs on the workers, and what brings them there."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ocihaul.cluster.jobs import Opened, ServiceAccess, TaskResult
from ocihaul.cluster.tasks import Tasks
from ocihaul.cluster.workers import DirectoryProof, FileProof
from ocihaul.errors import LocalFileError
from ocihaul.events import ignore
from ocihaul.filesystem import FileSystem
from ocihaul.resources import CallScope
from ocihaul.transfer.checksum import Integrity, SentPart
from ocihaul.transfer.download.context import READ_BLOCK, DownloadContext, Ranges, RemoteDownload
from ocihaul.transfer.download.local_file import FinishedRange, LocalFile, Place
from ocihaul.transfer.download.to_file import RangeFetcher
from ocihaul.transfer.source import BLOCK, FileSource, Piece, buffer_for
from ocihaul.transfer.upload.context import Parts, RemoteUpload, UploadContext
from ocihaul.transfer.upload.multipart import MultipartSession
from ocihaul.transfer.upload.part_uploader import PartUploader


@dataclass(frozen=True, slots=True)
class SendPart:
    """Part `number`: `length` bytes of the file from `offset`."""

    number: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class PartSent:
    """A part that the service has, as its worker tells; and the bytes that were sent for it."""

    part: SentPart
    bytes_sent: int


@dataclass(frozen=True, slots=True)
class SeesFile:
    """A job of no tasks: only whether a worker sees the file."""

    id: str
    version: str
    proof: FileProof

    def unfit(self) -> str | None:
        """What this process sees instead of the file."""
        return self.proof.difference()

    def open(self, stop: threading.Event) -> "Opened":
        """There is nothing to open."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SendPartsJob:
    """Parts of a file, which all workers see under the same path."""

    id: str
    version: str
    service: ServiceAccess
    upload: RemoteUpload
    proof: FileProof

    def unfit(self) -> str | None:
        """What this process sees instead of the file."""
        return self.proof.difference()

    def open(self, stop: threading.Event) -> "_OpenParts":
        """Open the file and connections."""
        return _OpenParts(self, stop)


class _OpenParts:
    def __init__(self, job: SendPartsJob, stop: threading.Event) -> None:
        self._upload = job.upload
        with ExitStack() as stack:
            self._source = stack.enter_context(FileSource(Path(job.proof.path)))
            resources = stack.enter_context(job.service.opened(stop))
            self._call: CallScope = stack.enter_context(resources.call(stop, ignore))
            self._stack = stack.pop_all()

    def run(self, payload: SendPart) -> PartSent:
        """Send one part; its MD5 is computed, too: the service's list has that of each part."""
        upload, call = self._upload, self._call
        context = UploadContext(
            call.storage,
            upload.request,
            ignore,
            call.stop,
            Integrity(declared=upload.declared, want_md5=True, listener=ignore),
            abandoned=call.stop,
        )
        session = MultipartSession(context)
        session.resume(upload.upload_id)
        done: list[SentPart] = []
        uploader = PartUploader(
            context, session.part_request(), record=lambda _, part: done.append(part)
        )
        piece = Piece(payload.number, self._source, payload.offset, payload.length)
        uploader.upload(piece, buffer=buffer_for(BLOCK))
        return PartSent(done[0], context.bytes_sent)

    def close(self) -> None:
        """Close the file and connections."""
        self._stack.close()


class SendParts:
    """Brings parts to the workers, and knows which of them has sent which."""

    def __init__(self, told: Callable[[int, SentPart, int], None]) -> None:
        self._told = told
        self._tasks: Tasks[SendPart] | None = None
        self._done: dict[int, SentPart] = {}
        self._by: dict[int, frozenset[str]] = {}

    def attach(self, tasks: Tasks[SendPart]) -> None:
        """Bring parts there."""
        self._tasks = tasks

    def send(self, parts: Parts, *, elsewhere: bool = False) -> dict[int, SentPart]:
        """Send them; return when the service has them, as far as the workers tell."""
        if self._tasks is None:
            return {}
        for number, (offset, length) in parts.items():
            part = SendPart(number, offset, length)
            if elsewhere:
                for address in self._by.get(number, ()):
                    self._tasks.leave_out(address, f"part {number} is not what it has told")
                self._tasks.again(part, without=self._by.get(number, frozenset()))
            else:
                self._tasks.put(part)
        self._tasks.finish()
        return {number: self._done[number] for number in parts}

    def handle(self, payload: SendPart, answer: TaskResult) -> None:
        """Tell of a part that was sent."""
        sent: PartSent = answer.value
        self._done[payload.number] = sent.part
        before = self._by.get(payload.number, frozenset())
        self._by[payload.number] = before | {answer.address}
        self._told(payload.number, sent.part, sent.bytes_sent)


@dataclass(frozen=True, slots=True)
class FetchRange:
    """Range `number`, of which an earlier run may have told that it is `finished`."""

    number: int
    finished: FinishedRange | None


@dataclass(frozen=True, slots=True)
class RangeFetched:
    """What is in the file now, and whether it came in this run."""

    finished: FinishedRange
    is_new: bool


@dataclass(frozen=True, slots=True)
class FetchRangesJob:
    """Ranges of an object to a file, which all workers see under the same path."""

    id: str
    version: str
    service: ServiceAccess
    remote: RemoteDownload
    proof: DirectoryProof

    def unfit(self) -> str | None:
        """Why this process does not write to the same directory."""
        return self.proof.difference()

    def open(self, stop: threading.Event) -> "_OpenRanges":
        """Open the file and connections."""
        return _OpenRanges(self, stop)


class _OpenRanges:
    def __init__(self, job: FetchRangesJob, stop: threading.Event) -> None:
        remote = job.remote
        self._plan = remote.plan
        with ExitStack() as stack:
            resources = stack.enter_context(job.service.opened(stop))
            call: CallScope = stack.enter_context(resources.call(stop, ignore))
            place = stack.enter_context(Place.at(remote.target, FileSystem(ignore)))
            if place.status(remote.temporary) is None:
                raise LocalFileError(
                    f"{remote.target.parent / remote.temporary} is not there",
                    hint="The driver makes it: all workers need the same file system there.",
                )
            self._file = stack.enter_context(LocalFile(place, remote.temporary))
            self._stack = stack.pop_all()
        context = DownloadContext(
            call.storage, remote.request, remote.there, ignore, call.stop, abandoned=call.stop
        )
        self._fetcher = RangeFetcher(context, self._file, remote.plan)

    def run(self, payload: FetchRange) -> RangeFetched:
        """Fetch one range, unless it is in the file; it is on the disk when this returns."""
        buffer = buffer_for(min(READ_BLOCK, self._plan.part_size))
        finished, is_new = payload.finished, False
        if finished is None or not self._fetcher.is_there(payload.number, finished, buffer):
            finished, is_new = self._fetcher.fetch(payload.number, buffer), True
            self._file.sync()
        return RangeFetched(finished, is_new)

    def close(self) -> None:
        """Close the file and connections."""
        self._stack.close()


class FetchRanges:
    """Brings ranges to the workers, and knows which of them has fetched which."""

    def __init__(self, told: Callable[[int, FinishedRange, bool], None]) -> None:
        self._told = told
        self._tasks: Tasks[FetchRange] | None = None
        self._by: dict[int, frozenset[str]] = {}

    def attach(self, tasks: Tasks[FetchRange]) -> None:
        """Bring ranges there."""
        self._tasks = tasks

    def fetch(self, ranges: Ranges, *, elsewhere: bool = False) -> None:
        """Fetch them, or read what is there again; return when they are in the file."""
        if self._tasks is None:
            return
        for number, finished in ranges.items():
            task = FetchRange(number, finished)
            if elsewhere:
                for address in self._by.get(number, ()):
                    self._tasks.leave_out(address, f"range {number} is not what it has told")
                self._tasks.again(task, without=self._by.get(number, frozenset()))
            else:
                self._tasks.put(task)
        self._tasks.finish()

    def handle(self, payload: FetchRange, answer: TaskResult) -> None:
        """Tell of a range that is there."""
        fetched: RangeFetched = answer.value
        before = self._by.get(payload.number, frozenset())
        self._by[payload.number] = before | {answer.address}
        self._told(payload.number, fetched.finished, fetched.is_new)
