"""What earlier runs have left: incomplete multipart uploads, and the PARs of some of them.

One of an object that is about to be uploaded may be ours, without the journal knowing its id: its
run was killed between the creation and the note of it. The journal has the intention then. All
others are named and left alone: another machine may be using one, and what it was created with is
not known.

A PAR is kept on disk for the next run. The file is a secret: it is private before anything is
written into it, and removed with the upload. It is written before the PAR is made: whenever a run
is killed, the next one finds the PAR by its unique name, and deletes it.
"""

import contextlib
import json
import os
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ocihaul.documents import TOO_LARGE, is_utf8, read_object, read_text
from ocihaul.errors import JournalError, OcihaulError, ServiceError, UsageError
from ocihaul.events import Listener, Notice, ignore
from ocihaul.filesystem import sync_file
from ocihaul.redaction import hold_access_uri
from ocihaul.storage.client import StorageClient
from ocihaul.storage.names import epoch, is_url_path
from ocihaul.storage.values import UploadSummary
from ocihaul.transfer.journal.database import Intention, narrow
from ocihaul.transfer.journal.journal import Entry, Journal, Target
from ocihaul.transfer.upload.request import UploadRequest

#: How long a PAR is valid at least, seconds.
_LEAST = 24 * 3600.0
#: And at most, seconds: ten years.
_MOST = 3650 * 24 * 3600.0
#: The rate to assume where none is given, bytes per second: slower lines are rare.
_SLOW = 2.0**20
#: Factor for pauses and retries.
_MARGIN = 2.0
#: The length of a stream is not known: its PAR is valid for a week, seconds.
_STREAM = 7 * 24 * 3600.0


def lifetime(size: int | None, rate: float | None) -> float:
    """Seconds that a PAR has to be valid for `size` bytes at `rate` bytes per second; pure."""
    if size is None:
        return _STREAM
    return min(max(_LEAST, _MARGIN * size / (rate or _SLOW)), _MOST)


@dataclass(frozen=True, slots=True)
class StoredPar:
    """A PAR and the upload that was begun through it. `expires_at` is epoch seconds.

    What is not known yet is empty: the PAR is about to be made, or its upload to be begun. Its
    `name` is unique.
    """

    par_id: str
    expires_at: float
    upload_id: str
    access_uri: str = field(repr=False)
    name: str = ""

    def __post_init__(self) -> None:
        if not _are_sound(self.expires_at, self.par_id, self.upload_id, self.access_uri, self.name):
            raise TypeError("not the values of a PAR")
        if self.access_uri and not is_url_path(self.access_uri):
            raise TypeError("not the path of a URL")
        hold_access_uri(self.access_uri)


def _are_sound(moment: object, *texts: object) -> bool:
    """Whether these are a time and texts, as far as they may come from a file."""
    is_time = isinstance(moment, int | float) and 0 <= moment < TOO_LARGE
    return is_time and all(isinstance(text, str) and is_utf8(text) for text in texts)


