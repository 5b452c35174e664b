"""Parts of one upload: the job on the workers, and what brings parts there."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ocihaul.cluster.jobs import Opened, ServiceAccess, TaskResult
from ocihaul.cluster.tasks import Tasks
from ocihaul.cluster.workers import FileProof
from ocihaul.events import ignore
from ocihaul.resources import CallScope
from ocihaul.transfer.checksum import Integrity, SentPart
from ocihaul.transfer.source import BLOCK, FileSource, Piece, buffer_for
from ocihaul.transfer.upload.context import UploadContext
from ocihaul.transfer.upload.multipart import MultipartSession
from ocihaul.transfer.upload.part_uploader import PartUploader
from ocihaul.transfer.upload.remote import Parts, RemoteUpload


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
        self._stack = ExitStack()
        self._source = self._stack.enter_context(FileSource(Path(job.proof.path)))
        resources = self._stack.enter_context(job.service.opened(stop))
        self._call: CallScope = self._stack.enter_context(resources.call(stop, ignore))

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
