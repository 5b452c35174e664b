"""Going on where an earlier run stopped: which parts are there, and whether they are of this file.

The journal says what was finished; the service says what it has. A part counts when both agree on
its etag and size. Without an entry in the journal an upload is begun anew.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from ocihaul.errors import (
    JournalError,
    OcihaulError,
    ServiceError,
    SourceChanged,
    UploadBusy,
    UsageError,
)
from ocihaul.events import Listener, Notice
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal import Entry, Journal, Target
from ocihaul.transfer.plan import MIB
from ocihaul.transfer.request import UploadRequest
from ocihaul.transfer.source import FileSource, Identity

#: How long one wait for another process's upload is, so that a stop is noticed: seconds.
_PATIENCE = 1.0

#: What the journal has in place of a file's path where the upload is of a stream.
STREAM = "-"

_RESTART = "Run again with --restart to drop the unfinished upload and begin anew."


@dataclass(slots=True)
class Memory:
    """What is remembered of one upload; `entry` is None before it has an id.

    A journal that fails costs the memory, not the upload.
    """

    journal: Journal
    target: Target
    listener: Listener
    entry: Entry | None = None
    broken: bool = False

    def begin(
        self,
        *,
        upload_id: str,
        source: str,
        identity: Identity,
        part_size: int,
        encryption: str,
        algorithm: str,
    ) -> None:
        """Remember an upload that the service has just created."""
        with self._trying():
            self.entry = self.journal.begin(
                self.target,
                upload_id=upload_id,
                source=source,
                identity=identity,
                part_size=part_size,
                encryption=encryption,
                algorithm=algorithm,
            )

    def record(self, number: int, part: SentPart) -> None:
        """Remember a finished part."""
        if self.entry is not None and not self.broken:
            with self._trying():
                self.journal.record(self.entry, number, part)

    def forget(self) -> None:
        """The upload is over, one way or the other."""
        if self.entry is not None:
            with self._trying():
                self.journal.forget(self.entry)
            self.entry = None

    @contextlib.contextmanager
    def _trying(self) -> Iterator[None]:
        try:
            yield
        except JournalError as error:
            self.broken = True
            self.listener(Notice(f"From here on nothing can be remembered: {error.message}."))

    def finished(self) -> dict[int, SentPart]:
        """The parts that were finished, as the journal has them."""
        return self.journal.parts(self.entry) if self.entry is not None else {}


def encryption_of(request: UploadRequest) -> str:
    """How the parts are encrypted, in a form that gives no key away."""
    if request.sse_customer_key is not None:
        return "sse-c " + request.sse_customer_key.headers()["opc-sse-customer-key-sha256"]
    return f"kms {request.kms_key_id}" if request.kms_key_id else "service"


def recall(
    memory: Memory,
    request: UploadRequest,
    source: FileSource,
    *,
    wished_algorithm: str | None,
    storage: StorageClient,
    listener: Listener,
) -> Entry | None:
    """The unfinished upload that this request goes on with, if there is one.

    With `request.restart` it is dropped, here and at the service. Raises SourceChanged when the
    file is not the one that was begun, UsageError when its encryption or checksum is not.
    """
    entry = memory.journal.find(memory.target)
    if entry is None:
        return None
    memory.entry = entry
    if request.restart or is_lost(entry, listener):
        drop(memory, entry, storage, listener)
        return None
    then, now = entry.identity, source.identity
    # Not the device: its number may be another after a reboot or in another container.
    if (then.inode, then.size, then.mtime_ns) != (now.inode, now.size, now.mtime_ns):
        raise SourceChanged(
            f"{source.path} is not the file of which upload {entry.upload_id} has parts already "
            f"({then.size} bytes then, {now.size} now)",
            hint=_RESTART,
        )
    if entry.encryption != encryption_of(request):
        raise UsageError(
            f"upload {entry.upload_id} was begun with another encryption key", hint=_RESTART
        )
    if wished_algorithm not in {None, entry.algorithm}:
        raise UsageError(
            f"upload {entry.upload_id} was begun with {entry.algorithm}, not {wished_algorithm}",
            hint=_RESTART,
        )
    if request.part_size not in {None, entry.part_size}:
        size = entry.part_size // MIB
        listener(Notice(f"Going on with parts of {size} MiB, as the upload was begun."))
    return entry


def confirmed(memory: Memory, entry: Entry, storage: StorageClient) -> dict[int, SentPart] | None:
    """The finished parts that the service has too; None when it does not know the upload."""
    target = entry.target
    try:
        there = {
            part.number: part
            for part in storage.list_multipart_upload_parts(
                target.namespace, target.bucket, target.object, upload_id=entry.upload_id
            )
        }
    except ServiceError as error:
        if error.status == 404:
            return None
        raise
    return {
        number: part
        for number, part in memory.finished().items()
        if number in there and (there[number].etag, there[number].size) == (part.etag, part.size)
    }


def is_lost(entry: Entry, listener: Listener) -> bool:
    """Whether nobody can go on with it: a stream that was interrupted cannot be read again."""
    if entry.source != STREAM:
        return False
    listener(Notice(f"Dropping upload {entry.upload_id}: its stream was interrupted."))
    return True


def drop(memory: Memory, entry: Entry, storage: StorageClient, listener: Listener) -> None:
    """Abort the upload and forget it."""
    target = entry.target
    try:
        storage.abort_multipart_upload(
            target.namespace, target.bucket, target.object, upload_id=entry.upload_id
        )
    except OcihaulError as error:
        listener(Notice(f"Upload {entry.upload_id} could not be dropped: {error.message}"))
    memory.forget()


@contextlib.contextmanager
def alone(
    journal: Journal,
    target: Target,
    request: UploadRequest,
    listener: Listener,
    *,
    stop: threading.Event,
) -> Iterator[None]:
    """Be the only process at this upload; waits for another one, if the request says so."""
    with contextlib.ExitStack() as held:
        wait = 0.0
        while True:
            try:
                held.enter_context(journal.claim(target, wait=wait))
                break
            except UploadBusy as busy:
                if not request.wait or stop.is_set():
                    raise
                if not wait:
                    listener(Notice(f"{busy.message}: waiting for it to end."))
                wait = _PATIENCE
        yield
