"""A file in parts: create or take up, send what is missing, commit, compare."""

from collections.abc import Mapping

from ocihaul.errors import (
    Interrupted,
    NetworkError,
    OcihaulError,
    ServiceError,
    SourceChanged,
    SourceError,
    UploadStopped,
)
from ocihaul.events import MultipartUploadCreated, Notice, PartFinished
from ocihaul.transfer import checksum
from ocihaul.transfer.body import RangeBody, digest_range
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.headers import create_document, encryption_headers
from ocihaul.transfer.integrity import SentPart, check_whole
from ocihaul.transfer.job import Job
from ocihaul.transfer.parts import PartWorkers
from ocihaul.transfer.plan import MIB
from ocihaul.transfer.request import UploadResult
from ocihaul.transfer.resuming import Memory, confirmed, encryption_of
from ocihaul.transfer.sending import Headers


class MultipartUpload:
    """One multipart upload; `memory` is None where nothing can be remembered."""

    def __init__(self, job: Job, memory: Memory | None) -> None:
        self._job = job
        self._memory = memory
        request = job.request
        self._where = (request.namespace, request.bucket, request.name)

    def settled(self) -> UploadResult | None:
        """The result of an earlier run that lost its commit's reply, if that is how it ended."""
        if self._memory is None or self._memory.entry is None:
            return None
        finished = self._memory.finished()
        if len(finished) < self._job.plan.part_count:
            return None
        parts = self._with_md5(finished)
        expected = self._job.integrity.whole_headers(parts)
        answer = self._job.target.settled(self._job.plan.size, expected)
        if answer is None:
            return None
        self._job.kept_bytes = self._job.plan.size
        return self._finish(self._memory.entry.upload_id, answer, expected)

    def run(self, preconditions: Headers) -> UploadResult:
        """Send what is missing and commit. Raises UploadStopped when parts are left behind."""
        job = self._job
        upload_id, done = self._take_up() or (self._create(preconditions), {})
        try:
            fresh = self._workers(upload_id, done).run()
            if job.stop.is_set():
                raise Interrupted("stopped between two parts")
            job.source.check_unchanged()
            parts = self._with_md5({**done, **fresh})
            expected = job.integrity.whole_headers(parts)
            etags = [part.etag for part in parts]
            answer = self._commit(upload_id, etags, preconditions, expected)
        except SourceChanged as error:
            self._abort(upload_id, error)
            raise
        except OcihaulError as error:
            raise self._stopped(upload_id, error) from error
        return self._finish(upload_id, answer, expected)

    # Beginning

    def _take_up(self) -> tuple[str, dict[int, SentPart]] | None:
        memory, job = self._memory, self._job
        if memory is None or memory.entry is None:
            return None
        entry = memory.entry
        done = confirmed(memory, entry, job.storage)
        if done is None:
            text = f"The service no longer knows upload {entry.upload_id}: beginning anew."
            job.listener(Notice(text))
            memory.forget()
            return None
        job.kept_bytes = sum(part.size for part in done.values())
        job.listener(MultipartUploadCreated(entry.upload_id, job.plan.part_count))
        count = f"{len(done)} of {job.plan.part_count} parts are there"
        job.listener(Notice(f"Going on with upload {entry.upload_id}: {count}."))
        for number, part in done.items():
            job.listener(PartFinished(number, part.size))
        return entry.upload_id, done

    def _create(self, preconditions: Headers) -> str:
        job, request = self._job, self._job.request
        headers = {
            **preconditions,
            **encryption_headers(request),
            **job.integrity.request_headers(),
        }
        upload_id = job.storage.create_multipart_upload(
            request.namespace, request.bucket, create_document(request), headers
        )
        if self._memory is not None:
            self._memory.entry = self._memory.journal.begin(
                self._memory.target,
                upload_id=upload_id,
                source=str(job.source.path.absolute()),
                identity=job.source.identity,
                part_size=job.plan.part_size,
                encryption=encryption_of(request),
                algorithm=job.integrity.declared,
            )
        job.listener(MultipartUploadCreated(upload_id, job.plan.part_count))
        return upload_id

    # Sending

    def _workers(self, upload_id: str, done: Mapping[int, SentPart]) -> PartWorkers:
        job, request = self._job, self._job.request

        def upload_part(number: int, body: RangeBody) -> Headers:
            return job.storage.upload_part(
                *self._where,
                upload_id=upload_id,
                number=number,
                body=body,
                headers=encryption_headers(request) | job.integrity.request_headers(),
                abandoned=job.sender.abandoned,
            ).headers

        return PartWorkers(
            job.plan,
            job.sender,
            upload_part,
            missing=[n for n in range(1, job.plan.part_count + 1) if n not in done],
            record=self._record,
            parallel=request.parallel,
            stop=job.stop,
            pace=job.pace,
        )

    def _record(self, number: int, part: SentPart) -> None:
        if self._memory is not None:
            self._memory.record(number, part)

    def _with_md5(self, parts: Mapping[int, SentPart]) -> list[SentPart]:
        """The parts in order; where only some have an MD5 that is wanted, it is read for the rest.

        That happens when an earlier run did not want it.
        """
        ordered = [parts[number] for number in sorted(parts)]
        if MD5 not in self._job.integrity.algorithms:
            return ordered
        for number, part in enumerate(ordered, 1):
            if MD5 not in part.digests:
                offset, length = self._job.plan.part(number)
                digest = digest_range(self._job.source, offset, length, MD5)
                digests = {**part.digests, MD5: digest}
                ordered[number - 1] = SentPart(part.size, part.etag, digests)
        return ordered

    # Ending

    def _commit(
        self, upload_id: str, etags: list[str], preconditions: Headers, expected: Headers
    ) -> Headers:
        job = self._job
        try:
            return job.storage.commit_multipart_upload(
                *self._where, upload_id=upload_id, etags=etags, headers=preconditions
            ).headers
        except (NetworkError, ServiceError) as error:
            if isinstance(error, ServiceError) and not error.after_retry:
                raise
            # The commit may have taken effect although its reply was lost and the retry refused.
            settled = job.target.settled(job.plan.size, expected)
            if settled is None:
                raise
            return settled

    def _finish(self, upload_id: str, answer: Headers, expected: Headers) -> UploadResult:
        """The upload is the service's object now, whatever the comparison says."""
        if self._memory is not None:
            self._memory.forget()
        return self._job.result(
            self._checked(answer, expected),
            upload_id=upload_id,
            crc32c=expected.get(checksum.multipart_header(CRC32C)),
            md5=expected.get(checksum.multipart_header(MD5)),
        )

    def _checked(self, answer: Headers, expected: Headers) -> Headers:
        """The committed object's headers, once they have been compared with what was sent."""
        job = self._job
        wanted = checksum.multipart_header(MD5 if job.request.verify_checksum else CRC32C)
        if wanted not in answer and (there := job.target.head()) is not None:
            answer = {**there.headers, **answer}
        if not check_whole(expected, answer, job.request.name):
            text = "The service gives no checksum of the whole; each part was compared."
            job.listener(Notice(text))
        return answer

    def _abort(self, upload_id: str, error: OcihaulError) -> None:
        """The parts are of a file that is no more: nobody can use them."""
        if self._memory is not None:
            self._memory.forget()
        try:
            self._job.storage.abort_multipart_upload(*self._where, upload_id=upload_id)
        except OcihaulError as trouble:
            error.add_note(f"The upload {upload_id} is left on the service: {trouble.message}")

    def _stopped(self, upload_id: str, error: OcihaulError) -> OcihaulError:
        hint = self._how_to_go_on(upload_id)
        if isinstance(error, Interrupted):
            return Interrupted(f"interrupted; upload {upload_id} is not complete", hint=hint)
        return UploadStopped(
            f"upload {upload_id} is not complete",
            upload_id=upload_id,
            resumable=error.resumable or isinstance(error, SourceError),
            hint=hint,
        )

    def _how_to_go_on(self, upload_id: str) -> str:
        if self._memory is not None:
            return "Its finished parts are kept: the same command, run again, goes on with them."
        request = self._job.request
        where = f"-ns {request.namespace} -bn {request.bucket}"
        return (
            f"Its finished parts are kept. Go on with: oci os object resume-put {where} "
            f"--name {request.name} --file {request.source} --upload-id {upload_id} "
            f"--part-size {self._job.plan.part_size // MIB}\n"
            f"or drop them with: oci os multipart abort {where} -on {request.name} "
            f"--upload-id {upload_id}"
        )
