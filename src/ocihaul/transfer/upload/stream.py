"""A stream to an object: cut it, send it, and leave nothing behind when that fails.

Of a stream nothing can be read twice, so nothing can be gone on with: what was begun is aborted.
Where even that is impossible (kill -9), the journal knows the upload, and the next run drops it.
"""

import contextlib
import threading
from collections.abc import Callable

from ocihaul.errors import (
    ChecksumError,
    Interrupted,
    OcihaulError,
    SessionError,
    UploadStopped,
    UsageError,
)
from ocihaul.events import (
    Listener,
    MultipartUploadCreated,
    Notice,
    UploadFinished,
    UploadPlanned,
)
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.adaptive_concurrency import Pace
from ocihaul.transfer.integrity import Integrity, SentPart
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.journal.values import STREAM
from ocihaul.transfer.plan import Schedule, limit_text, plan_stream
from ocihaul.transfer.receipts.receipt_file import check_place
from ocihaul.transfer.source import Piece
from ocihaul.transfer.stats import Counter
from ocihaul.transfer.upload.context import Job, wished_algorithm
from ocihaul.transfer.upload.finalize import Origin, conclude
from ocihaul.transfer.upload.incomplete import IncompleteUploads
from ocihaul.transfer.upload.multipart import created
from ocihaul.transfer.upload.par_upload import assembly_for
from ocihaul.transfer.upload.part_uploader import Headers, PartWorkers
from ocihaul.transfer.upload.remote_object import TargetObject
from ocihaul.transfer.upload.request import (
    Confirm,
    Stream,
    UploadRequest,
    UploadResult,
    check_request,
)
from ocihaul.transfer.upload.resume import (
    created_before,
    drop,
    drop_orphan,
    intention_of,
    is_lost,
)
from ocihaul.transfer.upload.single_put import put_whole
from ocihaul.transfer.upload.spool import Spool, check_directory, default_directory
from ocihaul.transfer.upload.state import Memory, alone, memory_of
from ocihaul.transfer.upload.stream_reader import Expectations, Intake

#: How long the abort of a failed upload may take, seconds; shorter when somebody waits for us.
_LAST_WORD = 30.0
_LAST_WORD_WHEN_STOPPED = 3.0

_AGAIN = "A stream cannot be read twice: run the whole pipeline again."


def upload_stream(
    storage: StorageClient,
    request: UploadRequest,
    stream: Stream,
    *,
    listener: Listener,
    confirm: Confirm | None,
    stop: threading.Event,
    before: Callable[[int | None], None] | None,
    journal: Journal | None,
    counter: Counter | None,
    pace: Pace | None,
    incomplete: IncompleteUploads | None,
) -> UploadResult:
    """Upload `stream` to its end; the parameters and errors are those of `upload`.

    Whether the object may be written is settled before the stream is read. One part or less goes
    up as one PutObject.
    """
    schedule = _checked(request)
    if request.receipt is not None:
        check_place(request.receipt, None)
    if before is not None:
        before(request.expected_size)
    with contextlib.ExitStack() as held:
        memory = memory_of(
            storage, request, journal, listener, counter=counter, incomplete=incomplete
        )
        held.enter_context(alone(memory, request, stop=stop))
        _clear(memory, request, storage)
        preconditions = TargetObject(storage, request).preconditions(confirm)
        listener(
            UploadPlanned(
                name=request.name,
                size=request.expected_size,
                part_size=schedule.part_size(1),
                part_count=None,
                parallel=request.parallel,
                multipart=True,
            )
        )
        if request.part_size is not None and request.expected_size is None:
            listener(Notice(f"The stream may not be longer: {limit_text(schedule)}."))
        abandoned = threading.Event()
        spool = Spool(
            request.memory_limit,
            request.spool_dir or default_directory(),
            gone=lambda: stop.is_set() or abandoned.is_set(),
        )
        held.enter_context(spool)
        intake = Intake(
            stream,
            schedule,
            spool,
            Expectations(request, schedule),
            stop=stop,
            abandoned=abandoned,
        )
        first, whole = intake.first()
        integrity = Integrity(
            declared=wished_algorithm(request) if whole else request.checksum_algorithm,
            want_md5=request.verify_checksum,
            listener=listener,
        )
        job = Job(storage, request, listener, stop, integrity, pace=pace, abandoned=abandoned)
        if whole:
            result = put_whole(job, first.source, first.length, preconditions)
        else:
            result = _StreamUpload(job, intake, memory).run(first, preconditions)
        part_size = max(part.size for part in result.parts)
        result = conclude(job, memory, Origin(None, None, part_size), result)
    listener(UploadFinished(request.name, result.size, result.seconds, result.bytes_sent))
    return result


