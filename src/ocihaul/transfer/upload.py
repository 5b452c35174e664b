"""One file to one object: look, send, commit, compare."""

import threading
import time
from collections.abc import Callable, Mapping

from ocihaul.errors import (
    ChecksumError,
    Interrupted,
    NetworkError,
    OcihaulError,
    ServiceError,
    SourceError,
    UploadStopped,
)
from ocihaul.events import (
    Listener,
    MultipartUploadCreated,
    Notice,
    UploadFinished,
    UploadPlanned,
    ignore,
)
from ocihaul.storage.client import StorageClient
from ocihaul.transfer import checksum
from ocihaul.transfer.body import RangeBody, digest_range
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5, SHA256, SHA384
from ocihaul.transfer.headers import create_document, encryption_headers, put_headers
from ocihaul.transfer.integrity import Integrity, check_whole
from ocihaul.transfer.parts import PartWorkers
from ocihaul.transfer.plan import MIB, Plan, plan_upload
from ocihaul.transfer.request import Confirm, UploadRequest, UploadResult
from ocihaul.transfer.sending import Headers, RangeSender
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.target import Target


def upload(
    storage: StorageClient,
    request: UploadRequest,
    *,
    listener: Listener = ignore,
    confirm: Confirm | None = None,
    stop: threading.Event | None = None,
    before: Callable[[int], None] | None = None,
) -> UploadResult:
    """Upload `request.source`; the object appears only when all of it is there and right.

    `confirm` is asked before an existing object is replaced (`Existing.ASK`); without it the
    answer is no. `stop` is the event that the storage client was made with. `before` is called
    with the size before anything is sent, and may raise.

    Raises UsageError and SourceError before anything is sent; ObjectExists; ServiceError,
    NetworkError, SessionError; UploadStopped when parts are left on the service; ChecksumError;
    Interrupted.
    """
    with FileSource(request.source) as source:
        plan = plan_upload(
            source.size,
            part_size=request.part_size,
            multipart=request.multipart,
            parallel=request.parallel,
        )
        if before is not None:
            before(plan.size)
        return _Upload(storage, request, source, plan, listener=listener, stop=stop).run(confirm)