class ParStore:
    """The file that keeps one PAR; without a `path` it is kept in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._par: StoredPar | None = None

    def save(self, par: StoredPar) -> None:
        """Keep it. Raises JournalError when it cannot be written."""
        self._par = par
        if self._path is None:
            return
        temporary = self._path.with_suffix(".new")
        try:
            temporary.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(temporary, flags, 0o600), "w") as file:
                json.dump(asdict(par), file)
                file.flush()
                sync_file(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise JournalError(
                f"{self._path} cannot be written: {error.strerror}",
                hint="Check the space and the rights there, or set OCIHAUL_STATE_DIR.",
            ) from error

    def load(self) -> StoredPar | None:
        """The PAR of an earlier run; None where there is none that can be read."""
        if self._par is None and self._path is not None:
            narrow(self._path)
            with contextlib.suppress(OSError, ValueError, TypeError):
                self._par = StoredPar(**read_object(read_text(self._path)))
        return self._par

    def remove(self) -> None:
        """Forget the PAR, and remove the file."""
        self._par = None
        if self._path is not None:
            with contextlib.suppress(OSError):  # it is worthless without its PAR
                self._path.unlink(missing_ok=True)


def par_store_of(journal: Journal | None, target: Target) -> ParStore:
    """The store for the PAR of this target, beside the journal; without one in memory."""
    return ParStore(journal.private_file(target, "par") if journal is not None else None)


def end_par(store: ParStore, storage: StorageClient, target: Target, listener: Listener) -> None:
    """Delete the stored PAR, if there is one; where that fails, tell the listener how."""
    par = store.load()
    if par is None:
        return
    ids = [par.par_id] if par.par_id else []
    try:
        ids += _others(par, storage, target)
    except OcihaulError:
        if not ids:
            return  # a later run may be able to look
    for par_id in ids:
        try:
            storage.delete_preauthenticated_request(target.namespace, target.bucket, par_id)
        except OcihaulError as error:
            if not (isinstance(error, ServiceError) and error.status == 404):
                listener(Notice(how_to_end(target, par_id)))
    store.remove()


def how_to_end(target: Target, par_id: str) -> str:
    """The notice of a PAR that could not be deleted."""
    call = call_of(
        "delete_preauthenticated_request",
        namespace=target.namespace,
        bucket=target.bucket,
        par_id=par_id,
    )
    return f"The pre-authenticated request of this upload is left. Delete it with: {call}"


def _others(par: StoredPar, storage: StorageClient, target: Target) -> list[str]:
    """PARs of the same name: a creation whose reply was lost has made one, with an unknown id."""
    listed = storage.list_preauthenticated_requests(
        target.namespace, target.bucket, object_name_prefix=target.object
    )
    return [
        each.par_id
        for each in listed
        if par.name and each.name == par.name and each.par_id != par.par_id
    ]


#: How much later our clock may be than the service's, seconds: it takes no request that is off by
#: more (https://docs.oracle.com/iaas/Content/API/Concepts/signingrequests.htm).
_SLACK = 300.0
#: So many are named; the rest is counted.
_NAMED = 3


class IncompleteUploadIndex:
    """The incomplete uploads of one service; it lists each bucket once. Thread-safe."""

    def __init__(self, storage: StorageClient) -> None:
        self._storage = storage
        self._lock = threading.Lock()  # guards all below
        self._by_name: dict[tuple[str, str], dict[str, list[UploadSummary]]] = {}
        self._ended: set[str] = set()

    def of(self, request: UploadRequest) -> list[UploadSummary]:
        """Those of the object of this request; none where they may not be listed.

        Raises SessionError, NetworkError, and ServiceError when the service is in trouble: taken
        for an empty list, that would begin anew and leave behind what was there.
        """
        with self._lock:
            bucket = (request.namespace, request.bucket)
            if bucket not in self._by_name:
                self._by_name[bucket] = self._listed(*bucket)
            found = self._by_name[bucket].get(request.name, ())
            return [each for each in found if each.upload_id not in self._ended]

    def new(self, request: UploadRequest, known: Collection[str]) -> list[UploadSummary]:
        """List the bucket again; return those of the object whose ids are not `known`.

        That is for the caller to say: the list may be younger than its own look, as another object
        of the directory has had it made again.
        """
        with self._lock:
            self._by_name.pop((request.namespace, request.bucket), None)
        return [each for each in self.of(request) if each.upload_id not in known]

    def end(self, upload_id: str) -> None:
        """Note that this one is committed or aborted."""
        with self._lock:
            self._ended.add(upload_id)

    def _listed(self, namespace: str, bucket: str) -> dict[str, list[UploadSummary]]:
        by_name: dict[str, list[UploadSummary]] = {}
        try:
            for each in self._storage.list_multipart_uploads(namespace, bucket):
                by_name.setdefault(each.name, []).append(each)
        except ServiceError as error:
            if error.status == 429 or error.status >= 500:
                raise
            # A credential that may write objects need not be allowed to list uploads.
        return by_name


def created_by(intention: Intention, found: Iterable[UploadSummary]) -> UploadSummary | None:
    """The upload that the run with this intention created, if it can be only one; pure."""
    since = [each for each in found if _time(each) >= intention.begun_at - _SLACK]
    return since[0] if len(since) == 1 else None


def notices_of_others(found: Sequence[UploadSummary], request: UploadRequest) -> list[Notice]:
    """Notices of uploads of this object that the journal does not know; pure."""
    notices = [
        Notice(
            f"Upload {each.upload_id} of {request.name!r}, begun {each.time_created}, is "
            f"incomplete and not in the journal: it is left alone. {_choices(request, each)}"
        )
        for each in found[:_NAMED]
    ]
    more = len(found) - len(notices)
    if more:
        listed = call_of("list_incomplete_uploads", bucket=request.bucket)
        notices.append(Notice(f"There are {more} more of them: {listed}"))
    return notices


def _choices(request: UploadRequest, upload: UploadSummary) -> str:
    drop = abort_call(request, upload.upload_id)
    if request.stream is not None:
        return f"Drop it: {drop}"
    return f"Resume it: {resume_call(request, upload.upload_id)} or drop it: {drop}"


def call_of(method: str, **arguments: object) -> str:
    """A call of the library as a text names it; `cli/error_text.py` makes a command of it.

    Methods of a client and `StorageClient`'s operations are named.
    """
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"`{method}({given})`"


def resume_call(request: UploadRequest, upload_id: str, *, part_size: int | None = None) -> str:
    """The call that resumes an upload that the journal does not know; `part_size` is bytes."""
    more = {} if part_size is None else {"part_size": part_size}
    where = {"source": str(request.source), "upload_id": upload_id}
    return call_of("upload", **_object_of(request), **where, **more)


def head_call(request: UploadRequest) -> str:
    """The call that tells whether the object is there."""
    return call_of("head_object", **_object_of(request))


def abort_call(request: UploadRequest, upload_id: str) -> str:
    """The call that aborts an upload by hand."""
    return call_of("abort_multipart_upload", **_object_of(request), upload_id=upload_id)


def _object_of(request: UploadRequest) -> dict[str, str]:
    return {"namespace": request.namespace, "bucket": request.bucket, "name": request.name}


def _time(summary: UploadSummary) -> float:
    try:
        return epoch(summary.time_created)
    except ValueError:
        return 0.0  # a time that cannot be read proves nothing


#: A bucket: namespace and name.
Bucket = tuple[str, str]


@dataclass(frozen=True, slots=True)
class IncompleteUpload:
    """One incomplete upload. `size` is bytes of finished parts, `begun` epoch seconds.

    `source` is the file of an upload of the journal, None for any other. `on_server` is None where
    the service was not asked. `busy`: a process on this machine is at it.
    """

    target: Target
    upload_id: str
    begun: float
    parts: int
    size: int
    source: str | None
    on_server: bool | None
    busy: bool

    def age(self, now: float) -> float:
        """Seconds since it was begun."""
        return max(now - self.begun, 0.0)


def list_in_journal(journal: Journal) -> list[IncompleteUpload]:
    """Those of the journal, oldest first, without asking the service."""
    return [_of_journal(journal, entry) for entry in journal.entries()]


def known_buckets(journal: Journal, storage: StorageClient) -> list[Bucket]:
    """The buckets of the journal's uploads, as far as they are where `storage` works."""
    targets = (entry.target for entry in journal.entries())
    here = (each for each in targets if storage.base_url(each.namespace) == each.endpoint)
    return list(dict.fromkeys((each.namespace, each.bucket) for each in here))


