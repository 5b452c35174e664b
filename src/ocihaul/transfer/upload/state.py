"""The state of one upload, which the journal keeps from run to run, up to its receipt.

A journal that fails costs that, and not the upload.
"""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ocihaul.errors import JournalError, ReceiptError, TransferInProgressError
from ocihaul.events import Listener, Notice
from ocihaul.filesystem import UNSYNCED
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.journal import Entry, Intention, Journal, KeptReceipt, Target
from ocihaul.transfer.monitor import Counts, TransferStats
from ocihaul.transfer.receipt import (
    Receipt,
    read_receipt,
    receipt_parts,
    service_headers,
    write_receipt,
)
from ocihaul.transfer.source import Identity
from ocihaul.transfer.upload.incomplete import IncompleteUploadIndex
from ocihaul.transfer.upload.request import UploadRequest, UploadResult, encryption_of

if TYPE_CHECKING:
    from ocihaul.transfer.upload.context import UploadContext

#: How long a journal that failed is not tried again, seconds: a try may take half as long where
#: another process has it.
_RETRY_AFTER = 60.0
#: How long one wait for another process's upload is, seconds: a stop is noticed after that.
_WAIT = 1.0


@dataclass(slots=True)
class UploadState:
    """One upload; `entry` is None before it has an id.

    Without a `journal` nothing outlives the process. The listener is told once of a journal that
    fails; it is `unavailable` until what it lacks could be written. `stats` are None where they are
    not counted. `imported` are the parts of an upload that the journal did not know. `started_at`
    is epoch seconds. `incomplete` lists what the service has.
    """

    journal: Journal | None
    target: Target
    listener: Listener
    incomplete: IncompleteUploadIndex
    stats: TransferStats | None = None
    entry: Entry | None = None
    unavailable: bool = False
    imported: Mapping[int, SentPart] = field(default_factory=dict)
    started_at: float = field(default_factory=time.time)
    _counts_before: Counts = field(init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards the two below
    _unrecorded: dict[int, SentPart] = field(default_factory=dict)
    _retry_at: float = 0.0

    def __post_init__(self) -> None:
        self._counts_before = self._counted()

    @property
    def counts(self) -> Counts:
        """Those of all runs, this one included."""
        before = self.entry.counts if self.entry is not None else Counts()
        return before + (self._counted() - self._counts_before) + Counts(runs=1)

    def _counted(self) -> Counts:
        return self.stats.counts if self.stats else Counts()

    def load(self) -> Entry | None:
        """The upload that an earlier run has left, if there is one."""
        if self.journal is not None:
            with self._best_effort():
                self.entry = self.journal.find(self.target)
        return self.entry

    def has_earlier_run(self) -> bool:
        """Whether an earlier run has created an upload, or was about to."""
        return self.load() is not None or self.load_intention() is not None

    def load_intention(self) -> Intention | None:
        """The upload that an earlier run was about to create, if there is one."""
        if self.journal is not None:
            with self._best_effort():
                return self.journal.intended(self.target)
        return None

    def record_intention(self, intention: Intention) -> None:
        """Note that the service is about to be asked for an upload."""
        if self.journal is not None:
            with self._best_effort():
                self.journal.intend(self.target, intention)

    def forget_intention(self) -> None:
        """Note that the service has refused to create it."""
        if self.journal is not None:
            with self._best_effort():
                self.journal.forget_intention(self.target)

    def begin(
        self,
        upload_id: str,
        intention: Intention,
        parts: Mapping[int, SentPart] | None = None,
    ) -> None:
        """Note the id that the service gave the upload; it has `parts` already."""
        if self.journal is None:
            return
        with self._best_effort():
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

    def import_upload(
        self, upload_id: str, intention: Intention, parts: Mapping[int, SentPart]
    ) -> Entry:
        """Note an upload begun elsewhere, with those of its parts that are right."""
        self.begin(upload_id, intention, parts)
        self.imported = parts
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
                created_at=self.started_at,
            )
        return self.entry

    def record(self, number: int, part: SentPart) -> None:
        """Note a finished part, and those that could not be noted before."""
        self.record_all({number: part})

    def record_all(self, parts: Mapping[int, SentPart]) -> None:
        """Note several finished parts, in one transaction."""
        with self._lock:
            self._unrecorded.update(parts)
            if not self.unavailable or time.monotonic() >= self._retry_at:
                self._write()

    def flush(self) -> None:
        """Note what could not be noted before: the run ends."""
        with self._lock:
            self._write()

    def _write(self) -> None:
        if self.journal is None or self.entry is None or not self._unrecorded:
            return
        try:
            self.journal.record(self.entry, self._unrecorded, self.counts)
        except JournalError as error:
            self.mark_unavailable(error)
            self._retry_at = time.monotonic() + _RETRY_AFTER
            return
        self._unrecorded.clear()
        if self.unavailable:
            self.unavailable = False
            self.listener(Notice("The journal can be written again, and has all finished parts."))

    def finished_parts(self) -> dict[int, SentPart]:
        """The parts that were finished, as the journal has them."""
        parts = dict(self.imported)
        if self.journal is not None and self.entry is not None:
            with self._best_effort():
                parts |= self.journal.parts(self.entry)
        return parts

    def pending_receipt(self) -> tuple[KeptReceipt, str] | None:
        """The receipt that an earlier run could not write any more, if there is one."""
        if self.journal is not None:
            with self._best_effort():
                kept = self.journal.owed(self.target)
                text = self.journal.receipt(kept.row) if kept is not None else None
                return None if kept is None or text is None else (kept, text)
        return None

    def forget(self) -> None:
        """Forget the upload: it is aborted, or gone."""
        if self.entry is not None:
            self.incomplete.end(self.entry.upload_id)
        if self.journal is not None and self.entry is not None:
            with self._best_effort():
                self.journal.forget(self.entry)
        self.entry = None

    def finish(self, receipt: Receipt, *, owed: bool) -> int | None:
        """Keep the receipt of the object; return its row, or None when it cannot be kept."""
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
            self.mark_unavailable(error)
            return None

    def mark_receipt_written(self, row: int) -> None:
        """Note that the receipt is in its file, too."""
        if self.journal is not None:
            with self._best_effort():
                self.journal.handed_over(row)

    @contextlib.contextmanager
    def _best_effort(self) -> Iterator[None]:
        try:
            yield
        except JournalError as error:
            self.mark_unavailable(error)

    def mark_unavailable(self, error: JournalError) -> None:
        """Note that the journal cannot be used, and tell the listener once."""
        if not self.unavailable:
            text = f"From here on nothing can be remembered: {error.message}."
            self.listener(Notice(text))
        self.unavailable = True


