"""Going on where an earlier run stopped: which parts are there, and whether they are of this file.

The journal says what was finished; the service says what it has. A part counts when both agree on
its etag and size; one that only the service has is imported (`importing`). Without an entry in the
journal an upload is begun anew, unless a run was killed between its creation and the note of it.
"""

import re
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from ocihaul.errors import (
    OcihaulError,
    ServiceError,
    SourceChanged,
    UsageError,
)
from ocihaul.events import Listener, Notice
from ocihaul.storage.calls import is_unknown_upload
from ocihaul.storage.client import StorageClient
from ocihaul.storage.listing import UploadSummary
from ocihaul.storage.types import PartSummary
from ocihaul.transfer.checksum import CRC32C, MD5, encoded
from ocihaul.transfer.hashing import digest_ranges
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.journal.values import STREAM, Entry, Intention
from ocihaul.transfer.plan import DEFAULT_PART_SIZE, MB, MIB, MOST_PARTS, Plan, part_size_text
from ocihaul.transfer.source import FileSource, Identity
from ocihaul.transfer.upload.context import wished_algorithm
from ocihaul.transfer.upload.incomplete import created_by
from ocihaul.transfer.upload.par_store import access_of, end_access
from ocihaul.transfer.upload.request import UploadRequest, attributes_of
from ocihaul.transfer.upload.state import Memory


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

    Each gets its digests by `algorithms`, by CRC32C and by MD5. Raises SourceError, Interrupted.
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


_NOTHING = Identity(0, 0, 0, 0)
_RESTART = "Run again with --restart to drop the unfinished upload and begin anew."


def encryption_of(request: UploadRequest) -> str:
    """How the parts are encrypted, in a form that gives no key away."""
    if request.sse_customer_key is not None:
        return "sse-c " + request.sse_customer_key.headers()["opc-sse-customer-key-sha256"]
    return f"kms {request.kms_key_id}" if request.kms_key_id else "service"


def recall(
    memory: Memory,
    request: UploadRequest,
    source: FileSource,
    storage: StorageClient,
    stop: threading.Event,
) -> Entry | None:
    """The unfinished upload that this request goes on with, if there is one.

    With `request.restart` it is dropped, here and at the service. Raises SourceChanged when the
    file is not the one that was begun, UsageError when its encryption or checksum is not,
    Interrupted.
    """
    entry = memory.find() or _taken_up(memory, request, source, storage)
    if entry is None:
        return None
    same = _same_file(entry.identity, source.identity)
    if request.upload_id is not None and not (same and request.upload_id == entry.upload_id):
        memory.entry = None  # another upload, or of a copy: its parts tell what they are
        return None
    if request.restart or is_lost(entry, memory.listener):
        drop(memory, entry, storage)
        return None
    if not same:
        raise SourceChanged(
            f"{source.path} is not the file of which upload {entry.upload_id} has parts already "
            f"({_difference(entry.identity, source.identity)})",
            hint=_RESTART,
        )
    if entry.ctime_ns not in {None, source.ctime_ns}:
        _check_parts(memory, entry, source, stop)
    if entry.encryption != encryption_of(request):
        raise UsageError(
            f"upload {entry.upload_id} was begun with another encryption key", hint=_RESTART
        )
    if request.upload_id is None and entry.attributes is not None:
        check_attributes(entry.upload_id, entry.attributes, attributes_of(request))
    wished = wished_algorithm(request)
    if wished not in {None, entry.algorithm}:
        raise UsageError(
            f"upload {entry.upload_id} was begun with {entry.algorithm}, not {wished}",
            hint=_RESTART,
        )
    if request.part_size not in {None, entry.part_size}:
        size = entry.part_size / MIB
        memory.listener(Notice(f"Going on with parts of {size:g} MiB, as the upload was begun."))
    return entry


def intention_of(
    request: UploadRequest,
    source: FileSource | None,
    *,
    part_size: int,
    algorithm: str,
    attributes: Mapping[str, object] | None = None,
) -> Intention:
    """What is about to be created; without a `source` for a stream. `part_size` is bytes."""
    return Intention(
        # A name that is not UTF-8 cannot be stored as text.
        source=STREAM
        if source is None
        else str(source.path.absolute()).encode(errors="backslashreplace").decode(),
        identity=_NOTHING if source is None else source.identity,
        part_size=part_size,
        encryption=encryption_of(request),
        algorithm=algorithm,
        attributes=attributes,
        ctime_ns=None if source is None else source.ctime_ns,
    )


