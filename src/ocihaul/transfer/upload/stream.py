"""Upload a stream: cut it, send it, and leave nothing behind when that fails.

A stream cannot be read twice, so its upload cannot be resumed: it is aborted. Where even that is
impossible (kill -9), the journal knows the upload, and the next run aborts it.
"""

import contextlib
import threading

from ocihaul.errors import (
    ChecksumError,
    OcihaulError,
    SessionError,
    TransferCancelled,
    UploadIncompleteError,
    UsageError,
)
from ocihaul.events import MultipartUploadCreated, Notice, UploadPlanned
from ocihaul.storage.calls import Headers
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.database import STREAM
from ocihaul.transfer.plan import StreamPlan, plan_stream
from ocihaul.transfer.receipt import check_place
from ocihaul.transfer.source import Piece
from ocihaul.transfer.upload.context import RemoteObject, UploadContext, UploadParameters
from ocihaul.transfer.upload.incomplete import head_call
from ocihaul.transfer.upload.multipart import create_recorded, multipart_session
from ocihaul.transfer.upload.part_uploader import PartUploader
from ocihaul.transfer.upload.request import (
    Stream,
    UploadRequest,
    UploadResult,
    requested_algorithm,
)
from ocihaul.transfer.upload.resume import (
    created_by_earlier_run,
    discard,
    discard_orphan,
    intention_of,
    is_orphaned_stream,
)
from ocihaul.transfer.upload.single_put import put_single
from ocihaul.transfer.upload.state import SourceInfo, UploadState, exclusive, finalize
from ocihaul.transfer.upload.stream_reader import (
    Spool,
    StreamChecks,
    StreamReader,
    check_directory,
    default_directory,
)

#: How long the abort of a failed upload may take, seconds; shorter when the caller cancelled it.
_ABORT_SECONDS = 30.0
_ABORT_SECONDS_WHEN_CANCELLED = 3.0

_AGAIN = "A stream cannot be read twice: run the whole pipeline again."


def upload_stream(call: UploadParameters, stream: Stream) -> UploadResult:
    """Upload `stream` to its end; parameters and errors are those of `upload`.

    Whether the object may be written is settled before the stream is read. One part or less goes
    up as one PutObject.
    """
    request, stop = call.request, call.stop
    plan = _plan(request)
    if request.receipt is not None:
        check_place(request.receipt, None)
    if call.before is not None:
        call.before(request.expected_size)
    with contextlib.ExitStack() as held:
        state = call.load_state()
        held.enter_context(exclusive(state, wait=request.wait, stop=stop))
        _discard_earlier(call, state)
        preconditions = RemoteObject(call.storage, request).preconditions(call.confirm)
        _announce(call, plan)
        abandoned = threading.Event()
        spool = Spool(
            request.memory_limit,
            request.spool_dir or default_directory(),
            gone=lambda: stop.is_set() or abandoned.is_set(),
        )
        held.enter_context(spool)
        checks = StreamChecks(request, plan)
        reader = StreamReader(stream, plan, spool, checks, stop=stop, abandoned=abandoned)
        first, whole = reader.first_part()
        context = call.context(
            declared=requested_algorithm(request) if whole else request.checksum_algorithm,
            abandoned=abandoned,
        )
        if whole:
            result = put_single(context, first.source, first.length, preconditions)
        else:
            result = _StreamUpload(context, reader, state).run(first, preconditions)
        part_size = max(part.size for part in result.parts)
        return finalize(context, state, SourceInfo(None, None, part_size), result)


def _plan(request: UploadRequest) -> StreamPlan:
    """How to cut the stream. Raises UsageError, SpoolError."""
    plan = plan_stream(
        part_size=request.part_size, expected_size=request.expected_size, limits=request.limits
    )
    if not request.multipart:
        raise UsageError(
            "`multipart=False`: not for a stream (its length is not known)",
            hint="Leave it out; a short stream is sent in one piece anyhow.",
        )
    if request.spool_dir is not None:
        check_directory(request.spool_dir)
    return plan