def list_all(
    journal: Journal, storage: StorageClient, buckets: Collection[Bucket]
) -> list[IncompleteUpload]:
    """Those of the journal and those of the service in `buckets`, each once, oldest first.

    Sizes are the service's where it has the upload. Raises ServiceError, NetworkError,
    SessionError.
    """
    mine = {each.upload_id: each for each in list_in_journal(journal)}
    found = []
    for namespace, bucket in buckets:
        for summary in storage.list_multipart_uploads(namespace, bucket):
            known = mine.pop(summary.upload_id, None)
            found.append(_of_service(journal, storage, summary, (namespace, bucket), known))
    for each in mine.values():
        asked = (each.target.namespace, each.target.bucket) in buckets
        here = storage.base_url(each.target.namespace) == each.target.endpoint
        found.append(replace(each, on_server=False if asked and here else None))
    return sorted(found, key=lambda each: each.begun)


def abort(
    upload: IncompleteUpload,
    journal: Journal,
    storage: StorageClient,
    listener: Listener = ignore,
) -> None:
    """Abort it with its parts and its PAR, at the service and in the journal.

    Raises TransferInProgressError when a process on this machine is at it, UsageError when it is at
    another endpoint, ServiceError.
    """
    target = upload.target
    if storage.base_url(target.namespace) != target.endpoint:
        raise UsageError(
            f"upload {upload.upload_id} is at {target.endpoint}, "
            f"not at {storage.base_url(target.namespace)}",
            hint="Pass its `region` or `endpoint`.",
        )
    with journal.claim(target, wait=0):
        try:
            storage.abort_multipart_upload(
                target.namespace, target.bucket, target.object, upload_id=upload.upload_id
            )
        except ServiceError as error:
            if error.status != 404:  # committed or aborted meanwhile
                raise
        if _stored_par(upload, journal) is not None:
            end_par(par_store_of(journal, target), storage, target, listener)
        _forget(upload, journal)