def created_before(
    memory: Memory, request: UploadRequest
) -> tuple[Intention, UploadSummary] | None:
    """The upload that a run of ours created and could not note any more, with what it was for."""
    intention = memory.intended()
    if intention is None:
        return None
    found = created_by(intention, memory.incomplete.of(request))
    return None if found is None else (intention, found)


def _taken_up(
    memory: Memory, request: UploadRequest, source: FileSource, storage: StorageClient
) -> Entry | None:
    """The upload of `created_before`, noted now, if this request can go on with it."""
    created = created_before(memory, request)
    if created is None:
        return None
    intention, found = created
    if request.upload_id not in {None, found.upload_id}:
        return None
    if request.restart or (intention.source == STREAM and request.upload_id is None):
        drop_orphan(memory, found, storage)
        return None
    if not _fits(intention, request, source):
        return None
    text = f"Upload {found.upload_id} was created by a run that ended before it noted it."
    memory.listener(Notice(text))
    memory.begin(found.upload_id, intention)
    return memory.entry


def _fits(intention: Intention, request: UploadRequest, source: FileSource) -> bool:
    """Whether what was about to be created is what is wanted now."""
    return (
        _same_file(intention.identity, source.identity)
        and intention.encryption == encryption_of(request)
        and (request.upload_id is not None or intention.attributes == attributes_of(request))
        and wished_algorithm(request) in {None, intention.algorithm}
    )


def drop_orphan(memory: Memory, found: UploadSummary, storage: StorageClient) -> None:
    """Abort an upload that a run of ours created and could not note any more."""
    where = (found.namespace, found.bucket, found.name)
    text = f"Dropping upload {found.upload_id}: its run ended before it noted it."
    memory.listener(Notice(text))
    try:
        storage.abort_multipart_upload(*where, upload_id=found.upload_id)
    except OcihaulError as error:
        memory.listener(Notice(f"Upload {found.upload_id} could not be dropped: {error.message}"))
    else:
        memory.incomplete.end(found.upload_id)


def _same_file(then: Identity, now: Identity) -> bool:
    # Not the device: its number may be another after a reboot or in another container.
    return (then.inode, then.size, then.mtime_ns) == (now.inode, now.size, now.mtime_ns)


def _difference(then: Identity, now: Identity) -> str:
    if then.size != now.size:
        return f"{then.size} bytes then, {now.size} now"
    return "it was written since" if then.inode == now.inode else "another file of the same size"


def _check_parts(memory: Memory, entry: Entry, source: FileSource, stop: threading.Event) -> None:
    """Raise SourceChanged unless the finished parts are still those of the file.

    Its modification time can be set back by who has written it, as encrypted containers do.
    """
    finished = memory.finished()
    text = f"{source.path} was touched since: reading its {len(finished)} finished parts again."
    memory.listener(Notice(text))
    plan = Plan(source.size, entry.part_size, multipart=True)
    ranges = [plan.part(number) for number in finished]
    digests = digest_ranges(source, ranges, [CRC32C], stop=stop)
    for part, now in zip(finished.values(), digests, strict=True):
        if part.digests[CRC32C] != now[CRC32C]:
            raise SourceChanged(
                f"{source.path} was written since upload {entry.upload_id} was begun, and its time "
                "set back",
                hint=_RESTART,
            )


def check_attributes(upload_id: str, then: Mapping[str, object], now: Mapping[str, object]) -> None:
    """Raise UsageError unless an upload was begun with the attributes that are wanted now; pure.

    They were fixed when it was created: going on would silently give the object the old ones.
    """
    differing = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if differing:
        words = (re.sub("[A-Z]", lambda match: f" {match[0].lower()}", name) for name in differing)
        raise UsageError(
            f"upload {upload_id} was begun with another {' and another '.join(words)}",
            hint=f"Give the same options as then to go on with it. {_RESTART}",
        )


def listed_parts(entry: Entry, storage: StorageClient) -> list[PartSummary] | None:
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


def agreeing(
    finished: Mapping[int, SentPart], listed: Iterable[PartSummary]
) -> dict[int, SentPart]:
    """The finished parts that the service has, too, with the same etag and size; pure."""
    there = {part.number: (part.etag, part.size) for part in listed}
    return {
        number: part
        for number, part in finished.items()
        if there.get(number) == (part.etag, part.size)
    }


def is_lost(entry: Entry, listener: Listener) -> bool:
    """Whether nobody can go on with it: a stream that was interrupted cannot be read again."""
    if entry.source != STREAM:
        return False
    listener(Notice(f"Dropping upload {entry.upload_id}: its stream was interrupted."))
    return True


