"""A multipart upload that goes on when the session has ended (`--outlive-session`).

While the session lives a PAR is made that may write this one object, and the upload is begun
through it. Its parts need no credential then. What is better done with one (commit with
preconditions, a look at the object, the end of the PAR) is tried with the session first.
"""

import contextlib
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from ocihaul.clock import local_time
from ocihaul.errors import (
    JournalError,
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionError,
    UsageError,
)
from ocihaul.events import Notice
from ocihaul.storage.client import StorageClient
from ocihaul.storage.preauthenticated import OpenUpload, PreauthenticatedUploads
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal.journal import Target
from ocihaul.transfer.upload.context import Job
from ocihaul.transfer.upload.multipart import Assembly
from ocihaul.transfer.upload.par_store import Access, AccessFile, access_of, end_access, lifetime
from ocihaul.transfer.upload.part_uploader import Headers, RangeBody
from ocihaul.transfer.upload.request import UploadResult, encryption_headers, put_headers
from ocihaul.transfer.upload.state import Memory

#: How a PAR is refused that cannot be used (any more).
_REFUSED = frozenset({401, 403, 404})
_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
_NEEDED = (
    "--outlive-session needs the permissions PAR_MANAGE on the bucket, and OBJECT_CREATE and "
    "OBJECT_OVERWRITE on the object. Without the flag none of the first is needed."
)


