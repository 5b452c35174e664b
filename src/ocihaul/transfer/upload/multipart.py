"""A file in parts: create or take up, send what is missing, commit, compare."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ocihaul.errors import (
    ChecksumError,
    Interrupted,
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionError,
    SourceChanged,
    SourceError,
    UploadStopped,
)
from ocihaul.events import MultipartUploadCreated, Notice, PartFinished
from ocihaul.storage.calls import is_unknown_upload
from ocihaul.storage.listing import UploadSummary
from ocihaul.storage.types import ObjectSummary
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5
from ocihaul.transfer.hashing import digest_ranges
from ocihaul.transfer.integrity import SentPart, check_whole
from ocihaul.transfer.journal.values import Entry, Intention
from ocihaul.transfer.plan import Plan, part_size_text
from ocihaul.transfer.source import FileSource, Piece
from ocihaul.transfer.upload.context import Job
from ocihaul.transfer.upload.incomplete import abort_command, notices_of_others, resume_command
from ocihaul.transfer.upload.part_uploader import Headers, PartWorkers, RangeBody
from ocihaul.transfer.upload.request import (
    UploadRequest,
    UploadResult,
    attributes_of,
    create_document,
    encryption_headers,
)
from ocihaul.transfer.upload.resume import (
    agreeing,
    import_parts,
    importable,
    intention_of,
    listed_parts,
)
from ocihaul.transfer.upload.state import Memory
from ocihaul.transfer.workers import one_by_one


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


def created(
    assembly: Assembly,
    memory: Memory,
    request: UploadRequest,
    intention: Intention,
    preconditions: Headers,
) -> str:
    """Create an upload at the service; returns its id. The journal knows of it before and after.

    All others of this object are named: those that are there, and the one that an attempt whose
    answer was lost may have created.
    """
    _name(memory.incomplete.of(request), memory, request)
    memory.intend(intention)
    try:
        upload_id = assembly.create(preconditions)
    except ServiceError as error:
        if not error.after_retry:  # an attempt whose answer was lost may have created it
            memory.forget_intention()
        raise
    memory.begin(upload_id, intention)
    if assembly.repeated.is_set():
        _name(memory.incomplete.new(request, upload_id), memory, request)
    return upload_id


def _name(others: Sequence[UploadSummary], memory: Memory, request: UploadRequest) -> None:
    for notice in notices_of_others(others, request):
        memory.listener(notice)


class MultipartUpload:
    """One multipart upload of a file."""

    def __init__(
        self, job: Job, assembly: Assembly, source: FileSource, plan: Plan, memory: Memory
    ) -> None:
        self._job = job
        self._source = source
        self._plan = plan
        self._memory = memory
        self._assembly = assembly

    def settled(self) -> UploadResult | None:
        """The result of an earlier run that lost its commit's reply, if that is how it ended."""
        if self._memory.entry is None:
            return None
        finished = self._memory.finished()
        if len(finished) < self._plan.part_count or self._is_open(self._memory.entry):
            return None
        parts = self._with_md5(finished)
        answer = self._assembly.settled(parts)
        if answer is None:
            return None
        self._assembly.take_up(self._memory.entry.upload_id)
        self._job.kept_bytes = self._plan.size
        return self._finish(parts, answer)

    def _is_open(self, entry: Entry) -> bool:
        """Whether it was not committed: an object with the same bytes is an older one then."""
        try:
            return listed_parts(entry, self._job.storage) is not None
        except SessionError:
            if not self._job.request.outlive_session:
                raise
            return True

    def run(self, preconditions: Headers) -> UploadResult:
        """Send what is missing and commit. Raises UploadStopped when parts are left behind."""
        done = self._take_up()
        if done is None:
            self._create(preconditions)
            done = {}
        try:
            fresh = self._workers(done).run()
            parts = self._with_md5({**done, **fresh})
            self._source.check_unchanged()
            parts, answer = self._commit(parts, preconditions)
        except SourceChanged as error:
            self._abort(error)
            raise
        except OcihaulError as error:
            raise self._stopped(error) from error
        return self._finish(parts, answer)

    # Beginning

    def _take_up(self) -> dict[int, SentPart] | None:
        memory, job = self._memory, self._job
        if memory.entry is None:
            return None
        entry = memory.entry
        self._assembly.take_up(entry.upload_id)
        try:
            done = self._there(entry)
        except SessionError:
            if not self._assembly.outlives:
                raise
            done = memory.finished()
        if done is None:
            text = f"The service no longer knows upload {entry.upload_id}: beginning anew."
            job.listener(Notice(text))
            memory.forget()
            return None
        job.kept_bytes = sum(part.size for part in done.values())
        job.listener(MultipartUploadCreated(entry.upload_id, self._plan.part_count))
        count = f"{len(done)} of {self._plan.part_count} parts are there"
        job.listener(Notice(f"Going on with upload {entry.upload_id}: {count}."))
        for number, part in done.items():
            job.listener(PartFinished(number, part.size))
        return done

    def _there(self, entry: Entry) -> dict[int, SentPart] | None:
        """The parts that the service has and that are the file's; None: it knows no such upload.

        What the journal lost with the machine, or a run with its life, is imported.
        """
        job, memory = self._job, self._memory
        listed = listed_parts(entry, job.storage)
        if listed is None:
            return None
        done = agreeing(memory.finished(), listed)
        lacking = importable((part for part in listed if part.number not in done), self._plan)
        if not lacking:
            return done
        job.listener(Notice(f"Reading {len(lacking)} parts that only the service knows."))
        imported = import_parts(
            lacking,
            self._plan,
            self._source,
            job.integrity.algorithms,
            stop=job.stop,
            threads=job.request.parallel,
        )
        memory.record_all(imported)
        return {**done, **imported}

    def _create(self, preconditions: Headers) -> None:
        job, memory = self._job, self._memory
        intention = intention_of(
            job.request,
            self._source,
            part_size=self._plan.part_size,
            algorithm=job.integrity.declared,
            attributes=attributes_of(job.request),
        )
        upload_id = created(self._assembly, memory, job.request, intention, preconditions)
        job.listener(MultipartUploadCreated(upload_id, self._plan.part_count))

    # Sending

    def _workers(self, done: Mapping[int, SentPart]) -> PartWorkers:
        plan, source = self._plan, self._source
        missing = [number for number in range(1, plan.part_count + 1) if number not in done]
        return PartWorkers(
            one_by_one(Piece(number, source, *plan.part(number)) for number in missing),
            self._job.sender,
            self._assembly.add,
            record=self._memory.record,
            parallel=min(self._job.request.parallel, len(missing)),
            stop=self._job.stop,
            pace=self._job.pace,
        )

    def _with_md5(self, parts: Mapping[int, SentPart]) -> list[SentPart]:
        """The parts in order; where only some have an MD5 that is wanted, it is read for the rest.

        That happens when an earlier run did not want it.
        """
        ordered = [parts[number] for number in sorted(parts)]
        if MD5 not in self._job.integrity.algorithms:
            return ordered
        lacking = [number for number, part in enumerate(ordered, 1) if MD5 not in part.digests]
        ranges = [self._plan.part(number) for number in lacking]
        found = digest_ranges(self._source, ranges, [MD5], stop=self._job.stop)
        for number, digests in zip(lacking, found, strict=True):
            part = ordered[number - 1]
            ordered[number - 1] = replace(part, digests={**part.digests, **digests})
        return ordered

    # Ending

    def _commit(
        self, parts: list[SentPart], preconditions: Headers
    ) -> tuple[list[SentPart], Headers]:
        """Make the parts an object; returns them as they were committed, and the answer's headers.

        A request of a run that was killed, or of an attempt that was given up, may have its effect
        late and put its copy of a part in the place of ours. The service then refuses the etag that
        we know; its copy counts if it has the MD5 of the file.
        """
        try:
            return parts, self._assembly.commit(parts, preconditions)
        except ServiceError as error:
            replaced = self._replaced(parts) if error.status == 400 else {}
            if not replaced:
                raise
        for number, part in replaced.items():
            self._memory.record(number, part)
        parts = [replaced.get(number, part) for number, part in enumerate(parts, 1)]
        return parts, self._assembly.commit(parts, preconditions)

    def _replaced(self, parts: list[SentPart]) -> dict[int, SentPart]:
        """The parts of which the service has another copy than ours with the same bytes."""
        request = self._job.request
        listed = self._job.storage.list_multipart_upload_parts(
            request.namespace, request.bucket, request.name, upload_id=self._assembly.upload_id
        )
        copies = {
            copy.number: copy
            for copy in listed
            if copy.number <= len(parts) and copy.etag != parts[copy.number - 1].etag
        }
        ranges = [self._plan.part(number) for number in copies]
        digests = digest_ranges(self._source, ranges, [MD5], stop=self._job.stop)
        return {
            number: replace(parts[number - 1], etag=copy.etag)
            for (number, copy), ours in zip(copies.items(), digests, strict=True)
            if copy.md5 == checksum.encoded(ours[MD5])
        }

    def _finish(self, parts: list[SentPart], answer: Headers) -> UploadResult:
        """The upload is the service's object now; it is remembered until it has been compared."""
        try:
            return self._assembly.result(parts, answer)
        except ChecksumError:  # nothing to go on with
            self._memory.forget()
            raise

    def _abort(self, error: OcihaulError) -> None:
        """The parts are of a file that is no more: nobody can use them."""
        self._memory.forget()
        try:
            self._assembly.abort()
        except OcihaulError as trouble:
            left = f"The upload {self._assembly.upload_id} is left on the service"
            error.add_note(f"{left}: {trouble.message}")

    def _stopped(self, error: OcihaulError) -> OcihaulError:
        self._memory.catch_up()
        upload_id, hint = self._assembly.upload_id, self._how_to_go_on()
        if isinstance(error, Interrupted):
            return Interrupted(f"interrupted; upload {upload_id} is not complete", hint=hint)
        # After a lost reply of the commit it may be an object by now.
        if isinstance(error, ServiceError) and is_unknown_upload(error) and not error.after_retry:
            return UploadStopped(
                f"the service no longer knows upload {upload_id}: somebody has dropped it",
                upload_id=upload_id,
                resumable=True,
                hint="The same command, run again, begins anew. Is there a rule or a job that "
                "drops unfinished uploads?",
            )
        return UploadStopped(
            f"upload {upload_id} is not complete",
            upload_id=upload_id,
            resumable=error.resumable or isinstance(error, SourceError),
            hint=hint,
        )

    def _how_to_go_on(self) -> Sequence[str]:
        if self._memory.entry is not None and not self._memory.broken:
            return ["Its finished parts are kept: the same command, run again, goes on with them."]
        part_size = part_size_text(self._plan.part_size)
        command = resume_command(self._job.request, self._assembly.upload_id, part_size=part_size)
        return [
            f"Its finished parts are kept. Go on with: {command}",
            f"or drop them with: {self._assembly.how_to_abort()}",
        ]
