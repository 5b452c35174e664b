"""A multipart upload that survives its login session (`outlive_session`).

While the session is valid a pre-authenticated request (PAR) is made that may write this one object,
and the upload is created through it. Its parts need no credential then. The rest (commit with
preconditions, HeadObject, the deletion of the PAR) is tried with the session first.
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
from ocihaul.storage.calls import Headers
from ocihaul.storage.client import OpenUpload, PreauthenticatedUploads, StorageClient
from ocihaul.storage.values import ObjectSummary
from ocihaul.transfer.checksum import SentPart
from ocihaul.transfer.journal.journal import Target
from ocihaul.transfer.upload.context import UploadContext
from ocihaul.transfer.upload.incomplete import ParStore, StoredPar, end_par, lifetime
from ocihaul.transfer.upload.multipart import MultipartSession
from ocihaul.transfer.upload.part_uploader import UploadPart
from ocihaul.transfer.upload.request import UploadResult, put_headers
from ocihaul.transport.message import Answer, Body

#: The statuses of a PAR that is expired, deleted, or not allowed any more.
_REFUSED = frozenset({401, 403, 404})
_RFC_3339 = "%Y-%m-%dT%H:%M:%SZ"
_NEEDED = (
    "`outlive_session` needs the permissions PAR_MANAGE on the bucket, and OBJECT_CREATE and "
    "OBJECT_OVERWRITE on the object. Without it PAR_MANAGE is not needed."
)


class PreauthenticatedSession(MultipartSession):
    """The requests of one multipart upload, through a PAR as far as possible.

    `size` is that of the source, None where it is not known. Without `wanted` no PAR is made or
    used, but that of an earlier run is deleted with its upload.
    """

    def __init__(
        self,
        context: UploadContext,
        store: ParStore,
        target: Target,
        *,
        size: int | None,
        wanted: bool,
    ) -> None:
        super().__init__(context)
        self._store = store
        self._target = target
        self._size = size
        self._wanted = wanted
        self._lock = threading.Lock()  # guards _open
        self._open: OpenUpload | None = None

    @property
    def survives_session(self) -> bool:
        """Whether parts can be sent without the login session."""
        return self._open is not None

    def create(self, preconditions: Headers) -> str:
        """Make the PAR and create the upload. Raises ServiceError when PARs are not allowed."""
        context = self._context
        self._end_earlier_par()
        if not self._wanted:
            return super().create(preconditions)
        par = self._make_par()
        headers = {
            **preconditions,
            **put_headers(context.request),
            **context.integrity.request_headers(),
        }
        headers.pop("content-md5", None)  # of the whole object; the beginning has no body
        try:
            opened = self._requests.create(par.access_uri, headers)
        except OcihaulError:
            self._end_par(context.storage)
            raise
        self._open, self.upload_id = opened, opened.upload_id
        self._save(replace(par, upload_id=opened.upload_id, access_uri=opened.access_uri))
        until = local_time(par.expires_at).isoformat(" ", "minutes")
        context.listener(Notice(f"The upload can go on without the session until {until}."))
        return self.upload_id

    def _make_par(self) -> StoredPar:
        """Make the PAR; the store knows of it before the service does."""
        request = self._context.request
        # Whole seconds: that is all the service is told.
        expires_at = float(int(time.time() + lifetime(self._size, request.expected_rate)))
        name = f"ocihaul upload {secrets.token_hex(8)} of {request.name}"[:200]
        stored = StoredPar("", expires_at, "", "", name)
        self._save(stored)
        try:
            par = self._context.storage.create_preauthenticated_request(
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
                self._store.remove()
            raise
        stored = replace(stored, par_id=par.par_id, access_uri=par.access_uri or "")
        self._save(replace(stored, access_uri=""))  # not needed to delete it
        return stored

    def _save(self, par: StoredPar) -> None:
        """Save it for the next run; without it, only this one can survive the session."""
        try:
            self._store.save(par)
        except JournalError as error:
            text = f"Only this run can go on without the session: {error.message}."
            self._context.listener(Notice(text))

    def _end_earlier_par(self) -> None:
        """Delete the PAR of an earlier upload that is not resumed, and perhaps its parts."""
        par = self._store.load()
        if par is not None and par.upload_id:
            with contextlib.suppress(ServiceError):  # most likely it is gone
                self._context.storage.abort_multipart_upload(*self._where, upload_id=par.upload_id)
        self._end_par(self._context.storage)

    def resume(self, upload_id: str) -> None:
        """Resume an upload: through its PAR if that is still valid, else with the session."""
        super().resume(upload_id)
        if not self._wanted:
            return
        par = self._store.load()
        if par is not None and par.upload_id == upload_id:
            if par.expires_at > time.time():
                self._open = OpenUpload(upload_id, par.access_uri)
                return
            self._end_par(self._context.storage)
        self._context.listener(Notice("This upload has no PAR (any more): it needs the session."))

    def part_request(self) -> UploadPart:
        """The UploadPart request, through the PAR for as long as it is accepted."""
        signed, headers = super().part_request(), self._part_headers()

        def upload_part(*, number: int, body: Body) -> Answer:
            opened = self._open
            if opened is None:
                return signed(number=number, body=body)
            try:
                return self._requests.upload_part(
                    opened,
                    number=number,
                    body=body,
                    headers=headers,
                    abandoned=self._context.abandoned,
                )
            except ServiceError as error:
                if error.status not in _REFUSED:
                    raise
                self._stop_using_par(error)
            return signed(number=number, body=body)

        return upload_part

    def _stop_using_par(self, error: ServiceError) -> None:
        """Use the session: the PAR is expired or deleted, or its maker has lost the right."""
        with self._lock:
            first, self._open = self._open is not None, None
        if first:
            text = f"The PAR is refused; the upload goes on with the session ({error.message})."
            self._context.listener(Notice(text))

    def commit(self, parts: Sequence[SentPart], preconditions: Headers) -> Headers:
        """Commit with the session, which names the parts; through the PAR when that has expired."""
        try:
            return super().commit(parts, preconditions)
        except SessionError:
            if self._open is None:
                raise
        except ServiceError as error:
            if self._open is None or error.status != 404:
                raise
        try:
            return self._requests.commit(self._open, preconditions).headers
        except (NetworkError, ServiceError) as error:
            if isinstance(error, ServiceError) and error.status not in _REFUSED:
                raise
            # Ours may be what it refuses to do again; or the first attempt, with the session.
            raise NetworkError(
                "it is not known whether the object was stored: its commit was not answered, and "
                f"without a session there is no way to look ({error.message})",
                hint="After a login the same command, run again, finds that out.",
            ) from error

    def find_committed(self, parts: Sequence[SentPart]) -> Headers | None:
        """As in any upload; None without a session."""
        try:
            return super().find_committed(parts)
        except SessionError:
            return None

    def result(self, parts: Sequence[SentPart], answer: Headers) -> UploadResult:
        """Delete the PAR, then as in any upload."""
        self._end_par(self._context.storage)
        return super().result(parts, answer)

    def abort(self) -> None:
        """Abort it with its parts, and delete the PAR."""
        self._abort(self._context.storage)

    def abort_with_deadline(self, seconds: float) -> None:
        """As `abort`, although the transfer was cancelled."""
        with self._context.storage.bounded(seconds) as storage:
            self._abort(storage)

    def _abort(self, storage: StorageClient) -> None:
        """Abort through the PAR first: the session may have expired, and would be waited for."""
        try:
            if not self._aborted_through_par(storage):
                storage.abort_multipart_upload(*self._where, upload_id=self.upload_id)
        finally:
            self._end_par(storage)

    def _aborted_through_par(self, storage: StorageClient) -> bool:
        requests = storage.preauthenticated(self._target.namespace)
        if self._open is None or requests is None:
            return False
        try:
            requests.abort(self._open)
        except ServiceError:
            return False
        return True

    def _head(self) -> ObjectSummary | None:
        try:
            return super()._head()
        except SessionError:
            text = "The session has expired: the stored object was not compared."
            self._context.listener(Notice(text))
            return None

    @property
    def _requests(self) -> PreauthenticatedUploads:
        requests = self._context.storage.preauthenticated(self._context.request.namespace)
        if requests is None:
            raise UsageError("this storage client cannot use pre-authenticated requests")
        return requests

    def _end_par(self, storage: StorageClient) -> None:
        end_par(self._store, storage, self._target, self._context.listener)
