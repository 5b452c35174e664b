"""Resume an upload: find it, make sure that it is of this file, and see which parts are there.

The journal knows what was finished; the service knows what it has. A part counts when both agree
on its etag and size. One that only the service has, of this upload or of one begun elsewhere, is
imported: the service lists etag, MD5 and size of each part, and it counts when its MD5 is that of
the same range of the file. What differs is sent again, so a foreign part is never committed.
Without an entry in the journal an upload begins anew, unless a run was killed between its creation
and the note of it.
"""

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ocihaul.errors import (
    OcihaulError,
    ServiceError,
    SourceChangedError,
    UsageError,
)
from ocihaul.events import Notice
from ocihaul.storage.calls import is_unknown_upload
from ocihaul.storage.client import StorageClient
from ocihaul.storage.values import PartSummary, UploadSummary
from ocihaul.transfer.checksum import CRC32C, MD5, SentPart, encoded
from ocihaul.transfer.journal.database import STREAM, Entry, Intention
from ocihaul.transfer.plan import MB, MIB, Plan, ServiceLimits, size_text
from ocihaul.transfer.source import FileSource, Identity, digest_ranges
from ocihaul.transfer.upload.context import UploadContext
from ocihaul.transfer.upload.incomplete import created_by, end_par, par_store_of
from ocihaul.transfer.upload.request import (
    UploadRequest,
    attributes_of,
    encryption_of,
    requested_algorithm,
)
from ocihaul.transfer.upload.state import UploadState

_NO_IDENTITY = Identity(0, 0, 0, 0)
_RESTART = "Pass `restart` to drop the incomplete upload and begin anew."
_UNKNOWN_CHECKSUM = (
    "It is not known which checksum the upload was created with: nothing is declared for its "
    "parts, and they are compared by MD5."
)

# The upload


def find_resumable(
    state: UploadState,
    request: UploadRequest,
    source: FileSource,
    storage: StorageClient,
    stop: threading.Event,
) -> Entry | None:
    """The incomplete upload that this request resumes, if there is one.

    With `request.restart` it is discarded, here and at the service. Raises SourceChangedError when
    it is of another file, UsageError when encryption, attributes or checksum differ,
    TransferCancelled.
    """
    entry = state.load() or _entry_of_orphan(state, request, source, storage)
    if entry is None:
        return None
    same = _same_file(entry.identity, source.identity)
    if request.upload_id is not None and not (same and request.upload_id == entry.upload_id):
        state.entry = None  # another upload, or of a copy: its parts tell what they are
        return None
    if request.restart or is_orphaned_stream(state, entry):
        discard(state, entry, storage)
        return None
    if not same:
        raise SourceChangedError(
            f"{source.path} is not the file of which upload {entry.upload_id} has parts already "
            f"({_difference(entry.identity, source.identity)})",
            hint=_RESTART,
        )
    if entry.ctime_ns not in {None, source.ctime_ns}:
        _verify_finished_parts(state, entry, source, stop)
    _validate_same_options(entry, request)
    if request.upload_id is not None:
        _validate_part_size(request.part_size, entry.part_size)
    elif request.part_size not in {None, entry.part_size}:
        size = entry.part_size / MIB
        state.listener(Notice(f"Resuming with parts of {size:g} MiB, as the upload was begun."))
    return entry


def _validate_same_options(entry: Entry, request: UploadRequest) -> None:
    """Raise UsageError where the upload was begun with other options than these."""
    if entry.encryption != encryption_of(request):
        raise UsageError(
            f"upload {entry.upload_id} was begun with another encryption key", hint=_RESTART
        )
    if request.upload_id is None and entry.attributes is not None:
        validate_attributes(entry.upload_id, entry.attributes, attributes_of(request))
    algorithm = requested_algorithm(request)
    if algorithm not in {None, entry.algorithm}:
        raise UsageError(
            f"upload {entry.upload_id} was begun with {entry.algorithm}, not {algorithm}",
            hint=_RESTART,
        )


