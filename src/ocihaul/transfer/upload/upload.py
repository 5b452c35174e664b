"""Upload one file or stream to one object: look, send, commit, compare."""

import contextlib
import threading
from collections.abc import Callable

from ocihaul.errors import SourceError
from ocihaul.events import Listener, Notice, UploadFinished, UploadPlanned, audience, ignore
from ocihaul.storage.client import StorageClient
from ocihaul.transfer.journal.database import Entry
from ocihaul.transfer.journal.journal import Journal
from ocihaul.transfer.monitor import TransferMonitor
from ocihaul.transfer.plan import Plan, plan_upload
from ocihaul.transfer.receipt import check_place
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.upload.context import (
    PartExecutor,
    UploadContext,
    UploadParameters,
    verify_expected_checksums,
)
from ocihaul.transfer.upload.incomplete import IncompleteUploadIndex
from ocihaul.transfer.upload.multipart import MultipartUpload, multipart_session
from ocihaul.transfer.upload.request import (
    Confirm,
    UploadRequest,
    UploadResult,
    requested_algorithm,
)
from ocihaul.transfer.upload.resume import find_resumable, import_upload
from ocihaul.transfer.upload.single_put import put_single
from ocihaul.transfer.upload.state import (
    SourceInfo,
    UploadState,
    already_finished,
    exclusive,
    finalize,
)
from ocihaul.transfer.upload.stream import upload_stream


def upload(
    storage: StorageClient,
    request: UploadRequest,
    *,
    listener: Listener = ignore,
    confirm: Confirm | None = None,
    stop: threading.Event | None = None,
    before: Callable[[int | None], None] | None = None,
    journal: Journal | None = None,
    monitor: TransferMonitor | None = None,
    incomplete: IncompleteUploadIndex | None = None,
    executor: PartExecutor | None = None,
) -> UploadResult:
    """Upload `request.source` or `request.stream`; the object appears only when all is there.

    With a `journal`, an upload that an earlier run left incomplete is resumed. `confirm` is asked
    before an existing object is replaced (`IfExists.ASK`); without it the answer is no. `stop` is
    the event that the storage client was made with. `before` is called with the size, as far as it
    is known, before anything is sent, and may raise. A `monitor` hears the storage client's events
    already; without one, an adaptive upload is watched by one of its own. `incomplete` is shared
    by the uploads of one run, so that a bucket's incomplete uploads are listed once. `executor` are
    other machines that send the parts of a file; the rest is done here.

    Raises UsageError and SourceError before anything is sent; ObjectExistsError; ServiceError,
    NetworkError, SessionError; SourceChangedError; UploadIncompleteError when parts are left on the
    service; ChecksumError; TransferInProgressError; JournalError; SpoolError; TransferCancelled;
    ReceiptError when everything is stored and the receipt's file cannot be written.
    """
    stop = stop or threading.Event()
    if monitor is None:
        monitor = TransferMonitor(adaptive=request.adaptive)
        if request.adaptive:
            listener = audience(listener, monitor)
            storage = storage.scoped(listener, stop)
    call = UploadParameters(
        storage=storage,
        request=request,
        listener=listener,
        stop=stop,
        confirm=confirm,
        before=before,
        journal=journal,
        monitor=monitor,
        incomplete=incomplete,
        executor=executor,
    )
    result = _upload_file(call) if request.stream is None else upload_stream(call, request.stream)
    listener(UploadFinished(request.name, result.size, result.seconds, result.bytes_sent))
    return result


def _upload_file(call: UploadParameters) -> UploadResult:
    request = call.request
    with FileSource(request.source) as source, contextlib.ExitStack() as held:
        plan = plan_upload(
            source.size,
            part_size=None if request.upload_id else request.part_size,
            multipart=request.multipart,
            parallel=request.parallel,
            limits=request.limits,
        )
        _check_source(request, source)
        if plan.multipart and call.executor is not None:
            call.executor.check_file(request.source)
        if call.before is not None:
            call.before(plan.size)
        state = call.load_state()
        entry = None
        # What was begun in parts is resumed in parts, although it would be one PutObject now.
        begun = request.multipart and state.has_earlier_run()
        if plan.multipart or begun or request.upload_id is not None:
            held.enter_context(exclusive(state, wait=request.wait, stop=call.stop))
            entry = _entry_to_resume(call, state, source)
        if entry is not None:  # in the part size that it was begun with
            plan = Plan(plan.size, entry.part_size, multipart=True)
        context = call.context(
            declared=entry.algorithm if entry is not None else requested_algorithm(request)
        )
        info = SourceInfo(str(source.path.absolute()), source.identity, plan.part_size)
        finished = already_finished(context, state, info)
        if finished is not None:
            return finished
        result = _send(context, source, plan, state, call.confirm)
        return finalize(context, state, info, result)


def _check_source(request: UploadRequest, source: FileSource) -> None:
    """Raise for what can be wrong before a byte is sent: SourceError, UsageError."""
    if request.expected_size not in {None, source.size}:
        raise SourceError(
            f"{source.path} has {source.size} bytes, not {request.expected_size} as expected",
            hint="Nothing was sent: find out which of the two is right.",
        )
    if request.receipt is not None:
        check_place(request.receipt, request.source)


def _entry_to_resume(
    call: UploadParameters, state: UploadState, source: FileSource
) -> Entry | None:
    request = call.request
    entry = find_resumable(state, request, source, call.storage, call.stop)
    if entry is None and request.upload_id is not None:
        entry = import_upload(state, request, source, call.storage, call.stop)
    return entry


def _send(
    context: UploadContext,
    source: FileSource,
    plan: Plan,
    state: UploadState,
    confirm: Confirm | None,
) -> UploadResult:
    request = context.request
    multipart = None
    if plan.multipart:
        # The first connection carries requests while the others shake hands.
        ahead = min(request.parallel, plan.part_count) - 1
        context.storage.open_ahead(request.namespace, 0 if request.adaptive else ahead)
        session = multipart_session(context, state, size=source.size)
        multipart = MultipartUpload(context, session, source, plan, state)
        # An imported upload is still there: it was not committed.
        if not state.imported and (committed := multipart.find_committed()) is not None:
            context.listener(Notice("The earlier run had finished; only its answer was lost."))
            return committed
    preconditions = context.remote.preconditions(confirm)
    context.listener(
        UploadPlanned(
            name=request.name,
            size=plan.size,
            part_size=plan.part_size,
            part_count=plan.part_count,
            parallel=min(request.parallel, plan.part_count),
            multipart=plan.multipart,
        )
    )
    if multipart is None:
        return put_single(context, source, plan.size, preconditions)
    verify_expected_checksums(request, source, context.stop)
    return multipart.run(preconditions)
