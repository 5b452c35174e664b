"""The executor of one call: a session that is shared for its time, and the jobs on the workers."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ocihaul import __version__
from ocihaul.cluster.files import Batches, FetchFilesJob, SendFilesJob
from ocihaul.cluster.jobs import Job, ServiceAccess
from ocihaul.cluster.parts import FetchRanges, FetchRangesJob, SeesFile, SendParts, SendPartsJob
from ocihaul.cluster.tasks import Scheduler, Tasks, new_id
from ocihaul.cluster.workers import FileProof, proved
from ocihaul.config import Settings
from ocihaul.directories.request import (
    EVERYTHING,
    DirectoryDownload,
    DirectoryUpload,
)
from ocihaul.directories.request import (
    Request as DirectoryRequest,
)
from ocihaul.directories.shards import WHOLE
from ocihaul.directories.workers import FailurePolicy, FetchObject, FileTasks, Outcome, SendFile
from ocihaul.errors import SourceError, UsageError
from ocihaul.events import Listener
from ocihaul.integrations.dask import share
from ocihaul.resources import CallScope
from ocihaul.session.session import Session
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.download.context import RangeTasks, RemoteDownload
from ocihaul.transfer.download.local_file import FinishedRange
from ocihaul.transfer.download.request import DownloadRequest
from ocihaul.transfer.upload.context import PartTasks, RemoteUpload
from ocihaul.transfer.upload.request import UploadRequest

if TYPE_CHECKING:
    import distributed

#: How long a cluster may be without a worker, seconds.
PATIENCE = 600.0


@dataclass(frozen=True, slots=True)
class ClusterExecutor:
    """Sends and fetches by the workers of a cluster; for uploads, downloads and directories.

    Unless it is `eager`, workers are not asked about each large file before its first part.
    """

    cluster: "distributed.Client"
    service: ServiceAccess
    call: CallScope
    eager: bool = True
    patience: float = PATIENCE
    same_version: set[str] = field(default_factory=set)

    @property
    def slots(self) -> int:
        """How many parts of large files may be under way: two for each thread of the workers.

        Raises SchedulerLost, TransferCancelled.
        """
        scheduler = Scheduler(self.cluster, self.call.stop)
        there = scheduler.ask(lambda: self.cluster.scheduler_info(n_workers=-1))["workers"]
        return min(max(2 * sum(int(each["nthreads"]) for each in there.values()), 1), 1000)

    @contextmanager
    def sending(
        self,
        request: DirectoryUpload,
        note: Callable[[SendFile, Outcome], None],
        here: Callable[[SendFile], None],
        *,
        trouble: FailurePolicy,
        listener: Listener,
    ) -> Iterator[FileTasks[SendFile]]:
        """Files of a directory that all of them see."""
        # Which files belong to the work is decided here.
        request = replace(request, local_filter=EVERYTHING, remote_filter=EVERYTHING, shard=WHOLE)
        job = SendFilesJob(new_id(), __version__, self.service, request)
        batches: Batches[SendFile] = Batches(note, here)
        with self._tasks(job, batches.handle, check=trouble.check, listener=listener) as tasks:
            batches.attach(tasks)
            yield batches
            batches.flush()

    @contextmanager
    def fetching(
        self,
        request: DirectoryDownload,
        note: Callable[[FetchObject, Outcome], None],
        here: Callable[[FetchObject], None],
        *,
        trouble: FailurePolicy,
        listener: Listener,
    ) -> Iterator[FileTasks[FetchObject]]:
        """Objects to a directory that all of them see."""
        request = replace(request, filter=EVERYTHING, shard=WHOLE)
        batches: Batches[FetchObject] = Batches(note, here)
        with proved(request.root) as proof:
            job = FetchFilesJob(new_id(), __version__, self.service, request, proof)
            with self._tasks(job, batches.handle, check=trouble.check, listener=listener) as tasks:
                batches.attach(tasks)
                yield batches
                batches.flush()

    def check_file(self, path: Path) -> None:
        """Raise SourceError, which names each worker that does not see the same file."""
        if self.eager:
            with self._tasks(SeesFile(new_id(), __version__, _proof(path)), _nothing):
                return

    @contextmanager
    def sending_parts(
        self, upload: RemoteUpload, told: Callable[[int, SentPart, int], None]
    ) -> Iterator[PartTasks]:
        """Parts of a file that all of them see."""
        proof = _proof(upload.request.source)
        job = SendPartsJob(new_id(), __version__, self.service, upload, proof)
        parts = SendParts(told)
        with self._tasks(job, parts.handle, eager=False) as tasks:  # `check_file` has asked
            parts.attach(tasks)
            yield parts

    @contextmanager
    def fetching_ranges(
        self, remote: RemoteDownload, told: Callable[[int, FinishedRange, bool], None]
    ) -> Iterator[RangeTasks]:
        """Ranges of an object to a file that all of them see."""
        with proved(str(remote.target.parent)) as proof:
            job = FetchRangesJob(new_id(), __version__, self.service, remote, proof)
            ranges = FetchRanges(told)
            with self._tasks(job, ranges.handle, eager=self.eager) as tasks:
                ranges.attach(tasks)
                yield ranges

    def _tasks(
        self,
        job: Job,
        handle: Callable[..., None],
        *,
        check: Callable[[], None] | None = None,
        listener: Listener | None = None,
        eager: bool = True,
    ) -> AbstractContextManager[Tasks[Any]]:
        return Tasks(
            self.cluster,
            job,
            handle,
            stop=self.call.stop,
            listener=listener or self.call.listener,
            patience=self.patience,
            check=check,
            eager=eager,
            same_version=self.same_version,
        )


@contextmanager
def cluster_executor(
    cluster: "distributed.Client",
    settings: Settings,
    session: Session | None,
    call: CallScope,
    request: UploadRequest | DownloadRequest | DirectoryRequest,
    *,
    own_namespace: Callable[[], str],
    allow_plain_tcp: bool = False,
) -> Iterator[ClusterExecutor]:
    """Share the session with the workers for as long as the context lasts.

    `own_namespace` is asked where the request has none.
    Raises UsageError for what is no synchronous client of a cluster, where no session signs, and
    for plain tcp to another machine.
    """
    if not hasattr(cluster, "scheduler_info") or not hasattr(cluster, "submit"):
        raise UsageError(f"executor: {cluster!r:.100} (allowed: a distributed.Client)")
    if session is None:
        raise UsageError(
            f"auth: {settings.auth} cannot be used with Dask (allowed: security_token)",
            hint="Log in, and pass `auth='security_token'`; or start each worker with a "
            "principal of its own and use shards (docs/shards.md).",
        )
    name = f"transfer-{new_id()}"
    with share(cluster, session, name=name, allow_plain_tcp=allow_plain_tcp) as shared:
        service = ServiceAccess(
            session=shared,
            endpoint=call.storage.base_url(_namespace(request) or own_namespace()),
            plain_http=settings.plain_http,
            connection_timeout=settings.connection_timeout,
            read_timeout=settings.read_timeout,
            max_attempts=settings.max_attempts,
            unreachable=settings.unreachable,
            cert_bundle=None if settings.cert_bundle is None else str(settings.cert_bundle),
            bandwidth=settings.bandwidth,
        )
        one_object = isinstance(request, UploadRequest | DownloadRequest)
        yield ClusterExecutor(cluster, service, call, eager=one_object)


def _namespace(request: UploadRequest | DownloadRequest | DirectoryRequest) -> str:
    return request.each.namespace if isinstance(request, DirectoryUpload) else request.namespace


def _proof(source: Path) -> FileProof:
    path = str(source.absolute())
    try:
        return FileProof.of(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from error


def _nothing(payload: object, answer: object) -> None:
    """There are no tasks to hear of."""


def check_request(request: UploadRequest | DownloadRequest | DirectoryRequest) -> None:
    """Raise UsageError for what workers cannot do."""
    match request:
        case UploadRequest():
            _check_upload(request)
        case DownloadRequest():
            _refuse("sse_customer_key", request.sse_customer_key, _SECRET)
            _refuse("target", not isinstance(request.target, Path), "it is written in order")
        case DirectoryUpload():
            _check_upload(request.each)
        case DirectoryDownload():
            _refuse("sse_customer_key", request.sse_customer_key, _SECRET)
        case _:
            _refuse("executor", request, "a deletion moves nothing")


def _check_upload(request: UploadRequest) -> None:
    _refuse("sse_customer_key", request.sse_customer_key, _SECRET)
    _refuse(
        "outlive_session",
        request.outlive_session,
        "its address is a secret, and tasks are not kept secret",
    )
    _refuse("source", request.stream is not None, "a stream can be read by one machine only")


_SECRET = "it needs a secret, and what Dask's tasks hold is not kept secret"  # noqa: S105  a sentence


def _refuse(name: str, given: object, reason: str) -> None:
    if given:
        raise UsageError(
            f"`{name}` cannot be used with Dask: {reason}",
            hint="Run it without Dask; a directory can go by shards (docs/shards.md).",
        )
