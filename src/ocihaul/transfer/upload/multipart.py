"""A multipart upload: the requests it is made of, and a file that goes up through them."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from ocihaul.errors import (
    ChecksumError,
    NetworkError,
    OcihaulError,
    ServiceError,
    SessionError,
    SourceChangedError,
    SourceError,
    TransferCancelled,
    UploadIncompleteError,
)
from ocihaul.events import (
    BytesFound,
    BytesSent,
    MultipartUploadCreated,
    Notice,
    PartFinished,
    PartResent,
)
from ocihaul.storage.calls import Headers, is_unknown_upload
from ocihaul.storage.values import ObjectSummary
from ocihaul.threads import supply_of
from ocihaul.transfer import checksum
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5, SentPart, check_whole
from ocihaul.transfer.journal.database import Entry, Intention
from ocihaul.transfer.plan import Plan
from ocihaul.transfer.source import FileSource, Piece, digest_ranges
from ocihaul.transfer.upload.context import PartExecutor, RemoteUpload, UploadContext
from ocihaul.transfer.upload.incomplete import (
    abort_call,
    notices_of_others,
    par_store_of,
    resume_call,
)
from ocihaul.transfer.upload.part_uploader import MOST_SENDS, PartUploader, UploadPart
from ocihaul.transfer.upload.request import (
    UploadResult,
    attributes_of,
    create_document,
    encryption_headers,
)
from ocihaul.transfer.upload.resume import intention_of, list_parts, resumable_parts
from ocihaul.transfer.upload.state import UploadState


class MultipartSession:
    """The requests of one multipart upload: create, parts, commit, abort.

    They are the same for a file and for a stream. `upload_id` is empty before it is known.
    """

    def __init__(self, context: UploadContext) -> None:
        self.upload_id = ""
        #: Set when the request that creates it had to be sent more than once.
        self.repeated = threading.Event()
        self._context = context
        request = context.request
        self._where = (request.namespace, request.bucket, request.name)

    @property
    def survives_session(self) -> bool:
        """Whether parts can be sent without the login session."""
        return False

    def create(self, preconditions: Headers) -> str:
        """Create it at the service; return its id."""
        context, request = self._context, self._context.request
        headers = {
            **preconditions,
            **encryption_headers(request),
            **context.integrity.request_headers(),
        }
        self.upload_id = context.storage.create_multipart_upload(
            request.namespace,
            request.bucket,
            create_document(request),
            headers,
            repeated=self.repeated,
        )
        return self.upload_id

    def resume(self, upload_id: str) -> None:
        """Use an upload that an earlier run has created."""
        self.upload_id = upload_id

    def part_request(self) -> UploadPart:
        """The UploadPart request of this upload, all but number and body."""
        context = self._context
        return partial(
            context.storage.upload_part,
            *self._where,
            upload_id=self.upload_id,
            headers=self._part_headers(),
            abandoned=context.abandoned,
        )

    def _part_headers(self) -> Headers:
        context = self._context
        return encryption_headers(context.request) | context.integrity.request_headers()

    def commit(self, parts: Sequence[SentPart], preconditions: Headers) -> Headers:
        """Make the parts an object; return the answer's headers.

        A lost reply is settled by looking at the object. So is an upload that is gone: a run that
        was killed may have had its commit on the way.
        """
        context = self._context
        try:
            return context.storage.commit_multipart_upload(
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
            committed = self.find_committed(parts)
            if committed is None:
                raise
            self._abort_if_open()
            return committed

    def _abort_if_open(self) -> None:
        """Abort this upload where another one has made the same object, such as a killed run's.

        Its parts would be billed, and no program would know of them.
        """
        try:
            self.abort()
        except OcihaulError as error:
            if not (isinstance(error, ServiceError) and error.status == 404):
                left = f"Upload {self.upload_id} may be left at the service: {error.message}"
                self._context.listener(Notice(f"{left}. Drop it with: {self.abort_hint()}"))

    def find_committed(self, parts: Sequence[SentPart]) -> Headers | None:
        """The object's headers if it is made of these parts already."""
        size = sum(part.size for part in parts)
        return self._context.remote.matching(size, self._context.integrity.whole_headers(parts))

    def result(self, parts: Sequence[SentPart], answer: Headers) -> UploadResult:
        """Compare the object with what was sent, and return what the caller gets.

        Raises ChecksumError.
        """
        context = self._context
        expected = context.integrity.whole_headers(parts)
        wanted = checksum.multipart_header(MD5 if context.request.verify_checksum else CRC32C)
        if wanted not in answer and (there := self._head()) is not None:
            answer = {**there.headers, **answer}
        if not check_whole(expected, answer, context.request.name):
            text = "The service gives no checksum of the whole; each part was compared."
            context.listener(Notice(text))
        elif context.request.upload_id is not None:
            names = ", ".join(sorted(_compared(expected, answer)))
            text = f"Compared: each part by MD5, the object by {names} of its parts."
            context.listener(Notice(text))
        return context.result(
            answer,
            size=sum(part.size for part in parts),
            part_count=len(parts),
            upload_id=self.upload_id,
            crc32c=expected.get(checksum.multipart_header(CRC32C)),
            md5=expected.get(checksum.multipart_header(MD5)),
            parts=parts,
        )

    def _head(self) -> ObjectSummary | None:
        return self._context.remote.head()

    def abort(self) -> None:
        """Abort it with its parts."""
        self._context.storage.abort_multipart_upload(*self._where, upload_id=self.upload_id)

    def abort_with_deadline(self, seconds: float) -> None:
        """Abort it although the transfer was cancelled, within `seconds`."""
        with self._context.storage.bounded(seconds) as storage:
            storage.abort_multipart_upload(*self._where, upload_id=self.upload_id)

    def abort_hint(self) -> str:
        """The call that aborts it by hand."""
        return abort_call(self._context.request, self.upload_id)