def forget(upload: IncompleteUpload, journal: Journal, listener: Listener = ignore) -> None:
    """Remove it from the journal alone; the listener is told of a PAR that it has.

    Raises TransferInProgressError.
    """
    with journal.claim(upload.target, wait=0):
        if (par := _stored_par(upload, journal)) is not None:
            listener(Notice(how_to_end(upload.target, par.par_id)))
            par_store_of(journal, upload.target).remove()
        _forget(upload, journal)


def _stored_par(upload: IncompleteUpload, journal: Journal) -> StoredPar | None:
    """The PAR that this upload goes through, as far as it is known here."""
    par = par_store_of(journal, upload.target).load()
    return par if par is not None and par.upload_id == upload.upload_id else None


def _forget(upload: IncompleteUpload, journal: Journal) -> None:
    entry = journal.find(upload.target)
    if entry is not None and entry.upload_id == upload.upload_id:
        journal.forget(entry)


def _of_journal(journal: Journal, entry: Entry) -> IncompleteUpload:
    parts, size = journal.progress(entry)
    return IncompleteUpload(
        target=entry.target,
        upload_id=entry.upload_id,
        begun=entry.created_at,
        parts=parts,
        size=size,
        source=entry.source,
        on_server=None,
        busy=journal.is_claimed(entry.target),
    )


def _of_service(
    journal: Journal,
    storage: StorageClient,
    summary: UploadSummary,
    where: Bucket,
    known: IncompleteUpload | None,
) -> IncompleteUpload:
    target = Target(storage.base_url(where[0]), *where, summary.name)
    try:
        listed = list(
            storage.list_multipart_upload_parts(*where, summary.name, upload_id=summary.upload_id)
        )
    except ServiceError as error:
        if error.status != 404:  # finished while the list was made
            raise
        listed = []
    return IncompleteUpload(
        target=target,
        upload_id=summary.upload_id,
        begun=epoch(summary.time_created),
        parts=len(listed),
        size=sum(part.size for part in listed),
        source=known.source if known is not None else None,
        on_server=True,
        busy=journal.is_claimed(target),
    )