class _Upload:
    """The state of one upload: what was asked, what was planned, since when."""

    def __init__(
        self,
        storage: StorageClient,
        request: UploadRequest,
        source: FileSource,
        plan: Plan,
        *,
        listener: Listener,
        stop: threading.Event | None,
    ) -> None:
        self._storage = storage
        self._request = request
        self._source = source
        self._plan = plan
        self._listener = listener
        self._stop = stop or threading.Event()
        self._target = Target(storage, request)
        self._started = time.monotonic()
        self._announced = _announced(request)
        self._integrity = Integrity(
            declared=request.checksum_algorithm
            or next((name for name in self._announced if name in DECLARABLE), None),
            want_md5=request.verify_checksum,
            listener=listener,
        )
        self._sender = RangeSender(source, self._integrity, listener=listener)

    def run(self, confirm: Confirm | None) -> UploadResult:
        # Everything that can be wrong with the request is found before a byte is sent.
        headers = put_headers(self._request)
        plan = self._plan
        preconditions = self._target.preconditions(confirm)
        self._listener(
            UploadPlanned(
                name=self._request.name,
                size=plan.size,
                part_size=plan.part_size,
                part_count=plan.part_count,
                parallel=min(self._request.parallel, plan.part_count),
                multipart=plan.multipart,
            )
        )
        if plan.multipart:
            self._check_announced()
            result = self._send_parts(preconditions)
        else:
            result = self._send_whole(headers | preconditions)
        self._listener(UploadFinished(self._request.name, result.size, result.seconds))
        return result

    # One PutObject

    def _send_whole(self, headers: Headers) -> UploadResult:
        size = self._plan.size

        def put(body: RangeBody, damaged: Headers | None) -> Headers:
            wanted = {**headers, **self._integrity.request_headers()}
            if damaged is not None:  # the damaged object is there now, and ours to replace
                wanted.pop("if-none-match", None)
                wanted["if-match"] = damaged["etag"]
            answer = self._put(body, wanted)
            self._check_unchanged_although_stored()
            return answer

        part, answer = self._sender.send(1, 0, size, buffer=self._sender.buffer_for(size), send=put)
        md5 = part.digests.get(MD5)
        return self._result(
            answer,
            crc32c=checksum.encoded(part.digests[CRC32C]),
            md5=checksum.encoded(md5) if md5 is not None else None,
        )

    def _check_unchanged_although_stored(self) -> None:
        """A single object is there before its source can be looked at again: say so."""
        try:
            self._source.check_unchanged()
        except SourceError as error:
            raise SourceError(
                error.message,
                hint=f"What was stored as {self._request.name!r} may be a mixture of both. "
                "Upload it again when nobody writes to it.",
            ) from None

    def _put(self, body: RangeBody, headers: Headers) -> Headers:
        request = self._request
        try:
            return self._storage.put_object(
                request.namespace, request.bucket, request.name, body, headers
            ).headers
        except ServiceError as error:
            if error.status != 412 or not error.after_retry:
                raise
            # Our own first attempt may be what stands in the way: its reply was lost.
            digests = body.digests or {CRC32C: self._reread(CRC32C), MD5: self._reread(MD5)}
            body.digests = dict(digests)
            expected = {checksum.content_header(n): checksum.encoded(d) for n, d in digests.items()}
            settled = self._target.settled(self._plan.size, expected)
            if settled is None:
                raise
            return settled

    # Many parts

    def _send_parts(self, preconditions: Headers) -> UploadResult:
        request = self._request
        headers = {
            **preconditions,
            **encryption_headers(request),
            **self._integrity.request_headers(),
        }
        upload_id = self._storage.create_multipart_upload(
            request.namespace, request.bucket, create_document(request), headers
        )
        self._listener(MultipartUploadCreated(upload_id, self._plan.part_count))
        try:
            parts = self._workers(upload_id).run()
            if self._stop.is_set():
                raise Interrupted("stopped between two parts")
            self._source.check_unchanged()
            expected = self._integrity.whole_headers(parts)
            etags = [part.etag for part in parts]
            answer = self._commit(upload_id, etags, preconditions, expected)
        except SourceError as error:
            self._abort(upload_id, error)
            raise
        except OcihaulError as error:
            raise self._stopped(upload_id, error) from error
        return self._result(
            self._checked(answer, expected),
            upload_id=upload_id,
            crc32c=expected.get(checksum.multipart_header(CRC32C)),
            md5=expected.get(checksum.multipart_header(MD5)),
        )

    def _workers(self, upload_id: str) -> PartWorkers:
        request = self._request

        def upload_part(number: int, body: RangeBody) -> Headers:
            return self._storage.upload_part(
                request.namespace,
                request.bucket,
                request.name,
                upload_id=upload_id,
                number=number,
                body=body,
                headers=encryption_headers(request) | self._integrity.request_headers(),
                abandoned=self._sender.abandoned,
            ).headers

        return PartWorkers(
            self._plan, self._sender, upload_part, parallel=request.parallel, stop=self._stop
        )

    def _commit(
        self, upload_id: str, etags: list[str], preconditions: Headers, expected: Headers
    ) -> Headers:
        request = self._request
        try:
            return self._storage.commit_multipart_upload(
                request.namespace,
                request.bucket,
                request.name,
                upload_id=upload_id,
                etags=etags,
                headers=preconditions,
            ).headers
        except (NetworkError, ServiceError) as error:
            if isinstance(error, ServiceError) and not error.after_retry:
                raise
            # The commit may have taken effect although its reply was lost and the retry refused.
            settled = self._target.settled(self._plan.size, expected)
            if settled is None:
                raise
            return settled

    def _checked(self, answer: Headers, expected: Headers) -> Headers:
        """The committed object's headers, once they have been compared with what was sent."""
        wanted = checksum.multipart_header(MD5 if self._request.verify_checksum else CRC32C)
        if wanted not in answer and (there := self._target.head()) is not None:
            answer = {**there.headers, **answer}
        if not check_whole(expected, answer, self._request.name):
            self._listener(
                Notice("The service gives no checksum of the whole; each part was compared.")
            )
        return answer

    def _abort(self, upload_id: str, error: OcihaulError) -> None:
        """The parts are of a file that is no more: nobody can use them."""
        request = self._request
        try:
            self._storage.abort_multipart_upload(
                request.namespace, request.bucket, request.name, upload_id=upload_id
            )
        except OcihaulError as trouble:
            error.add_note(f"The upload {upload_id} is left on the service: {trouble.message}")

    def _stopped(self, upload_id: str, error: OcihaulError) -> OcihaulError:
        request = self._request
        where = f"-ns {request.namespace} -bn {request.bucket}"
        hint = (
            f"Its finished parts are kept. Go on with: oci os object resume-put {where} "
            f"--name {request.name} --file {request.source} --upload-id {upload_id} "
            f"--part-size {self._plan.part_size // MIB}\n"
            f"or drop them with: oci os multipart abort {where} -on {request.name} "
            f"--upload-id {upload_id}"
        )
        if isinstance(error, Interrupted):
            return Interrupted(f"interrupted; upload {upload_id} is not complete", hint=hint)
        return UploadStopped(
            f"upload {upload_id} is not complete",
            upload_id=upload_id,
            resumable=error.resumable,
            hint=hint,
        )

    # Both

    def _check_announced(self) -> None:
        """A multipart upload cannot carry checksums of the whole file: compare them here."""
        for algorithm, value in self._announced.items():
            ours = checksum.encoded(self._reread(algorithm))
            if ours != value:
                raise ChecksumError(
                    f"{self._source.path} has the {algorithm} {ours}, not {value} as announced",
                    hint="Nothing was sent: find out which of the two is right.",
                )

    def _reread(self, algorithm: str) -> bytes:
        return digest_range(self._source, 0, self._plan.size, algorithm)

    def _result(
        self,
        answer: Headers,
        *,
        crc32c: str | None,
        md5: str | None,
        upload_id: str | None = None,
    ) -> UploadResult:
        return UploadResult(
            headers=answer,
            size=self._plan.size,
            part_count=self._plan.part_count,
            upload_id=upload_id,
            crc32c=crc32c,
            md5=md5,
            bytes_sent=self._sender.sent_bytes,
            bytes_resent=self._sender.sent_bytes - self._plan.size,
            seconds=time.monotonic() - self._started,
        )


def _announced(request: UploadRequest) -> Mapping[str, str]:
    """The checksums of the whole file that the caller gave, by algorithm."""
    given = {
        CRC32C: request.content_crc32c,
        SHA256: request.content_sha256,
        SHA384: request.content_sha384,
        MD5: request.content_md5,
    }
    return {name: value for name, value in given.items() if value is not None}