def intention_of(
    request: UploadRequest,
    source: FileSource | None,
    *,
    part_size: int,
    algorithm: str,
    attributes: Mapping[str, object] | None = None,
) -> Intention:
    """What is about to be created; without a `source` for a stream. `part_size` is bytes."""
    if source is None:
        return Intention(STREAM, _NO_IDENTITY, part_size, encryption_of(request), algorithm)
    return Intention(
        # A name that is not UTF-8 cannot be stored as text.
        source=str(source.path.absolute()).encode(errors="backslashreplace").decode(),
        identity=source.identity,
        part_size=part_size,
        encryption=encryption_of(request),
        algorithm=algorithm,
        attributes=attributes,
        ctime_ns=source.ctime_ns,
    )


def created_by_earlier_run(
    state: UploadState, request: UploadRequest
) -> tuple[Intention, UploadSummary] | None:
    """The upload that a run of ours created and could not note any more, with its intention."""
    intention = state.load_intention()
    if intention is None:
        return None
    found = created_by(intention, state.incomplete.of(request))
    return None if found is None else (intention, found)


def _entry_of_orphan(
    state: UploadState, request: UploadRequest, source: FileSource, storage: StorageClient
) -> Entry | None:
    """The upload of `created_by_earlier_run`, noted now, if this request can resume it."""
    created = created_by_earlier_run(state, request)
    if created is None:
        return None
    intention, found = created
    if request.upload_id not in {None, found.upload_id}:
        return None
    if request.restart or (intention.source == STREAM and request.upload_id is None):
        discard_orphan(state, found, storage)
        return None
    if not _fits(intention, request, source):
        return None
    text = f"Upload {found.upload_id} was created by a run that ended before it noted it."
    state.listener(Notice(text))
    state.begin(found.upload_id, intention)
    return state.entry


def _fits(intention: Intention, request: UploadRequest, source: FileSource) -> bool:
    """Whether what was about to be created is what is asked for now."""
    same_attributes = request.upload_id is not None or intention.attributes == attributes_of(
        request
    )
    return (
        _same_file(intention.identity, source.identity)
        and intention.encryption == encryption_of(request)
        and same_attributes
        and requested_algorithm(request) in {None, intention.algorithm}
    )


def _same_file(then: Identity, now: Identity) -> bool:
    # Not the device: its number may be another after a reboot or in another container.
    return (then.inode, then.size, then.mtime_ns) == (now.inode, now.size, now.mtime_ns)


def _difference(then: Identity, now: Identity) -> str:
    if then.size != now.size:
        return f"{then.size} bytes then, {now.size} now"
    return "it was written since" if then.inode == now.inode else "another file of the same size"


def validate_attributes(
    upload_id: str, then: Mapping[str, object], now: Mapping[str, object]
) -> None:
    """Raise UsageError unless an upload was begun with the attributes asked for now; pure.

    They were fixed when it was created: resuming would silently give the object the old ones.
    """
    differing = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if differing:
        words = (re.sub("[A-Z]", lambda match: f" {match[0].lower()}", name) for name in differing)
        raise UsageError(
            f"upload {upload_id} was begun with another {' and another '.join(words)}",
            hint=f"Give the same options as then to resume it. {_RESTART}",
        )


# Its end, where it cannot be resumed


def is_orphaned_stream(state: UploadState, entry: Entry) -> bool:
    """Whether an upload is of a stream, which cannot be read again; the listener is told."""
    if entry.source != STREAM:
        return False
    state.listener(Notice(f"Dropping upload {entry.upload_id}: its stream was interrupted."))
    return True


def discard(state: UploadState, entry: Entry, storage: StorageClient) -> None:
    """Abort the upload and forget it."""
    target = entry.target
    _abort(state, (target.namespace, target.bucket, target.object), entry.upload_id, storage)
    end_par(par_store_of(state.journal, target), storage, target, state.listener)
    state.forget()


def discard_orphan(state: UploadState, found: UploadSummary, storage: StorageClient) -> None:
    """Abort an upload that a run of ours created and could not note any more."""
    text = f"Dropping upload {found.upload_id}: its run ended before it noted it."
    state.listener(Notice(text))
    where = (found.namespace, found.bucket, found.name)
    if _abort(state, where, found.upload_id, storage):
        state.incomplete.end(found.upload_id)


def _abort(
    state: UploadState, where: tuple[str, str, str], upload_id: str, storage: StorageClient
) -> bool:
    try:
        storage.abort_multipart_upload(*where, upload_id=upload_id)
    except OcihaulError as error:
        state.listener(Notice(f"Upload {upload_id} could not be dropped: {error.message}"))
        return False
    return True


