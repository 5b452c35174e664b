"""One file to one object: look, send, commit, compare."""

import contextlib
import threading
from collections.abc import Callable

from ocihaul.errors import SourceError
from ocihaul.events import Listener, Notice, UploadFinished, UploadPlanned, ignore
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.counting import Counter
from ocihaul.transfer.integrity import Integrity
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.plan import Plan, plan_upload
from ocihaul.transfer.receipts.receipt_file import check_place
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.uploads.adopting import adopt
from ocihaul.transfer.uploads.concluding import Origin, conclude, finished_before
from ocihaul.transfer.uploads.headers import check_request
from ocihaul.transfer.uploads.incomplete import IncompleteUploads
from ocihaul.transfer.uploads.job import Job, check_announced, wished_algorithm
from ocihaul.transfer.uploads.memory import Memory, alone, memory_of
from ocihaul.transfer.uploads.multipart import MultipartUpload
from ocihaul.transfer.uploads.request import Confirm, UploadRequest, UploadResult
from ocihaul.transfer.uploads.resuming import recall
from ocihaul.transfer.uploads.single import put_whole
from ocihaul.transfer.uploads.stream import upload_stream


def upload(
    storage: StorageClient,
    request: UploadRequest,
    *,
    listener: Listener = ignore,
    confirm: Confirm | None = None,
    stop: threading.Event | None = None,
    before: Callable[[int | None], None] | None = None,
    journal: Journal | None = None,
    counter: Counter | None = None,
    pace: Pace | None = None,
    incomplete: IncompleteUploads | None = None,
) -> UploadResult:
    """Upload `request.source` or `request.stream`; the object appears only when all is there.

    With a `journal`, an upload that an earlier run left unfinished is gone on with. `confirm` is
    asked before an existing object is replaced (`Existing.ASK`); without it the answer is no.
    `stop` is the event that the storage client was made with. `before` is called with the size,
    as far as it is known, before anything is sent, and may raise. Two have to hear the storage
    client's events, too: `counter` counts renewals and retries for the receipt, and `pace` says
    how many parts go at a time; never more than `request.parallel`. `incomplete` is
    shared by the uploads of one run, so that a bucket's incomplete uploads are listed once.

    Raises UsageError and SourceError before anything is sent; ObjectExists; ServiceError,
    NetworkError, SessionError; SourceChanged; UploadStopped when parts are left on the service;
    ChecksumError; UploadBusy; JournalError; SpoolError; Interrupted; ReceiptError when everything
    is stored and the receipt's file cannot be written.
    """
    stop = stop or threading.Event()
    if request.stream is not None:
        return upload_stream(
            storage,
            request,
            request.stream,
            listener=listener,
            confirm=confirm,
            stop=stop,
            before=before,
            journal=journal,
            counter=counter,
            pace=pace,
            incomplete=incomplete,
        )
    with FileSource(request.source) as source:
        plan = plan_upload(
            source.size,
            part_size=None if request.upload_id else request.part_size,
            multipart=request.multipart,
            parallel=request.parallel,
        )
        # Everything that can be wrong with the request is found before a byte is sent.
        check_request(request)
        if request.expected_size not in {None, source.size}:
            raise SourceError(
                f"{source.path} has {source.size} bytes, not {request.expected_size} as expected",
                hint="Nothing was sent: find out which of the two is right.",
            )
        if request.receipt is not None:
            check_place(request.receipt, request.source)
        if before is not None:
            before(plan.size)
        with contextlib.ExitStack() as held:
            memory = memory_of(
                storage, request, journal, listener, counter=counter, incomplete=incomplete
            )
            entry = None
            # What was begun in parts goes on in parts, although it would be one PutObject now.
            begun = request.multipart and memory.knows_one()
            if plan.multipart or begun or request.upload_id is not None:
                held.enter_context(alone(memory, request, stop=stop))
                entry = recall(memory, request, source, storage, stop)
                if entry is None and request.upload_id is not None:
                    entry = adopt(memory, request, source, storage, stop)
            if entry is not None:  # what was begun goes on in its part size
                plan = Plan(plan.size, entry.part_size, multipart=True)
            integrity = Integrity(
                declared=entry.algorithm if entry is not None else wished_algorithm(request),
                want_md5=request.verify_checksum,
                listener=listener,
            )
            job = Job(storage, request, listener, stop, integrity, pace=pace)
            origin = Origin(str(source.path.absolute()), source.identity, plan.part_size)
            result = finished_before(job, memory, origin) or conclude(
                job, memory, origin, _send(job, source, plan, memory, confirm)
            )
    listener(UploadFinished(request.name, result.size, result.seconds, result.bytes_sent))
    return result


def _send(
    job: Job, source: FileSource, plan: Plan, memory: Memory, confirm: Confirm | None
) -> UploadResult:
    many = MultipartUpload(job, source, plan, memory) if plan.multipart else None
    if many is not None:  # the first goes out while the others shake hands
        ahead = min(job.request.parallel, plan.part_count) - 1
        job.storage.open_ahead(job.request.namespace, 0 if job.request.adaptive else ahead)
    # An upload that was adopted is still there: it was not committed.
    if many is not None and not memory.adopted and (settled := many.settled()) is not None:
        job.listener(Notice("The earlier run had finished; only its answer was lost."))
        return settled
    preconditions = job.target.preconditions(confirm)
    job.listener(
        UploadPlanned(
            name=job.request.name,
            size=plan.size,
            part_size=plan.part_size,
            part_count=plan.part_count,
            parallel=min(job.request.parallel, plan.part_count),
            multipart=plan.multipart,
        )
    )
    if many is None:
        return put_whole(job, source, plan.size, preconditions)
    check_announced(job.request, source, job.stop)
    return many.run(preconditions)
