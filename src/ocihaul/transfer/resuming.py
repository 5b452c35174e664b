"""Going on where an earlier run stopped: which parts are there, and whether they are of this file.

The journal says what was finished; the service says what it has. A part counts when both agree on
its etag and size. Without an entry in the journal an upload is begun anew.
"""

import contextlib
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
from ocihaul.transfer.access import access_of, end_access
from ocihaul.transfer.counting import Counter, Counts
from ocihaul.transfer.headers import attributes_of
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.job import wished_algorithm
from ocihaul.transfer.journal import Entry, Journal, Target
from ocihaul.transfer.plan import MIB
from ocihaul.transfer.receipt import Receipt
from ocihaul.transfer.request import UploadRequest
from ocihaul.transfer.source import FileSource, Identity

_RESTART = "Run again with --restart to drop the unfinished upload and begin anew."

#: What the journal has for the source of a stream.
STREAM = "-"
_NOTHING = Identity(0, 0, 0, 0)
#: How long a journal that failed is left alone, seconds: each try may take half as long, where
#: another process has it.
_AGAIN = 60.0
#: How long one wait for another process's upload is, so that a stop is noticed: seconds.
_PATIENCE = 1.0


@dataclass(slots=True)
class Memory:
    """What is remembered of one upload; `entry` is None before it has an id.

    Without a `journal` nothing outlives the process. A journal that fails costs the memory, not
    the upload: it is said once, and `broken` until what it lacks could be written. `counter` hears
    what the session and the storage client tell, where somebody counts. `adopted` are the parts of
    an upload that the journal did not know. `begun` is epoch seconds.
    """

    journal: Journal | None
    target: Target
    listener: Listener
    counter: Counter | None = None
    entry: Entry | None = None
    broken: bool = False
    adopted: Mapping[int, SentPart] = field(default_factory=dict)
    begun: float = field(default_factory=time.time)
    _mark: Counts = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards the two below
    _unrecorded: dict[int, SentPart] = field(default_factory=dict)
    _again_at: float = 0.0

    def __post_init__(self) -> None:
        self._mark = self.counter.counts if self.counter else Counts()

    @property
    def counts(self) -> Counts:
        """Those of all runs, this one included."""
        now = self.counter.counts if self.counter else Counts()
        before = self.entry.counts if self.entry is not None else Counts()
        return before + (now - self._mark) + Counts(runs=1)

    def find(self) -> Entry | None:
        """The upload that an earlier run has left, if there is one."""
        if self.journal is not None:
            with self._trouble_is_told():
                self.entry = self.journal.find(self.target)
        return self.entry

    def begin(
        self,
        upload_id: str,
        *,
        source: FileSource | None,
        part_size: int,
        encryption: str,
        algorithm: str,
        attributes: Mapping[str, object] | None = None,
        parts: Mapping[int, SentPart] | None = None,
    ) -> None:
        """The service has given the upload its id; it has `parts` already.

        Without a `source` it is that of a stream.
        """
        if self.journal is None:
            return
        with self._trouble_is_told():
            self.entry = self.journal.begin(
                self.target,
                upload_id=upload_id,
                source=STREAM if source is None else str(source.path.absolute()),
                identity=_NOTHING if source is None else source.identity,
                part_size=part_size,
                encryption=encryption,
                algorithm=algorithm,
                attributes=attributes,
                parts=parts,
            )

    def adopt(
        self,
        upload_id: str,
        parts: Mapping[int, SentPart],
        *,
        source: FileSource,
        part_size: int,
        encryption: str,
        algorithm: str,
    ) -> Entry:
        """Another's upload is ours now, with those of its parts that are right."""
        self.begin(
            upload_id,
            source=source,
            part_size=part_size,
            encryption=encryption,
            algorithm=algorithm,
            parts=parts,
        )
        self.adopted = parts
        if self.entry is None:
            self.entry = Entry(
                row=0,
                target=self.target,
                upload_id=upload_id,
                source=str(source.path),
                identity=source.identity,
                part_size=part_size,
                encryption=encryption,
                algorithm=algorithm,
                created_at=self.begun,
            )
        return self.entry

    def record(self, number: int, part: SentPart) -> None:
        """Remember a finished part, and those that could not be remembered before."""
        with self._lock:
            self._unrecorded[number] = part
            if not self.broken or time.monotonic() >= self._again_at:
                self._write()

    def catch_up(self) -> None:
        """The run ends: the last chance to remember what could not be remembered before."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self.journal is None or self.entry is None or not self._unrecorded:
            return
        try:
            self.journal.record(self.entry, self._unrecorded, self.counts)
        except JournalError as error:
            self.fails(error)
            self._again_at = time.monotonic() + _AGAIN
            return
        self._unrecorded.clear()
        if self.broken:
            self.broken = False
            self.listener(Notice("The journal can be written again, and has all finished parts."))

    def finished(self) -> dict[int, SentPart]:
        """The parts that were finished, as the journal has them."""
        if self.journal is None or self.entry is None:
            return dict(self.adopted)
        return {**self.adopted, **self.journal.parts(self.entry)}

    def forget(self) -> None:
        """The upload is aborted, or gone."""
        if self.journal is not None and self.entry is not None:
            with self._trouble_is_told():
                self.journal.forget(self.entry)
        self.entry = None

    def finish(self, receipt: Receipt, *, owed: bool) -> int | None:
        """The object is there: keep its receipt; returns its row, None when it cannot be kept."""
        if self.journal is None:
            return None
        try:
            return self.journal.finish(
                self.target,
                self.entry,
                etag=receipt.etag,
                size=receipt.size,
                document=receipt.text(),
                owed=owed,
            )
        except JournalError as error:
            self.fails(error)
            return None

    def handed_over(self, row: int) -> None:
        """The receipt is in its file, too."""
        if self.journal is not None:
            with self._trouble_is_told():
                self.journal.handed_over(row)

    @contextlib.contextmanager
    def _trouble_is_told(self) -> Iterator[None]:
        try:
            yield
        except JournalError as error:
            self.fails(error)

    def fails(self, error: JournalError) -> None:
        """The journal is of no use any more; said once."""
        if not self.broken:
            text = f"From here on nothing can be remembered: {error.message}."
            self.listener(Notice(text))
        self.broken = True


def memory_of(
    storage: StorageClient,
    request: UploadRequest,
    journal: Journal | None,
    listener: Listener,
    counter: Counter | None,
) -> Memory:
    """The memory of the upload that is asked for."""
    endpoint = storage.base_url(request.namespace)
    target = Target(endpoint, request.namespace, request.bucket, request.name)
    return Memory(journal, target, listener, counter)


def encryption_of(request: UploadRequest) -> str:
    """How the parts are encrypted, in a form that gives no key away."""
    if request.sse_customer_key is not None:
        return "sse-c " + request.sse_customer_key.headers()["opc-sse-customer-key-sha256"]
    return f"kms {request.kms_key_id}" if request.kms_key_id else "service"


def recall(
    memory: Memory, request: UploadRequest, source: FileSource, storage: StorageClient
) -> Entry | None:
    """The unfinished upload that this request goes on with, if there is one.

    With `request.restart` it is dropped, here and at the service. Raises SourceChanged when the
    file is not the one that was begun, UsageError when its encryption or checksum is not.
    """
    entry = memory.find()
    if entry is None:
        return None
    same = _same_file(entry.identity, source.identity)
    if request.upload_id is not None and not (same and request.upload_id == entry.upload_id):
        memory.entry = None  # another upload, or of a copy: its parts tell what they are
        return None
    if request.restart or is_lost(entry, memory.listener):
        drop(memory, entry, storage)
        return None
    if not same:
        raise SourceChanged(
            f"{source.path} is not the file of which upload {entry.upload_id} has parts already "
            f"({_difference(entry.identity, source.identity)})",
            hint=_RESTART,
        )
    if entry.encryption != encryption_of(request):
        raise UsageError(
            f"upload {entry.upload_id} was begun with another encryption key", hint=_RESTART
        )
    if request.upload_id is None and entry.attributes is not None:
        check_attributes(entry.upload_id, entry.attributes, attributes_of(request))
    wished = wished_algorithm(request)
    if wished not in {None, entry.algorithm}:
        raise UsageError(
            f"upload {entry.upload_id} was begun with {entry.algorithm}, not {wished}",
            hint=_RESTART,
        )
    if request.part_size not in {None, entry.part_size}:
        size = entry.part_size // MIB
        memory.listener(Notice(f"Going on with parts of {size} MiB, as the upload was begun."))
    return entry


def _same_file(then: Identity, now: Identity) -> bool:
    # Not the device: its number may be another after a reboot or in another container.
    return (then.inode, then.size, then.mtime_ns) == (now.inode, now.size, now.mtime_ns)


def _difference(then: Identity, now: Identity) -> str:
    if then.size != now.size:
        return f"{then.size} bytes then, {now.size} now"
    return "it was written since" if then.inode == now.inode else "another file of the same size"


def check_attributes(upload_id: str, then: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raise UsageError unless an upload was begun with the attributes that are wanted now; pure.

    They were fixed when it was created: going on would silently give the object the old ones.
    """
    differing = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if differing:
        words = (re.sub("[A-Z]", lambda match: f" {match[0].lower()}", name) for name in differing)
        raise UsageError(
            f"upload {upload_id} was begun with another {' and another '.join(words)}",
            hint=f"Give the same options as then to go on with it. {_RESTART}",
        )


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


def drop(memory: Memory, entry: Entry, storage: StorageClient) -> None:
    """Abort the upload and forget it."""
    target = entry.target
    try:
        storage.abort_multipart_upload(
            target.namespace, target.bucket, target.object, upload_id=entry.upload_id
        )
    except OcihaulError as error:
        memory.listener(Notice(f"Upload {entry.upload_id} could not be dropped: {error.message}"))
    end_access(access_of(memory.journal, target), storage, target, memory.listener)
    memory.forget()


@contextlib.contextmanager
def alone(memory: Memory, request: UploadRequest, *, stop: threading.Event) -> Iterator[None]:
    """Be the only process at this upload; waits for another one, if the request says so."""
    with contextlib.ExitStack() as held:
        wait = 0.0
        while memory.journal is not None:
            try:
                held.enter_context(memory.journal.claim(memory.target, wait=wait))
                break
            except JournalError as error:
                memory.fails(error)
                memory.journal = None
            except UploadBusy as busy:
                if not request.wait or stop.is_set():
                    raise
                if not wait:
                    memory.listener(Notice(f"{busy.message}: waiting for it to end."))
                wait = _PATIENCE
        yield
