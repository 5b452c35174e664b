"""A multipart upload that goes on when the session has ended (`--outlive-session`).

While the session lives a PAR is made that may write this one object, and the upload is begun
through it. Its parts need no credential then. What is better done with one (commit with
preconditions, a look at the object, the end of the PAR) is tried with the session first.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from ocihaul.errors import OcihaulError, ServiceError, SessionError, UsageError
from ocihaul.events import Notice
from ocihaul.storage.preauthenticated import OpenUpload, PreauthenticatedUploads
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer.access import Access, AccessFile, lifetime
from ocihaul.transfer.assembly import Assembly
from ocihaul.transfer.body import RangeBody
from ocihaul.transfer.headers import encryption_headers, put_headers
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.job import Job
from ocihaul.transfer.request import UploadResult
from ocihaul.transfer.resuming import Memory
from ocihaul.transfer.sending import Headers

_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
_NEEDED = (
    "--outlive-session needs the permissions PAR_MANAGE on the bucket, and OBJECT_CREATE and "
    "OBJECT_OVERWRITE on the object. Without the flag none of the first is needed."
)


class OutlivingAssembly(Assembly):
    """The requests of one multipart upload, through a PAR as far as that goes.

    `size` is that of the source, None where it is not known.
    """

    def __init__(self, job: Job, kept: AccessFile, *, size: int | None) -> None:
        super().__init__(job)
        self._kept = kept
        self._size = size
        self._open: OpenUpload | None = None

    @property
    def outlives(self) -> bool:
        """Whether parts can be sent without the session."""
        return self._open is not None

    def create(self, preconditions: Headers) -> str:
        """Make the PAR and begin the upload. Raises ServiceError when PARs are not allowed."""
        job, request = self._job, self._job.request
        expires_at = time.time() + lifetime(self._size, request.expected_rate)
        try:
            par = job.storage.create_preauthenticated_request(
                request.namespace,
                request.bucket,
                name=f"ocihaul upload of {request.name}"[:200],
                access_type="ObjectWrite",
                time_expires=datetime.fromtimestamp(expires_at, UTC).strftime(_RFC_3339),
                object_name=request.name,
            )
        except ServiceError as error:
            if error.status in {401, 403, 404}:
                error.hint = _NEEDED
            raise
        headers = {**preconditions, **put_headers(request), **job.integrity.request_headers()}
        headers.pop("content-md5", None)  # of the whole object; the beginning has no body
        try:
            self._open = self._door.create(par.access_uri or "", headers)
        except OcihaulError:
            self._delete(par.par_id)
            raise
        self.upload_id = self._open.upload_id
        self._kept.save(Access(par.par_id, expires_at, self.upload_id, self._open.access_uri))
        until = datetime.fromtimestamp(expires_at).astimezone().isoformat(" ", "minutes")
        job.listener(Notice(f"The upload can go on without the session until {until}."))
        return self.upload_id

    def take_up(self, upload_id: str) -> None:
        """Go on with an upload: through its PAR if that is still valid, else with the session."""
        super().take_up(upload_id)
        access = self._kept.load()
        if access is not None and access.upload_id == upload_id:
            if access.expires_at > time.time():
                self._open = OpenUpload(upload_id, access.access_uri)
                return
            self._delete(access.par_id)
        self._job.listener(Notice("This upload has no PAR (any more): it needs the session."))

    def add(self, number: int, body: RangeBody) -> Headers:
        """Send one part; returns the answer's headers."""
        if self._open is None:
            return super().add(number, body)
        job = self._job
        return self._door.upload_part(
            self._open,
            number=number,
            body=body,
            headers=encryption_headers(job.request) | job.integrity.request_headers(),
            abandoned=job.sender.abandoned,
        ).headers

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
        return self._door.commit(self._open, preconditions).headers

    def settled(self, parts: Sequence[SentPart]) -> Headers | None:
        """As in any upload; without a session nobody can look."""
        try:
            return super().settled(parts)
        except SessionError:
            return None

    def result(self, parts: Sequence[SentPart], answer: Headers) -> UploadResult:
        """As in any upload; the PAR is of no use any more."""
        access = self._kept.load()
        if access is not None:
            self._delete(access.par_id)
        return super().result(parts, answer)

    def abort(self) -> None:
        """Drop it and its parts, and the PAR."""
        access, opened = self._kept.load(), self._open
        try:
            super().abort()
        except SessionError:
            if opened is None:
                raise
            self._door.abort(opened)
        finally:
            if access is not None:
                self._delete(access.par_id)

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

    def _delete(self, par_id: str) -> None:
        """End the PAR; where that fails, say how."""
        request = self._job.request
        try:
            self._job.storage.delete_preauthenticated_request(
                request.namespace, request.bucket, par_id
            )
        except OcihaulError as error:
            if not (isinstance(error, ServiceError) and error.status == 404):
                text = (
                    "The pre-authenticated request of this upload is left. Delete it with: "
                    f"ocihaul os preauth-request delete -ns {request.namespace} "
                    f"-bn {request.bucket} --par-id '{par_id}'"
                )
                self._job.listener(Notice(text))
        self._kept.remove()


def assembly_for(job: Job, memory: Memory, *, size: int | None) -> Assembly:
    """The way to upload that the request wants; `memory` knows where secrets can be kept."""
    if not job.request.outlive_session:
        return Assembly(job)
    journal = memory.journal
    path = journal.private_file(memory.target, "par") if journal is not None else None
    return OutlivingAssembly(job, AccessFile(path), size=size)
