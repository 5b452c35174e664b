"""One file to one object: look, send, commit, compare."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from ocihaul.errors import UploadBusy
from ocihaul.events import Listener, Notice, UploadFinished, UploadPlanned, ignore
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.headers import check_request, put_headers
from ocihaul.transfer.integrity import Integrity
from ocihaul.transfer.job import Job, wished_algorithm
from ocihaul.transfer.journal import Journal, Target
from ocihaul.transfer.multipart import MultipartUpload
from ocihaul.transfer.pace import Pace
from ocihaul.transfer.plan import Plan, plan_upload
from ocihaul.transfer.request import Confirm, UploadRequest, UploadResult
from ocihaul.transfer.resuming import Memory, recall
from ocihaul.transfer.single import put_whole
from ocihaul.transfer.source import FileSource

#: How long one wait for another process's upload is, so that a stop is noticed: seconds.
_PATIENCE = 1.0


def upload(
    storage: StorageClient,
    request: UploadRequest,
    *,
    listener: Listener = ignore,
    confirm: Confirm | None = None,
    stop: threading.Event | None = None,
    before: Callable[[int], None] | None = None,
    journal: Journal | None = None,
    pace: Pace | None = None,
) -> UploadResult:
    """Upload `request.source`; the object appears only when all of it is there and right.

    With a `journal`, an upload that an earlier run left unfinished is gone on with. `confirm` is
    asked before an existing object is replaced (`Existing.ASK`); without it the answer is no.
    `stop` is the event that the storage client was made with. `before` is called with the size
    before anything is sent, and may raise. `pace`, which has to hear the storage client's events
    too, says how many parts go at a time; never more than `request.parallel`.

    Raises UsageError and SourceError before anything is sent; ObjectExists; ServiceError,
    NetworkError, SessionError; SourceChanged; UploadStopped when parts are left on the service;
    ChecksumError; UploadBusy; JournalError; Interrupted.
    """
    stop = stop or threading.Event()
    with FileSource(request.source) as source:
        plan = plan_upload(
            source.size,
            part_size=request.part_size,
            multipart=request.multipart,
            parallel=request.parallel,
        )
        # Everything that can be wrong with the request is found before a byte is sent.
        check_request(request)
        if before is not None:
            before(plan.size)
        with contextlib.ExitStack() as held:
            memory, entry = None, None
            if journal is not None and plan.multipart:
                endpoint = storage.base_url(request.namespace)
                target = Target(endpoint, request.namespace, request.bucket, request.name)
                held.enter_context(_alone(journal, target, request, listener, stop=stop))
                memory = Memory(journal, target, listener)
                entry = recall(
                    memory,
                    request,
                    source,
                    wished_algorithm=wished_algorithm(request),
                    storage=storage,
                    listener=listener,
                )
            if entry is not None:  # what was begun goes on in its part size
                plan = Plan(plan.size, entry.part_size, multipart=True)
            integrity = Integrity(
                declared=entry.algorithm if entry is not None else wished_algorithm(request),
                want_md5=request.verify_checksum,
                listener=listener,
            )
            job = Job(storage, request, source, plan, listener, stop, integrity, pace=pace)
            result = _send(job, memory, confirm)
    listener(UploadFinished(request.name, result.size, result.seconds))
    return result


def _send(job: Job, memory: Memory | None, confirm: Confirm | None) -> UploadResult:
    plan = job.plan
    many = MultipartUpload(job, memory) if plan.multipart else None
    if many is not None and (settled := many.settled()) is not None:
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
        return put_whole(job, put_headers(job.request) | preconditions)
    job.check_announced()
    return many.run(preconditions)


@contextlib.contextmanager
def _alone(
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
