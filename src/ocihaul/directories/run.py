"""One whole run over a directory: what to do, what to remember it by, what came of it.

`DirectoryContext` is what every command on directories has in hand: the service, the results, who
listens, the end.
"""

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path

from ocihaul.directories.checkpoint import DirectoryCheckpoint, Finished, open_checkpoint, run_key
from ocihaul.directories.listing import BucketIndex, odd_entry, size_of
from ocihaul.directories.names import printable
from ocihaul.directories.progress import DirectoryMeter
from ocihaul.directories.request import (
    ConfirmDeletion,
    ConfirmReplacement,
    DirectoryDelete,
    DirectoryDownload,
    DirectoryUpload,
    Request,
)
from ocihaul.directories.results import (
    DELETED,
    DOWNLOADED,
    EXTRA,
    FAILED,
    NOT_DELETED,
    SKIPPED,
    UPLOADED,
    Results,
)
from ocihaul.directories.workers import Crew, FailurePolicy, FileExecutor
from ocihaul.errors import JournalError, OcihaulError
from ocihaul.events import FileFailed, FileFinished, Listener, Notice, audience, ignore
from ocihaul.redaction import redact
from ocihaul.storage.client import StorageClient
from ocihaul.threads import Either
from ocihaul.transfer.journal.journal import Journal, state_directory
from ocihaul.transfer.monitor import AdaptiveConcurrency


@dataclass(slots=True)
class DirectoryContext:
    """One run over a directory. `stop` is the event that the storage client was made with, and
    hears of `interrupted`, which a KeyboardInterrupt sets.

    `checkpoint` remembers what is finished, `journal` the parts of large files; both may be None.
    `directory` is for lock files. `pace`, which has to hear the events, says how many work at a
    time; `small_only`: how many small files and objects do.
    `executor` are the machines that send and fetch (None: this one).
    Without `confirm` no question is asked. `odd_names` counts the entries of lists that have no
    usable name.
    """

    storage: StorageClient
    results: Results
    listener: Listener = ignore
    stop: threading.Event = field(default_factory=threading.Event)
    interrupted: threading.Event = field(default_factory=threading.Event)
    journal: Journal | None = None
    checkpoint: DirectoryCheckpoint | None = None
    confirm: ConfirmReplacement | None = None
    #: It has to hear the events, too.
    meter: DirectoryMeter = field(default_factory=DirectoryMeter)
    directory: Path = field(default_factory=state_directory)
    pace: AdaptiveConcurrency | None = None
    small_only: bool = False
    executor: FileExecutor | None = None
    trouble: FailurePolicy = field(init=False)
    odd_names: int = field(default=0, init=False)

    def crew(self, workers: int) -> Crew:
        """So many workers, or fewer with a pace, whose troubles are this run's."""
        at_first = workers if self.pace is None else min(workers, self.pace.first)
        self.trouble = FailurePolicy(max(at_first, 2), self.stop, self.interrupted)
        return Crew(workers, self.trouble, self.pace, small_only=self.small_only)

    def at_a_time(self, parallel: int) -> int:
        """How many files or parts are under way at most, here and on other machines."""
        return parallel if self.executor is None else max(parallel, self.executor.slots)

    def finished(
        self, kind: str, name: str, size: int, value: object = None, *, moved: int | None = None
    ) -> None:
        """A file or object is done; `moved` bytes of it in this run (None: all)."""
        self.results.add(kind, name, value)
        self.listener(FileFinished(name, size, moved, deleted=kind == DELETED))

    def skipped(self, name: str, size: int | None = 0) -> None:
        """It is to be left as it is."""
        self.results.add(SKIPPED, name)
        self.meter.unchanged(size or 0)

    def failed(self, name: str, error: OcihaulError, *, kind: str = FAILED) -> None:
        """It could not be done; the others go on."""
        text = f"{error.message}. {error.hint}" if error.hint else error.message
        self.results.add(kind, name, redact(text))
        self.listener(FileFailed(printable(name), error.message))

    def nameless(self, reason: str, *, kind: str = FAILED) -> None:
        """An entry of a list has no usable name: it is a failure of its own."""
        self.odd_names += 1
        name = f"(entry without a usable name: {self.odd_names})"
        self.meter.found()
        self.failed(name, odd_entry(reason), kind=kind)

    def remember(self, name: str, finished: Finished) -> None:
        """Note it for the next run; a checkpoint that fails costs the memory, not the work."""
        if self.checkpoint is None:
            return
        try:
            self.checkpoint.add(name, finished)
        except JournalError as error:
            self._forgets(error)

    def recalled(self, name: str) -> Finished | None:
        """What an earlier run has done with this name, as far as it can be told."""
        if self.checkpoint is None:
            return None
        try:
            return self.checkpoint.finished(name)
        except JournalError as error:
            self._forgets(error)
            return None

    def _forgets(self, error: JournalError) -> None:
        self.checkpoint = None
        self.listener(Notice(f"From here on nothing can be remembered: {error.message}."))

    def ended(self) -> None:
        """All has been tried; when all went well there is nothing to come back for."""
        if self.checkpoint is not None and not self.results.count(FAILED):
            try:
                self.checkpoint.forget()
            except JournalError as error:
                self.listener(Notice(f"What was remembered cannot be dropped: {error.message}."))