def _checked(request: UploadRequest) -> Schedule:
    """How to cut the stream. Raises UsageError and SpoolError for what cannot be."""
    schedule = plan_stream(
        part_size=request.part_size,
        expected_size=request.expected_size,
        parallel=request.parallel,
    )
    if not request.multipart:
        raise UsageError(
            "a stream cannot be sent without multipart: its length is not known",
            hint="Leave --no-multipart away; a short stream is sent in one piece anyhow.",
        )
    if request.memory_limit < 0:
        raise UsageError("a memory limit below zero cannot be", hint="Say 0 to use the disk alone.")
    check_request(request)
    if request.spool_dir is not None:
        check_directory(request.spool_dir)
    return schedule


def _clear(memory: Memory, request: UploadRequest, storage: StorageClient) -> None:
    """Drop what an earlier stream has left; a file's parts are only dropped when asked for."""
    entry = memory.find()
    if entry is None:
        orphan = created_before(memory, request)
        if orphan is not None and (request.restart or orphan[0].source == STREAM):
            drop_orphan(memory, orphan[1], storage)
        return
    if not (request.restart or is_lost(entry, memory.listener)):
        raise UsageError(
            f"upload {entry.upload_id} of {entry.source} to this object is not complete",
            hint="Finish it, or drop it with --restart.",
        )
    drop(memory, entry, storage)


class _StreamUpload:
    """One multipart upload of a stream."""

    def __init__(self, job: Job, intake: Intake, memory: Memory) -> None:
        self._job = job
        self._intake = intake
        self._memory = memory
        self._assembly = assembly_for(job, memory, size=None)
        self._committing = False

    def run(self, first: Piece, preconditions: Headers) -> UploadResult:
        """Send all parts and commit. Raises UploadStopped, Interrupted: nothing was stored then."""
        job = self._job
        intention = intention_of(job.request, None, part_size=0, algorithm=job.integrity.declared)
        upload_id = created(self._assembly, self._memory, job.request, intention, preconditions)
        job.listener(MultipartUploadCreated(upload_id, None))
        try:
            parts = self._send(first)
            self._committing = True
            answer = self._assembly.commit(parts, preconditions)
        except OcihaulError as error:
            raise self._failed(error) from error
        except BaseException as error:
            self._give_up(error)
            raise
        try:
            return self._assembly.result(parts, answer)
        except ChecksumError:  # nothing to go on with
            self._memory.forget()
            raise

    def _send(self, first: Piece) -> list[SentPart]:
        begun: list[Piece] = [first]

        def supply() -> Piece | None:
            try:
                return begun.pop()  # atomic
            except IndexError:
                return self._intake.part()

        workers = PartWorkers(
            supply,
            self._job.sender,
            self._assembly.add,
            record=self._memory.record,
            parallel=self._job.request.parallel,
            stop=self._job.stop,
            pace=self._job.pace,
            resumable=False,
        )
        done = workers.run()
        return [done[number] for number in sorted(done)]

    def _failed(self, error: OcihaulError) -> OcihaulError:
        upload_id, name = self._assembly.upload_id, self._job.request.name
        left = self._give_up(error)
        hint = (_AGAIN, left) if left else (_AGAIN,)
        if left and self._committing:  # an upload that cannot be aborted may be an object by now
            return UploadStopped(
                f"it is not known whether {name!r} was stored: its commit was not answered",
                upload_id=upload_id,
                resumable=False,
                hint=(f"Look with: ocihaul os object head --name {name}", left),
            )
        if isinstance(error, Interrupted):
            return Interrupted(f"interrupted; nothing was stored as {name!r}", hint=hint)
        return UploadStopped(
            f"nothing was stored as {name!r}: the upload of the stream failed",
            upload_id=upload_id,
            resumable=False,
            hint=hint,
        )

    def _give_up(self, error: BaseException) -> str | None:
        """Abort the upload; what to tell people when it is left at the service."""
        stopped = self._job.stop.is_set()
        trouble = "the session is over"
        # Without a session there is nothing to sign an abort with, and asking might wait for one.
        if self._assembly.outlives or not isinstance(error, SessionError):
            try:
                self._assembly.abort_soon(_LAST_WORD_WHEN_STOPPED if stopped else _LAST_WORD)
            except OcihaulError as error_:
                trouble = error_.message
            else:
                self._memory.forget()
                return None
        return (
            f"Upload {self._assembly.upload_id} is left at the service ({trouble}). "
            f"Drop it with: {self._assembly.how_to_abort()}"
        )