class OutlivingAssembly(Assembly):
    """The requests of one multipart upload, through a PAR as far as that goes.

    `size` is that of the source, None where it is not known. Without `wanted` no PAR is made or
    used, but what an earlier run has made is ended with its upload.
    """

    def __init__(
        self, job: Job, kept: AccessFile, target: Target, *, size: int | None, wanted: bool
    ) -> None:
        super().__init__(job)
        self._kept = kept
        self._target = target
        self._size = size
        self._wanted = wanted
        self._lock = threading.Lock()  # guards _open
        self._open: OpenUpload | None = None

    @property
    def outlives(self) -> bool:
        """Whether parts can be sent without the session."""
        return self._open is not None

    def create(self, preconditions: Headers) -> str:
        """Make the PAR and begin the upload. Raises ServiceError when PARs are not allowed."""
        job = self._job
        self._end_the_last()
        if not self._wanted:
            return super().create(preconditions)
        access = self._make()
        headers = {
            **preconditions,
            **put_headers(job.request),
            **job.integrity.request_headers(),
        }
        headers.pop("content-md5", None)  # of the whole object; the beginning has no body
        try:
            opened = self._door.create(access.access_uri, headers)
        except OcihaulError:
            self._end(job.storage)
            raise
        self._open, self.upload_id = opened, opened.upload_id
        self._keep(replace(access, upload_id=opened.upload_id, access_uri=opened.access_uri))
        until = local_time(access.expires_at).isoformat(" ", "minutes")
        job.listener(Notice(f"The upload can go on without the session until {until}."))
        return self.upload_id

    def _make(self) -> Access:
        """The PAR, of which the file knows before the service does."""
        request = self._job.request
        # Whole seconds: that is all the service is told.
        expires_at = float(int(time.time() + lifetime(self._size, request.expected_rate)))
        name = f"ocihaul upload {secrets.token_hex(8)} of {request.name}"[:200]
        access = Access("", expires_at, "", "", name)
        self._keep(access)
        try:
            par = self._job.storage.create_preauthenticated_request(
                request.namespace,
                request.bucket,
                name=name,
                access_type="ObjectWrite",
                time_expires=datetime.fromtimestamp(expires_at, UTC).strftime(_RFC_3339),
                object_name=request.name,
            )
        except ServiceError as error:
            if error.status in {401, 403, 404}:
                error.hint = _NEEDED
                self._kept.remove()
            raise
        access = replace(access, par_id=par.par_id, access_uri=par.access_uri or "")
        self._keep(replace(access, access_uri=""))  # not needed to end it
        return access

    def _keep(self, access: Access) -> None:
        """For the next run; without it, this one alone can go on."""
        try:
            self._kept.save(access)
        except JournalError as error:
            text = f"Only this run can go on without the session: {error.message}."
            self._job.listener(Notice(text))

    def _end_the_last(self) -> None:
        """What an upload has left that nobody goes on with: its PAR, and perhaps its parts."""
        access = self._kept.load()
        if access is not None and access.upload_id:
            with contextlib.suppress(ServiceError):  # most likely it is gone
                self._job.storage.abort_multipart_upload(*self._where, upload_id=access.upload_id)
        self._end(self._job.storage)

    def take_up(self, upload_id: str) -> None:
        """Go on with an upload: through its PAR if that is still valid, else with the session."""
        super().take_up(upload_id)
        if not self._wanted:
            return
        access = self._kept.load()
        if access is not None and access.upload_id == upload_id:
            if access.expires_at > time.time():
                self._open = OpenUpload(upload_id, access.access_uri)
                return
            self._end(self._job.storage)
        self._job.listener(Notice("This upload has no PAR (any more): it needs the session."))

    def add(self, number: int, body: RangeBody) -> Headers:
        """Send one part; returns the answer's headers."""
        opened, job = self._open, self._job
        if opened is None:
            return super().add(number, body)
        try:
            return self._door.upload_part(
                opened,
                number=number,
                body=body,
                headers=encryption_headers(job.request) | job.integrity.request_headers(),
                abandoned=job.sender.abandoned,
            ).headers
        except ServiceError as error:
            if error.status not in _REFUSED:
                raise
            self._closed(error)
        return super().add(number, body)

    def _closed(self, error: ServiceError) -> None:
        """The PAR is expired or deleted, or its maker has lost the right."""
        with self._lock:
            first, self._open = self._open is not None, None
        if first:
            text = f"The PAR is refused; the upload goes on with the session ({error.message})."
            self._job.listener(Notice(text))

    def commit(self, parts: Sequence[SentPart], preconditions: Headers) -> Headers:
        """With the session, which names the parts; through the PAR when it has ended."""
        try:
            return super().commit(parts, preconditions)
        except SessionError:
            if self._open is None:
                raise
        except ServiceError as error:
            if self._open is None or error.status != 404:
                raise
        try:
            return self._door.commit(self._open, preconditions).headers
        except (NetworkError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.status not in _REFUSED:
                raise
            # Ours may be what it refuses to do again; or the first attempt, with the session.
            raise NetworkError(
                "it is not known whether the object was stored: its commit was not answered, and "
                f"without a session nobody can look ({error.message})",
                hint="After a login the same command, run again, finds that out.",
            ) from error

    def settled(self, parts: Sequence[SentPart]) -> Headers | None:
        """As in any upload; without a session nobody can look."""
        try:
            return super().settled(parts)
        except SessionError:
            return None

    def result(self, parts: Sequence[SentPart], answer: Headers) -> UploadResult:
        """As in any upload; the PAR is of no use any more."""
        self._end(self._job.storage)
        return super().result(parts, answer)

    def abort(self) -> None:
        """Drop it and its parts, and the PAR."""
        self._abort(self._job.storage)

    def abort_soon(self, seconds: float) -> None:
        """As `abort`, although we were told to stop."""
        with self._job.storage.bounded(seconds) as storage:
            self._abort(storage)

    def _abort(self, storage: StorageClient) -> None:
        """Through the PAR first: there is no session to wait for, which may be over by now."""
        try:
            if not self._aborted_through_par(storage):
                storage.abort_multipart_upload(*self._where, upload_id=self.upload_id)
        finally:
            self._end(storage)

    def _aborted_through_par(self, storage: StorageClient) -> bool:
        door = storage.preauthenticated(self._target.namespace)
        if self._open is None or door is None:
            return False
        try:
            door.abort(self._open)
        except ServiceError:
            return False
        return True

    def _look(self) -> ObjectSummary | None:
        try:
            return super()._look()
        except SessionError:
            text = "The session has ended: the stored object could not be looked at."
            self._job.listener(Notice(text))
            return None

    @property
    def _door(self) -> PreauthenticatedUploads:
        door = self._job.storage.preauthenticated(self._job.request.namespace)
        if door is None:
            raise UsageError("this storage client cannot use pre-authenticated requests")
        return door

    def _end(self, storage: StorageClient) -> None:
        end_access(self._kept, storage, self._target, self._job.listener)


def assembly_for(job: Job, memory: Memory, *, size: int | None) -> Assembly:
    """The way to upload that the request wants; `memory` knows where secrets can be kept."""
    kept = access_of(memory.journal, memory.target)
    wanted = job.request.outlive_session
    if not wanted and kept.load() is None:
        return Assembly(job)
    return OutlivingAssembly(job, kept, memory.target, size=size, wanted=wanted)