def _compared(expected: Headers, answer: Headers) -> Iterator[str]:
    """The algorithms of which both sides have a value of the whole."""
    for name in (CRC32C, MD5, *DECLARABLE):
        if checksum.multipart_header(name) in expected.keys() & answer.keys():
            yield name


def create_recorded(
    session: MultipartSession,
    context: UploadContext,
    state: UploadState,
    intention: Intention,
    preconditions: Headers,
) -> str:
    """Create an upload at the service, noted in the journal before and after; return its id.

    All other incomplete uploads of this object are named: those that are there, and the one that
    an attempt whose answer was lost may have created.
    """
    request = context.request
    others = state.incomplete.of(request)
    for notice in notices_of_others(others, request):
        context.listener(notice)
    state.record_intention(intention)
    try:
        upload_id = session.create(preconditions)
    except ServiceError as error:
        if not error.after_retry:  # an attempt whose answer was lost may have created it
            state.forget_intention()
        raise
    state.begin(upload_id, intention)
    if session.repeated.is_set():
        known = {upload_id, *(each.upload_id for each in others)}
        for notice in notices_of_others(state.incomplete.new(request, known), request):
            context.listener(notice)
    return upload_id


class MultipartUpload:
    """One multipart upload of a file: resume or create, send what is missing, commit, compare."""

    def __init__(
        self,
        context: UploadContext,
        session: MultipartSession,
        source: FileSource,
        plan: Plan,
        state: UploadState,
    ) -> None:
        self._context = context
        self._session = session
        self._source = source
        self._plan = plan
        self._state = state

    def find_committed(self) -> UploadResult | None:
        """The result of an earlier run that lost its commit's reply, if that is how it ended."""
        entry = self._state.entry
        if entry is None:
            return None
        finished = self._state.finished_parts()
        if len(finished) < self._plan.part_count or self._is_open(entry):
            return None
        parts = self._with_md5(finished)
        answer = self._session.find_committed(parts)
        if answer is None:
            return None
        self._session.resume(entry.upload_id)
        self._context.kept_bytes = self._plan.size
        return self._result(parts, answer)

    def _is_open(self, entry: Entry) -> bool:
        """Whether it was not committed: an object with the same bytes is an older one then."""
        try:
            return list_parts(entry, self._context.storage) is not None
        except SessionError:
            if not self._context.request.outlive_session:
                raise
            return True

    def run(self, preconditions: Headers) -> UploadResult:
        """Upload what is missing and commit. Raises UploadIncompleteError when parts are left."""
        kept = self._resume()
        if kept is None:
            self._create(preconditions)
            kept = {}
        try:
            parts = self._with_md5({**kept, **self._upload(kept)})
            self._source.check_unchanged()
            parts, answer = self._commit(parts, preconditions)
        except SourceChangedError as error:
            self._abort(error)
            raise
        except OcihaulError as error:
            raise self._incomplete(error) from error
        return self._result(parts, answer)

    # Beginning

    def _resume(self) -> dict[int, SentPart] | None:
        """The parts that an earlier run has uploaded; None when there is nothing to resume."""
        state, context = self._state, self._context
        entry = state.entry
        if entry is None:
            return None
        self._session.resume(entry.upload_id)
        try:
            kept = resumable_parts(entry, context, state, self._source, self._plan)
        except SessionError:
            if not self._session.survives_session:
                raise
            kept = state.finished_parts()
        if kept is None:
            text = f"The service no longer knows upload {entry.upload_id}: beginning anew."
            context.listener(Notice(text))
            state.forget()
            return None
        context.kept_bytes = sum(part.size for part in kept.values())
        context.listener(MultipartUploadCreated(entry.upload_id, self._plan.part_count))
        count = f"{len(kept)} of {self._plan.part_count} parts are there"
        context.listener(Notice(f"Resuming upload {entry.upload_id}: {count}."))
        for number, part in kept.items():
            context.listener(BytesFound(number, part.size, context.request.name))
        for number, part in kept.items():
            context.listener(PartFinished(number, part.size, context.request.name))
        return kept

    def _create(self, preconditions: Headers) -> None:
        context = self._context
        intention = intention_of(
            context.request,
            self._source,
            part_size=self._plan.part_size,
            algorithm=context.integrity.declared,
            attributes=attributes_of(context.request),
        )
        upload_id = create_recorded(self._session, context, self._state, intention, preconditions)
        context.listener(MultipartUploadCreated(upload_id, self._plan.part_count))

    # Sending

    def _upload(self, kept: Mapping[int, SentPart]) -> dict[int, SentPart]:
        """Upload the parts that are missing; return them by number."""
        plan, source = self._plan, self._source
        missing = [number for number in range(1, plan.part_count + 1) if number not in kept]
        if self._context.executor is not None:
            return self._upload_elsewhere(missing, self._context.executor)
        uploader = PartUploader(
            self._context, self._session.part_request(), record=self._state.record
        )
        return uploader.run(
            supply_of(Piece(number, source, *plan.part(number)) for number in missing),
            parallel=min(self._context.request.parallel, len(missing)),
        )

    def _upload_elsewhere(
        self, missing: Sequence[int], executor: PartExecutor
    ) -> dict[int, SentPart]:
        """The same by other machines; each part counts once the service has the copy they tell of.

        Their word is no proof: the service's list has etag, size and MD5 of each part.
        """
        context = self._context
        upload = RemoteUpload(context.request, self._session.upload_id, context.integrity.declared)
        parts = {number: self._plan.part(number) for number in missing}
        with executor.sending_parts(upload, self._told) as tasks:
            done = tasks.send(parts)
            for _ in range(MOST_SENDS):
                done, wrong = self._proved(done)
                if not wrong:
                    return done
                for number, reason in wrong.items():
                    context.listener(PartResent(number, parts[number][1], reason))
                done |= tasks.send({number: parts[number] for number in wrong}, elsewhere=True)
            done, wrong = self._proved(done)
        if wrong:
            number, reason = next(iter(wrong.items()))
            raise ChecksumError(
                f"part {number} is not what its worker has told, {MOST_SENDS} times: {reason}",
                hint="Look at the workers: their memory, their disk, their version.",
            )
        return done

    def _told(self, number: int, part: SentPart, sent: int) -> None:
        context = self._context
        context.count_sent(sent)
        context.listener(BytesSent(number, part.size, context.request.name))
        context.listener(PartFinished(number, part.size, context.request.name))
        self._state.record(number, part)

    def _proved(self, done: Mapping[int, SentPart]) -> tuple[dict[int, SentPart], dict[int, str]]:
        """The parts that the service has as they were told, and what is wrong with the others.

        Another copy with the same bytes counts: of a worker that was taken for dead.
        """
        request = self._context.request
        listed = self._context.storage.list_multipart_upload_parts(
            request.namespace, request.bucket, request.name, upload_id=self._session.upload_id
        )
        copies = {copy.number: copy for copy in listed if copy.number in done}
        good: dict[int, SentPart] = {}
        wrong: dict[int, str] = {}
        for number, part in done.items():
            copy, (_, length) = copies.get(number), self._plan.part(number)
            md5 = checksum.encoded(part.digests.get(MD5, b""))
            if copy is None:
                wrong[number] = "the service does not have it"
            elif part.size != length or copy.size not in {None, length}:
                wrong[number] = f"it has {copy.size} bytes, not {length}"
            elif copy.md5 not in {None, md5}:
                wrong[number] = f"its MD5 is {copy.md5}, not {md5}"
            elif copy.etag != part.etag:
                good[number] = replace(part, etag=copy.etag)
                self._state.record(number, good[number])
            else:
                good[number] = part
        return good, wrong

    def _with_md5(self, parts: Mapping[int, SentPart]) -> list[SentPart]:
        """The parts in order. An MD5 that is wanted is read for the parts that lack it.

        An earlier run may not have wanted it.
        """
        ordered = [parts[number] for number in sorted(parts)]
        if MD5 not in self._context.integrity.algorithms:
            return ordered
        lacking = [number for number, part in enumerate(ordered, 1) if MD5 not in part.digests]
        ranges = [self._plan.part(number) for number in lacking]
        found = digest_ranges(self._source, ranges, [MD5], stop=self._context.stop)
        for number, digests in zip(lacking, found, strict=True):
            part = ordered[number - 1]
            ordered[number - 1] = replace(part, digests={**part.digests, **digests})
        return ordered

    # Ending

    def _commit(
        self, parts: list[SentPart], preconditions: Headers
    ) -> tuple[list[SentPart], Headers]:
        """Make the parts an object; return them as they were committed, and the answer's headers.

        A request of a run that was killed, or of an attempt that was given up, may take effect late
        and replace our copy of a part by its own. The service then refuses the etag that we know;
        its copy counts if it has the MD5 of the file.
        """
        try:
            return parts, self._session.commit(parts, preconditions)
        except ServiceError as error:
            replaced = self._replaced(parts) if error.status == 400 else {}
            if not replaced:
                raise
        for number, part in replaced.items():
            self._state.record(number, part)
        parts = [replaced.get(number, part) for number, part in enumerate(parts, 1)]
        return parts, self._session.commit(parts, preconditions)

    def _replaced(self, parts: list[SentPart]) -> dict[int, SentPart]:
        """The parts of which the service has another copy than ours with the same bytes."""
        request = self._context.request
        listed = self._context.storage.list_multipart_upload_parts(
            request.namespace, request.bucket, request.name, upload_id=self._session.upload_id
        )
        copies = {
            copy.number: copy
            for copy in listed
            if copy.number <= len(parts) and copy.etag != parts[copy.number - 1].etag
        }
        ranges = [self._plan.part(number) for number in copies]
        digests = digest_ranges(self._source, ranges, [MD5], stop=self._context.stop)
        return {
            number: replace(parts[number - 1], etag=copy.etag)
            for (number, copy), ours in zip(copies.items(), digests, strict=True)
            if copy.md5 == checksum.encoded(ours[MD5])
        }

    def _result(self, parts: list[SentPart], answer: Headers) -> UploadResult:
        """The result; the journal keeps the upload until the object has been compared."""
        try:
            return self._session.result(parts, answer)
        except ChecksumError:  # nothing to resume
            self._state.forget()
            raise

    def _abort(self, error: OcihaulError) -> None:
        """Abort an upload whose parts are of no use: the file has changed."""
        self._state.forget()
        try:
            self._session.abort()
        except OcihaulError as trouble:
            left = f"The upload {self._session.upload_id} is left on the service"
            error.add_note(f"{left}: {trouble.message}")

    def _incomplete(self, error: OcihaulError) -> OcihaulError:
        self._state.flush()
        upload_id, hint = self._session.upload_id, self._how_to_resume()
        if isinstance(error, TransferCancelled):
            return TransferCancelled(f"interrupted; upload {upload_id} is not complete", hint=hint)
        # After a lost reply of the commit it may be an object by now.
        if isinstance(error, ServiceError) and is_unknown_upload(error) and not error.after_retry:
            return UploadIncompleteError(
                f"the service no longer knows upload {upload_id}: it was aborted elsewhere",
                upload_id=upload_id,
                resumable=True,
                hint="The same command, run again, begins anew. Is there a rule or a job that "
                "drops unfinished uploads?",
            )
        return UploadIncompleteError(
            f"upload {upload_id} is not complete",
            upload_id=upload_id,
            resumable=error.resumable or isinstance(error, SourceError),
            hint=hint,
        )

    def _how_to_resume(self) -> Sequence[str]:
        if self._state.entry is not None and not self._state.unavailable:
            done, again = len(self._state.finished_parts()), "the same command, run again,"
            if not done:
                return [f"None of its parts is finished: {again} begins with the first."]
            kept = f"{done} of its {self._plan.part_count} parts are finished and kept"
            return [f"{kept}: {again} resumes it."]
        call = resume_call(
            self._context.request, self._session.upload_id, part_size=self._plan.part_size
        )
        return [
            f"Its finished parts are kept. Resume with: {call}",
            f"or drop them with: {self._session.abort_hint()}",
        ]


def multipart_session(
    context: UploadContext, state: UploadState, *, size: int | None
) -> MultipartSession:
    """The session that the request wants, with or without a PAR; `size` is bytes."""
    store = par_store_of(state.journal, state.target)
    wanted = context.request.outlive_session
    if not wanted and store.load() is None:
        return MultipartSession(context)
    from ocihaul.transfer.upload.par_upload import PreauthenticatedSession  # noqa: PLC0415

    return PreauthenticatedSession(context, store, state.target, size=size, wanted=wanted)