# Its parts


def resumable_parts(
    entry: Entry, context: UploadContext, state: UploadState, source: FileSource, plan: Plan
) -> dict[int, SentPart] | None:
    """The parts that the service has and that are the file's; None: it knows no such upload.

    What the journal lost with the machine, or a run with its life, is imported. Raises SourceError,
    ServiceError, SessionError, NetworkError, TransferCancelled.
    """
    listed = list_parts(entry, context.storage)
    if listed is None:
        return None
    confirmed = confirmed_parts(state.finished_parts(), listed)
    unknown = importable((part for part in listed if part.number not in confirmed), plan)
    if not unknown:
        return confirmed
    context.listener(Notice(f"Reading {len(unknown)} parts that only the service knows."))
    imported = import_parts(
        unknown,
        plan,
        source,
        context.integrity.algorithms,
        stop=context.stop,
        threads=context.request.parallel,
    )
    state.record_all(imported)
    return {**confirmed, **imported}


def list_parts(entry: Entry, storage: StorageClient) -> list[PartSummary] | None:
    """The parts that the service has of an upload; None when it does not know the upload."""
    target = entry.target
    try:
        return list(
            storage.list_multipart_upload_parts(
                target.namespace, target.bucket, target.object, upload_id=entry.upload_id
            )
        )
    except ServiceError as error:
        if is_unknown_upload(error):
            return None
        raise


def confirmed_parts(
    finished: Mapping[int, SentPart], listed: Iterable[PartSummary]
) -> dict[int, SentPart]:
    """The finished parts that the service has, too, with the same etag and size; pure."""
    there = {part.number: (part.etag, part.size) for part in listed}
    return {
        number: part
        for number, part in finished.items()
        if there.get(number) == (part.etag, part.size)
    }


def _verify_finished_parts(
    state: UploadState, entry: Entry, source: FileSource, stop: threading.Event
) -> None:
    """Raise SourceChangedError unless the finished parts are still those of the file.

    A program that writes to a file can set its modification time back, as encrypted containers do.
    """
    finished = state.finished_parts()
    text = f"{source.path} was touched since: reading its {len(finished)} finished parts again."
    state.listener(Notice(text))
    plan = Plan(source.size, entry.part_size, multipart=True)
    ranges = [plan.part(number) for number in finished]
    digests = digest_ranges(source, ranges, [CRC32C], stop=stop)
    for part, now in zip(finished.values(), digests, strict=True):
        if part.digests[CRC32C] != now[CRC32C]:
            raise SourceChangedError(
                f"{source.path} was written since upload {entry.upload_id} was begun, and its time "
                "set back",
                hint=_RESTART,
            )


def importable(listed: Iterable[PartSummary], plan: Plan) -> list[PartSummary]:
    """The parts that can be of this plan: they have an MD5 and their place's size; pure."""
    return [
        part
        for part in listed
        if part.md5
        and 1 <= part.number <= plan.part_count
        and part.size == plan.part(part.number)[1]
    ]


def import_parts(
    listed: Iterable[PartSummary],
    plan: Plan,
    source: FileSource,
    algorithms: Collection[str],
    *,
    stop: threading.Event,
    threads: int,
) -> dict[int, SentPart]:
    """Those of the parts that are the file's, by number; their ranges are read once.

    Each gets its digests by `algorithms`, CRC32C and MD5. Raises SourceError, TransferCancelled.
    """
    likely = importable(listed, plan)
    ranges = [plan.part(part.number) for part in likely]
    wanted = {*algorithms, CRC32C, MD5}
    digests = digest_ranges(source, ranges, wanted, stop=stop, threads=threads)
    return {
        part.number: SentPart(part.size, part.etag, each)
        for part, each in zip(likely, digests, strict=True)
        if encoded(each[MD5]) == part.md5
    }


# An upload that was begun elsewhere


