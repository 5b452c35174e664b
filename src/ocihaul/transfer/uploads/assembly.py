"""A multipart upload as the service has it: create, add parts, commit, compare, abort.

What belongs here: the requests that are the same wherever the parts come from.
"""

import threading
from collections.abc import Iterator, Sequence

from ocihaul.errors import NetworkError, OcihaulError, ServiceError
from ocihaul.events import Notice
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5
from ocihaul.transfer.integrity import SentPart, check_whole
from ocihaul.transfer.uploads.body import RangeBody
from ocihaul.transfer.uploads.headers import create_document, encryption_headers
from ocihaul.transfer.uploads.incomplete import abort_command
from ocihaul.transfer.uploads.job import Job
from ocihaul.transfer.uploads.request import UploadResult
from ocihaul.transfer.uploads.sending import Headers


class Assembly:
    """The requests of one multipart upload; `upload_id` is empty before it has one."""

    def __init__(self, job: Job, upload_id: str = "") -> None:
        self.upload_id = upload_id
        #: Set when its creation was asked for more than once.
        self.repeated = threading.Event()
        self._job = job
        request = job.request
        self._where = (request.namespace, request.bucket, request.name)

    @property
    def outlives(self) -> bool:
        """Whether parts can be sent without the session."""
        return False

    def create(self, preconditions: Headers) -> str:
        """Begin it at the service; returns its id."""
        job, request = self._job, self._job.request
        headers = {
            **preconditions,
            **encryption_headers(request),
            **job.integrity.request_headers(),
        }
        self.upload_id = job.storage.create_multipart_upload(
            request.namespace,
            request.bucket,
            create_document(request),
            headers,
            repeated=self.repeated,
        )
        return self.upload_id

    def take_up(self, upload_id: str) -> None:
        """Go on with an upload that an earlier run has begun."""
        self.upload_id = upload_id

    def add(self, number: int, body: RangeBody) -> Headers:
        """Send one part; returns the answer's headers."""
        job = self._job
        return job.storage.upload_part(
            *self._where,
            upload_id=self.upload_id,
            number=number,
            body=body,
            headers=encryption_headers(job.request) | job.integrity.request_headers(),
            abandoned=job.sender.abandoned,
        ).headers

    def commit(self, parts: Sequence[SentPart], preconditions: Headers) -> Headers:
        """Make the parts an object. A lost reply is settled by looking at the object.

        So is an upload that is gone: a run that was killed may have had its commit on the way.
        """
        job = self._job
        try:
            return job.storage.commit_multipart_upload(
                *self._where,
                upload_id=self.upload_id,
                etags=[part.etag for part in parts],
                headers=preconditions,
            ).headers
        except (NetworkError, ServiceError) as error:
            gone = isinstance(error, ServiceError) and error.status == 404
            if isinstance(error, ServiceError) and not (error.after_retry or gone):
                raise
            # The commit may have taken effect although its reply was lost and the retry refused.
            settled = self.settled(parts)
            if settled is None:
                raise
            self._drop_if_open()
            return settled

    def _drop_if_open(self) -> None:
        """Another upload, such as one of a run that was killed, may have made the same object.

        This one is open then, and nothing would know of its parts any more.
        """
        try:
            self.abort()
        except OcihaulError as error:
            if not (isinstance(error, ServiceError) and error.status == 404):
                left = f"Upload {self.upload_id} may be left at the service: {error.message}"
                self._job.listener(Notice(f"{left}. Drop it with: {self.how_to_abort()}"))

    def settled(self, parts: Sequence[SentPart]) -> Headers | None:
        """The object's headers if it is made of these parts already."""
        size = sum(part.size for part in parts)
        return self._job.target.settled(size, self._job.integrity.whole_headers(parts))

    def result(self, parts: Sequence[SentPart], answer: Headers) -> UploadResult:
        """What the caller gets, once the object has been compared with what was sent."""
        job = self._job
        expected = job.integrity.whole_headers(parts)
        wanted = checksum.multipart_header(MD5 if job.request.verify_checksum else CRC32C)
        if wanted not in answer and (there := self._look()) is not None:
            answer = {**there.headers, **answer}
        if not check_whole(expected, answer, job.request.name):
            text = "The service gives no checksum of the whole; each part was compared."
            job.listener(Notice(text))
        elif job.request.upload_id is not None:
            names = ", ".join(sorted(_compared(expected, answer)))
            job.listener(Notice(f"Compared: each part by MD5, the object by {names} of its parts."))
        return job.result(
            answer,
            size=sum(part.size for part in parts),
            part_count=len(parts),
            upload_id=self.upload_id,
            crc32c=expected.get(checksum.multipart_header(CRC32C)),
            md5=expected.get(checksum.multipart_header(MD5)),
            parts=parts,
        )

    def _look(self) -> ObjectSummary | None:
        return self._job.target.head()

    def abort(self) -> None:
        """Drop it and its parts."""
        self._job.storage.abort_multipart_upload(*self._where, upload_id=self.upload_id)

    def abort_soon(self, seconds: float) -> None:
        """Drop it although we were told to stop, if that can be done within `seconds`."""
        with self._job.storage.bounded(seconds) as storage:
            storage.abort_multipart_upload(*self._where, upload_id=self.upload_id)

    def how_to_abort(self) -> str:
        """The command that drops it by hand."""
        return abort_command(self._job.request, self.upload_id)


def _compared(expected: Headers, answer: Headers) -> Iterator[str]:
    """The algorithms of which both sides have a value of the whole."""
    for name in (CRC32C, MD5, *DECLARABLE):
        if checksum.multipart_header(name) in expected.keys() & answer.keys():
            yield name