def drop(memory: Memory, entry: Entry, storage: StorageClient) -> None:
    """Abort the upload and forget it."""
    target = entry.target
    try:
        storage.abort_multipart_upload(
            target.namespace, target.bucket, target.object, upload_id=entry.upload_id
        )
    except OcihaulError as error:
        memory.listener(Notice(f"Upload {entry.upload_id} could not be dropped: {error.message}"))
    end_access(access_of(memory.journal, target), storage, target, memory.listener)
    memory.forget()


_UNKNOWN = (
    "It is not known which checksum the upload was created with: nothing is declared for its "
    "parts, and they are compared by MD5."
)


def adopt(
    memory: Memory,
    request: UploadRequest,
    source: FileSource,
    storage: StorageClient,
    stop: threading.Event,
) -> Entry:
    """Take up `request.upload_id`, with those of its parts that are the file's.

    Raises ServiceError when the service does not know it, UsageError when it cannot be of this
    file, SourceError, Interrupted.
    """
    upload_id = request.upload_id or ""
    where = (request.namespace, request.bucket, request.name)
    listed = list(storage.list_multipart_upload_parts(*where, upload_id=upload_id))
    part_size = part_size_of(listed, source.size, request.part_size)
    plan = Plan(source.size, part_size, multipart=True)
    _check_fits(listed, plan, upload_id)
    if request.part_size not in {None, part_size}:
        text = f"Going on with parts of {part_size / MIB:g} MiB, as the upload was begun."
        memory.listener(Notice(text))
    declared = _declared(memory, request)
    text = f"Its parts declare {declared}." if declared else _UNKNOWN
    memory.listener(Notice(text))
    if part_size % MIB and part_size % MB:
        size = part_size_text(part_size)
        text = f"Its parts have an odd size: a download compares the object with --part-size {size}"
        memory.listener(Notice(f"{text}."))
    memory.listener(Notice(f"Reading {len(listed)} parts, to see whether they are of this file."))
    # Of MD5 nothing is declared: the service always computes it.
    intention = intention_of(request, source, part_size=part_size, algorithm=declared or MD5)
    right = import_parts(
        listed, plan, source, [intention.algorithm], stop=stop, threads=request.parallel
    )
    entry = memory.adopt(upload_id, intention, right)
    if wrong := len(listed) - len(right):
        text = f"{wrong} of the {len(listed)} parts there are not of this file: they are sent again"
        memory.listener(Notice(f"{text}."))
    return entry


def _declared(memory: Memory, request: UploadRequest) -> str | None:
    """The checksum that the upload was created with, as far as the caller or the journal knows."""
    if request.checksum_algorithm is not None:
        return request.checksum_algorithm
    noted, memory.entry = memory.find(), None
    if noted is not None and noted.upload_id == request.upload_id:
        return noted.algorithm if noted.algorithm != MD5 else None
    created = created_before(memory, request)
    if created is None or created[1].upload_id != request.upload_id:
        return None
    return created[0].algorithm


def part_size_of(listed: Sequence[PartSummary], size: int, given: int | None) -> int:
    """The part size of an upload of `size` bytes whose parts are `listed`; pure, bytes.

    All parts but the last have it. Without any part that tells, it is what was given. Raises
    UsageError when the parts are none of such a file.
    """
    if size == 0:
        raise UsageError("the file is empty: there is nothing to go on with")
    sizes = Counter(part.size for part in listed if part.size > 0)
    if len(listed) == 1 and (whole := _before_the_last(listed[0], size)) is not None:
        return whole
    if sizes:
        # A part that somebody sent in another size does not outvote the others.
        most = max(sizes.values())
        return max(each for each, count in sizes.items() if count == most)
    smallest = -(-size // MOST_PARTS)
    return max(given or DEFAULT_PART_SIZE, -(-smallest // MIB) * MIB)


def _before_the_last(part: PartSummary, size: int) -> int | None:
    """The size of the other parts, if this one can only be the last: others are of whole MiB."""
    if part.size % MIB == 0 or part.number == 1:
        return None
    others, left = divmod(size - part.size, part.number - 1)
    return others if left == 0 and others >= part.size and others % MIB == 0 else None


def _check_fits(listed: Sequence[PartSummary], plan: Plan, upload_id: str) -> None:
    if plan.part_count > MOST_PARTS:
        raise UsageError(
            f"upload {upload_id} has parts of {plan.part_size} bytes: the file's {plan.size} would "
            f"be {plan.part_count} of them, and an upload has at most {MOST_PARTS}",
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
