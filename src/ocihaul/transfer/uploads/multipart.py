"""A file in parts: create or take up, send what is missing, commit, compare."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ocihaul.errors import (
    ChecksumError,
    Interrupted,
    OcihaulError,
    ServiceError,
    SessionError,
    SourceChanged,
    SourceError,
    UploadStopped,
)
from ocihaul.events import MultipartUploadCreated, Notice, PartFinished
from ocihaul.storage.calls import is_unknown_upload
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import MD5
from ocihaul.transfer.crew import one_by_one
from ocihaul.transfer.digesting import digest_ranges
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal.values import Entry
from ocihaul.transfer.plan import Plan, part_size_text
from ocihaul.transfer.source import FileSource, Piece
from ocihaul.transfer.uploads.headers import attributes_of
from ocihaul.transfer.uploads.importing import import_parts, importable
from ocihaul.transfer.uploads.incomplete import resume_command
from ocihaul.transfer.uploads.job import Job
from ocihaul.transfer.uploads.memory import Memory
from ocihaul.transfer.uploads.outliving import assembly_for
from ocihaul.transfer.uploads.parts import PartWorkers
from ocihaul.transfer.uploads.request import UploadResult
from ocihaul.transfer.uploads.resuming import agreeing, created, intention_of, listed_parts
from ocihaul.transfer.uploads.sending import Headers


class MultipartUpload:
    """One multipart upload of a file."""

    def __init__(self, job: Job, source: FileSource, plan: Plan, memory: Memory) -> None:
        self._job = job
        self._source = source
        self._plan = plan
        self._memory = memory
        self._assembly = assembly_for(job, memory, size=source.size)

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