def _announce(call: UploadParameters, plan: StreamPlan) -> None:
    request = call.request
    call.listener(
        UploadPlanned(
            name=request.name,
            size=request.expected_size,
            part_size=plan.part_size(1),
            part_count=None,
            parallel=request.parallel,
            multipart=True,
        )
    )
    if request.part_size is not None and request.expected_size is None:
        call.listener(Notice(f"The stream may not be longer: {plan.limit_text}."))


def _discard_earlier(call: UploadParameters, state: UploadState) -> None:
    """Abort the upload of an earlier stream; that of a file only if the caller says so."""
    request, entry = call.request, state.load()
    if entry is None:
        orphan = created_by_earlier_run(state, request)
        if orphan is not None and (request.restart or orphan[0].source == STREAM):
            discard_orphan(state, orphan[1], call.storage)
        return
    if not (request.restart or is_orphaned_stream(state, entry)):
        raise UsageError(
            f"upload {entry.upload_id} of {entry.source} to this object is not complete",
            hint="Finish it, or pass `restart` to drop it.",
        )
    discard(state, entry, call.storage)


class _StreamUpload:
    """One multipart upload of a stream."""

    def __init__(self, context: UploadContext, reader: StreamReader, state: UploadState) -> None:
        self._context = context
        self._reader = reader
        self._state = state
        self._session = multipart_session(context, state, size=None)
        self._committing = False

    def run(self, first: Piece, preconditions: Headers) -> UploadResult:
        """Upload all parts and commit.

        Raises UploadIncompleteError, TransferCancelled: nothing was stored then.
        """
        context = self._context
        intention = intention_of(
            context.request, None, part_size=0, algorithm=context.integrity.declared
        )
        upload_id = create_recorded(self._session, context, self._state, intention, preconditions)
        context.listener(MultipartUploadCreated(upload_id, None))
        try:
            parts = self._upload(first)
            self._committing = True
            answer = self._session.commit(parts, preconditions)
        except OcihaulError as error:
            raise self._failed(error) from error
        except BaseException as error:
            self._abort(error)
            raise
        try:
            return self._session.result(parts, answer)
        except ChecksumError:  # nothing to resume
            self._state.forget()
            raise

    def _upload(self, first: Piece) -> list[SentPart]:
        begun: list[Piece] = [first]

        def next_piece() -> Piece | None:
            try:
                return begun.pop()  # atomic
            except IndexError:
                return self._reader.next_part()

        uploader = PartUploader(
            self._context, self._session.part_request(), record=self._state.record
        )
        parallel = self._context.request.parallel
        done = uploader.run(next_piece, parallel=parallel, resumable=False)
        return [done[number] for number in sorted(done)]

    def _failed(self, error: OcihaulError) -> OcihaulError:
        upload_id, name = self._session.upload_id, self._context.request.name
        left = self._abort(error)
        hint = (_AGAIN, left) if left else (_AGAIN,)
        if left and self._committing:  # an upload that cannot be aborted may be an object by now
            return UploadIncompleteError(
                f"it is not known whether {name!r} was stored: its commit was not answered",
                upload_id=upload_id,
                resumable=False,
                hint=(f"Look with: {head_call(self._context.request)}", left),
            )
        if isinstance(error, TransferCancelled):
            return TransferCancelled(f"interrupted; nothing was stored as {name!r}", hint=hint)
        return UploadIncompleteError(
            f"nothing was stored as {name!r}: the upload of the stream failed",
            upload_id=upload_id,
            resumable=False,
            hint=hint,
        )

    def _abort(self, error: BaseException) -> str | None:
        """Abort the upload; return the hint for one that is left at the service."""
        cancelled = self._context.stop.is_set()
        trouble = "the session has expired"
        # Without a session the abort cannot be signed, and might wait for a login.
        if self._session.survives_session or not isinstance(error, SessionError):
            try:
                self._session.abort_with_deadline(
                    _ABORT_SECONDS_WHEN_CANCELLED if cancelled else _ABORT_SECONDS
                )
            except OcihaulError as error_:
                trouble = error_.message
            else:
                self._state.forget()
                return None
        return (
            f"Upload {self._session.upload_id} is left at the service ({trouble}). "
            f"Drop it with: {self._session.abort_hint()}"
        )