def import_upload(
    state: UploadState,
    request: UploadRequest,
    source: FileSource,
    storage: StorageClient,
    stop: threading.Event,
) -> Entry:
    """Import `request.upload_id`, which the journal does not know, with the parts of this file.

    Raises ServiceError when the service does not know it, UsageError when it cannot be of this
    file, SourceError, TransferCancelled.
    """
    upload_id = request.upload_id or ""
    where = (request.namespace, request.bucket, request.name)
    listed = list(storage.list_multipart_upload_parts(*where, upload_id=upload_id))
    part_size = part_size_of(listed, source.size, request.part_size, request.limits)
    plan = Plan(source.size, part_size, multipart=True)
    _validate_fits(listed, plan, upload_id, request.limits)
    _validate_part_size(request.part_size, part_size)
    declared = _declared_algorithm(state, request)
    text = f"Its parts declare {declared}." if declared else _UNKNOWN_CHECKSUM
    state.listener(Notice(text))
    if part_size % MIB and part_size % MB:
        text = f"a download needs a `part_size` of {part_size} bytes to compare the object"
        state.listener(Notice(f"Its parts have an odd size: {text}."))
    state.listener(Notice(f"Reading {len(listed)} parts, to see whether they are of this file."))
    # Of MD5 nothing is declared: the service always computes it.
    intention = intention_of(request, source, part_size=part_size, algorithm=declared or MD5)
    right = import_parts(
        listed, plan, source, [intention.algorithm], stop=stop, threads=request.parallel
    )
    entry = state.import_upload(upload_id, intention, right)
    if wrong := len(listed) - len(right):
        text = f"{wrong} of the {len(listed)} parts there are not of this file: they are sent again"
        state.listener(Notice(f"{text}."))
    return entry


def _validate_part_size(given: int | None, actual: int) -> None:
    """Raise UsageError where the caller names another part size than that of the upload."""
    if given not in {None, actual}:
        raise UsageError(
            f"`part_size`: {size_text(given or 0)} (the upload has parts of {size_text(actual)})",
            hint="Leave it out: the upload knows the size of its parts.",
        )


def _declared_algorithm(state: UploadState, request: UploadRequest) -> str | None:
    """The checksum that the upload was created with, as far as the caller or the journal knows."""
    if request.checksum_algorithm is not None:
        return request.checksum_algorithm
    noted, state.entry = state.load(), None
    if noted is not None and noted.upload_id == request.upload_id:
        return noted.algorithm if noted.algorithm != MD5 else None
    created = created_by_earlier_run(state, request)
    if created is None or created[1].upload_id != request.upload_id:
        return None
    return created[0].algorithm


def part_size_of(
    listed: Sequence[PartSummary], size: int, given: int | None, limits: ServiceLimits
) -> int:
    """The part size of an upload of `size` bytes whose parts are `listed`; pure, bytes.

    All parts but the last have it. Without any part that tells, it is what was given. Raises
    UsageError when the parts cannot be those of such a file.
    """
    if size == 0:
        raise UsageError("the file is empty: there is nothing to resume")
    sizes = Counter(part.size for part in listed if part.size > 0)
    if len(listed) == 1 and (whole := _before_the_last(listed[0], size)) is not None:
        return whole
    if sizes:
        # A single part of another size does not outvote the others.
        most = max(sizes.values())
        return max(each for each, count in sizes.items() if count == most)
    return limits.fitting_part(size, given or limits.default_part)


def _before_the_last(part: PartSummary, size: int) -> int | None:
    """The size of the other parts, if this one can only be the last: others are of whole MiB."""
    if part.size % MIB == 0 or part.number == 1:
        return None
    others, left = divmod(size - part.size, part.number - 1)
    return others if left == 0 and others >= part.size and others % MIB == 0 else None


def _validate_fits(
    listed: Sequence[PartSummary], plan: Plan, upload_id: str, limits: ServiceLimits
) -> None:
    if plan.part_count > limits.most_parts:
        raise UsageError(
            f"upload {upload_id} has parts of {plan.part_size} bytes: the file's {plan.size} would "
            f"be {plan.part_count} of them, and an upload has at most {limits.most_parts}",
            hint="Is it the right upload? A new one makes its parts large enough.",
        )
    beyond = [part.number for part in listed if part.number > plan.part_count]
    if beyond:
        raise UsageError(
            f"upload {upload_id} has a part {max(beyond)}, but {plan.size} bytes in parts of "
            f"{plan.part_size} bytes are {plan.part_count}",
            hint="Is it the right file, and the right upload? List its parts with: "
            "ocihaul os multipart list",
        )
