"""What is remembered of one upload, from run to run and while it runs.

The journal does the remembering; here is what becomes of an upload when the journal cannot.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ocihaul.errors import JournalError, UploadBusy
from ocihaul.events import Listener, Notice
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal.journal import Entry, Intention, Journal, KeptReceipt, Target
from ocihaul.transfer.receipts.receipt import Receipt
from ocihaul.transfer.stats import Counter, Counts
from ocihaul.transfer.upload.incomplete import IncompleteUploads
from ocihaul.transfer.upload.request import UploadRequest

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
    an upload that the journal did not know. `begun` is epoch seconds. `incomplete` tells what the
    service has.
    """

    journal: Journal | None
    target: Target
    listener: Listener
    incomplete: IncompleteUploads
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

    def knows_one(self) -> bool:
        """Whether an earlier run has created an upload, or was about to."""
        return self.find() is not None or self.intended() is not None

    def intended(self) -> Intention | None:
        """The upload that an earlier run was about to create, if there is one."""
        if self.journal is not None:
            with self._trouble_is_told():
                return self.journal.intended(self.target)
        return None

    def intend(self, intention: Intention) -> None:
        """The service is about to be asked for an upload."""
        if self.journal is not None:
            with self._trouble_is_told():
                self.journal.intend(self.target, intention)

    def forget_intention(self) -> None:
        """The service has refused it."""
        if self.journal is not None:
            with self._trouble_is_told():
                self.journal.forget_intention(self.target)

    def begin(
        self,
        upload_id: str,
        intention: Intention,
        parts: Mapping[int, SentPart] | None = None,
    ) -> None:
        """The service has given the upload its id; it has `parts` already."""
        if self.journal is None:
            return
        with self._trouble_is_told():
            self.entry = self.journal.begin(
                self.target,
                upload_id=upload_id,
                source=intention.source,
                identity=intention.identity,
                part_size=intention.part_size,
                encryption=intention.encryption,
                algorithm=intention.algorithm,
                attributes=intention.attributes,
                ctime_ns=intention.ctime_ns,
                created_at=intention.begun_at,
                parts=parts,
            )

    def adopt(self, upload_id: str, intention: Intention, parts: Mapping[int, SentPart]) -> Entry:
        """Another's upload is ours now, with those of its parts that are right."""
        self.begin(upload_id, intention, parts)
        self.adopted = parts
        if self.entry is None:
            self.entry = Entry(
                row=0,
                target=self.target,
                upload_id=upload_id,
                source=intention.source,
                identity=intention.identity,
                part_size=intention.part_size,
                encryption=intention.encryption,
                algorithm=intention.algorithm,
                created_at=self.begun,
            )
        return self.entry

    def record(self, number: int, part: SentPart) -> None:
        """Remember a finished part, and those that could not be remembered before."""
        self.record_all({number: part})

    def record_all(self, parts: Mapping[int, SentPart]) -> None:
        """The same of several parts, in one transaction."""
        with self._lock:
            self._unrecorded.update(parts)
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
        parts = dict(self.adopted)
        if self.journal is not None and self.entry is not None:
            with self._trouble_is_told():
                parts |= self.journal.parts(self.entry)
        return parts

    def owed(self) -> tuple[KeptReceipt, str] | None:
        """The receipt that an earlier run could not write any more, if there is one."""
        if self.journal is not None:
            with self._trouble_is_told():
                kept = self.journal.owed(self.target)
                text = self.journal.receipt(kept.row) if kept is not None else None
                return None if kept is None or text is None else (kept, text)
        return None

    def forget(self) -> None:
        """The upload is aborted, or gone."""
        if self.entry is not None:
            self.incomplete.end(self.entry.upload_id)
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
    *,
    counter: Counter | None,
    incomplete: IncompleteUploads | None,
) -> Memory:
    """The memory of the upload that is asked for."""
    endpoint = storage.base_url(request.namespace)
    target = Target(endpoint, request.namespace, request.bucket, request.name)
    return Memory(journal, target, listener, incomplete or IncompleteUploads(storage), counter)


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