def load_state(
    storage: StorageClient,
    request: UploadRequest,
    journal: Journal | None,
    listener: Listener,
    *,
    stats: TransferStats | None,
    incomplete: IncompleteUploadIndex | None,
) -> UploadState:
    """The state of the upload that is asked for."""
    endpoint = storage.base_url(request.namespace)
    target = Target(endpoint, request.namespace, request.bucket, request.name)
    return UploadState(
        journal, target, listener, incomplete or IncompleteUploadIndex(storage), stats
    )


@contextlib.contextmanager
def exclusive(state: UploadState, *, wait: bool, stop: threading.Event) -> Iterator[None]:
    """Be the only process at this upload; `wait` for another one.

    Raises TransferInProgressError.
    """
    with contextlib.ExitStack() as held:
        seconds = 0.0
        while state.journal is not None:
            try:
                held.enter_context(state.journal.claim(state.target, wait=seconds))
                break
            except JournalError as error:
                state.mark_unavailable(error)
                state.journal = None
            except TransferInProgressError as busy:
                if not wait or stop.is_set():
                    raise
                if not seconds:
                    state.listener(Notice(f"{busy.message}: waiting for it to end."))
                seconds = _WAIT
        yield


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What was sent: a file, or (without path and identity) a stream. `part_size` is bytes."""

    path: str | None
    identity: Identity | None
    part_size: int


def finalize(
    context: "UploadContext", state: UploadState, source: SourceInfo, result: UploadResult
) -> UploadResult:
    """Keep the receipt in the journal and write it to its file; return the result with it.

    Raises ReceiptError (with the result) when the file cannot be written.
    """
    receipt = _receipt(context, state, source, result)
    result = replace(result, receipt=receipt)
    row = state.finish(receipt, owed=context.request.receipt is not None)
    _write_receipt_file(context, state, result, receipt, row)
    return result


def already_finished(
    context: "UploadContext", state: UploadState, source: SourceInfo
) -> UploadResult | None:
    """The result of an earlier run that stored everything but could not write its receipt.

    None unless the file is the one that was sent then and the object is still that one.
    """
    if context.request.receipt is None or context.request.restart:
        return None
    kept = state.pending_receipt()
    if kept is None:
        return None
    owed, text = kept
    try:
        receipt = read_receipt(text, where="the journal's receipt")
    except ReceiptError:
        return None
    if receipt.identity != source.identity:
        return None
    there = context.remote.head_as_put_response(receipt.size)
    if there is None or there["etag"] != owed.etag:
        return None
    context.listener(Notice("The earlier run had finished; only its receipt was not written."))
    result = replace(
        context.result(
            there,
            size=receipt.size,
            part_count=len(receipt.parts),
            crc32c=receipt.crc32c,
            md5=receipt.md5,
            parts=(),
            upload_id=receipt.upload_id,
        ),
        bytes_resent=0,
        receipt=receipt,
    )
    _write_receipt_file(context, state, result, receipt, owed.row)
    return result


def _receipt(
    context: "UploadContext", state: UploadState, source: SourceInfo, result: UploadResult
) -> Receipt:
    headers = result.headers
    return Receipt(
        path=source.path,
        identity=source.identity,
        size=result.size,
        target=state.target,
        etag=headers.get("etag", ""),
        version_id=headers.get("version-id"),
        upload_id=result.upload_id,
        encryption=encryption_of(context.request),
        part_size=source.part_size,
        parts=receipt_parts(result.parts),
        crc32c=result.crc32c,
        md5=result.md5,
        service=service_headers(headers),
        begun=state.entry.created_at if state.entry is not None else state.started_at,
        finished=time.time(),
        counts=state.counts if state.stats is not None else None,
    )


def _write_receipt_file(
    context: "UploadContext",
    state: UploadState,
    result: UploadResult,
    receipt: Receipt,
    row: int | None,
) -> None:
    path = context.request.receipt
    if path is None:
        return
    try:
        durable = write_receipt(path, receipt.text())
    except ReceiptError as error:
        kept = "It is kept in the journal: the same command with another `receipt` writes it, too."
        lost = "It is not kept in the journal either."
        failure = ReceiptError(
            f"{context.request.name!r} is stored and right, but {error.message}",
            hint=lost if row is None else (kept, f"Or: ocihaul receipts show {row}"),
        )
        failure.result = result
        raise failure from error.__cause__
    if not durable:
        context.listener(Notice(UNSYNCED))
    if row is not None:
        state.mark_receipt_written(row)