#: Failures whose reasons a result has; a directory may have millions.
MOST_FAILURES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryResult:
    """What became of a directory, as numbers of files and objects.

    `transferred` were uploaded or downloaded, by this run or by an interrupted one that it has
    resumed; `size` is their bytes. `skipped` are as they were to be. `failed` are all that
    failed; `failures` has the reasons of the first 1,000, by the object's name (where a file could
    not be deleted, by its path below the directory). After a dry run the numbers are what would
    be, and `size` is 0.
    """

    transferred: int
    skipped: int
    deleted: int
    failed: int
    size: int
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing failed."""
        return not self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks:
    """What a caller wants to have a say in.

    `confirm` is asked before a file or object is replaced, `confirm_deletion` before a prefix is
    deleted; without them the answers are none and yes. `before` is called with the bytes to
    transfer, None where no number of bytes says how long it takes; it may raise. `report` gets all
    results while they can be read (there may be more than memory holds), and their sum. With
    `count_ahead`, files and bytes are counted beside the work, so that progress has a fraction.
    """

    confirm: ConfirmReplacement | None = None
    confirm_deletion: ConfirmDeletion | None = None
    before: Callable[[int | None], None] | None = None
    report: "Callable[[Results, DirectoryResult], None] | None" = None
    count_ahead: bool = False


NO_HOOKS = Hooks()


def run(
    request: Request,
    storage: StorageClient,
    *,
    listener: Listener,
    stop: threading.Event,
    journal: Journal | None,
    pace: AdaptiveConcurrency | None,
    small_only: bool = False,
    hooks: Hooks = NO_HOOKS,
    executor: FileExecutor | None = None,
) -> DirectoryResult:
    """Do what is asked for; the results are in files meanwhile.

    `pace` says how many files go at a time, with `small_only` how many small ones do. `executor`
    are other machines that send and fetch; what is large is planned here.

    Raises what concerns all files: UsageError before anything is sent; SessionError, ServiceError,
    NetworkError, JournalError, TransferCancelled; LocalFileError for a directory that cannot be
    made; NothingToDelete.
    """
    meter = DirectoryMeter(listener)
    # The caller's event is not ours to set: a client goes on after an interrupt.
    interrupted = threading.Event()
    stop = Either(stop, interrupted)
    storage = storage.scoped(listener, stop)
    if not request.shard.is_whole:
        listener(Notice(request.shard.description()))
    if hooks.before is not None and not request.dry_run:
        hooks.before(_bytes_of(request, storage))
    with ExitStack() as opened:
        results = opened.enter_context(Results())
        key = _key(request, storage)
        work = DirectoryContext(
            storage,
            results,
            audience(listener, meter),
            stop,
            interrupted,
            journal=journal,
            checkpoint=opened.enter_context(open_checkpoint(key, listener)),
            confirm=hooks.confirm,
            pace=pace,
            small_only=small_only,
            meter=meter,
            executor=executor,
        )
        if hooks.count_ahead and not request.dry_run:
            from ocihaul.directories.progress import counting  # noqa: PLC0415  start-up time

            opened.enter_context(counting(request, storage, meter))
        match request:
            case DirectoryUpload():
                from ocihaul.directories.upload import upload_all  # noqa: PLC0415  start-up time

                upload_all(request, work)
            case DirectoryDownload():
                from ocihaul.directories.download import download_all  # noqa: PLC0415  as above

                download_all(request, work)
            case DirectoryDelete():
                from ocihaul.directories.delete import delete_all  # noqa: PLC0415  as above

                delete_all(request, work, confirm=hooks.confirm_deletion)
        meter.finish()
        result = _result(results, meter.transferred_bytes, dry=request.dry_run)
        if hooks.report is not None:
            hooks.report(results, result)
        return result


def in_namespace(request: Request, own: Callable[[], str]) -> Request:
    """The request, in the namespace that `own` gives where it has none."""
    match request:
        case DirectoryUpload():
            each = replace(request.each, namespace=request.each.namespace or own())
            return replace(request, each=each)
        case _:
            return replace(request, namespace=request.namespace or own())


def _key(request: Request, storage: StorageClient) -> str | None:
    """What an interrupted run is found by; None where what is new or different is seen anyway."""
    if request.dry_run:
        return None
    match request:
        case DirectoryUpload() if not request.mode.syncs:
            return _upload_key(request, storage.base_url(request.each.namespace))
        case DirectoryDownload() if not request.mode.syncs:
            return _download_key(request, storage.base_url(request.namespace))
        case _:
            return None


def _upload_key(request: DirectoryUpload, endpoint: str) -> str:
    """The name of this run in the checkpoint: everything that decides what an object is like."""
    each = request.each
    key = each.sse_customer_key
    return run_key(
        direction="up",
        endpoint=endpoint,
        root=os.path.realpath(request.root),
        where=[each.namespace, each.bucket, request.prefix],
        mode=request.mode.value,
        guess_types=request.guess_types,
        encryption=key.headers()["opc-sse-customer-key-sha256"] if key else each.kms_key_id,
        metadata=sorted(each.metadata.items()),
        headers=[
            *(each.content_type, each.content_language, each.content_encoding),
            *(each.content_disposition, each.cache_control, each.storage_tier),
        ],
        **request.shard.facts(),
    )


def _download_key(request: DirectoryDownload, endpoint: str) -> str:
    """The name of this run in the checkpoint."""
    return run_key(
        direction="down",
        endpoint=endpoint,
        root=os.path.realpath(request.root),
        where=[request.namespace, request.bucket, request.prefix],
        mode=request.mode.value,
        strip=request.strip_prefix,
        **request.shard.facts(),
    )


def _bytes_of(request: Request, storage: StorageClient) -> int | None:
    """How many bytes there are at most; None for a deletion, which moves none."""
    match request:
        case DirectoryUpload():
            links = request.follow_links
            return size_of(request.root, follow_links=links, wanted=request.wanted)
        case DirectoryDownload():
            bucket = BucketIndex(storage, request.namespace, request.bucket, request.prefix)
            return bucket.size(request.shard, delimiter=request.delimiter)
        case DirectoryDelete():
            return None


def _result(results: Results, size: int, *, dry: bool) -> DirectoryResult:
    failures = chain(results.items(FAILED), results.items(NOT_DELETED))
    return DirectoryResult(
        transferred=results.count(UPLOADED) + results.count(DOWNLOADED),
        skipped=results.count(SKIPPED),
        deleted=results.count(DELETED) + (results.count(EXTRA) if dry else 0),
        failed=results.count(FAILED) + results.count(NOT_DELETED),
        size=size,
        failures=dict(islice(failures, MOST_FAILURES)),
    )
