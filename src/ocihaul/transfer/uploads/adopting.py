"""An upload that the journal does not know: how large its parts are, and which are of this file."""

import threading
from collections import Counter
from collections.abc import Sequence

from ocihaul.errors import UsageError
from ocihaul.events import Notice
from ocihaul.storage.client import StorageClient
from ocihaul.storage.types import PartSummary
from ocihaul.transfer.checksum import MD5
from ocihaul.transfer.journal.values import Entry
from ocihaul.transfer.plan import DEFAULT_PART_SIZE, MB, MIB, MOST_PARTS, Plan, part_size_text
from ocihaul.transfer.source import FileSource
from ocihaul.transfer.uploads.importing import import_parts
from ocihaul.transfer.uploads.memory import Memory
from ocihaul.transfer.uploads.request import UploadRequest
from ocihaul.transfer.uploads.resuming import created_before, intention_of

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
        if request.insist_on_part_size:
            raise UsageError(
                f"part size: {part_size_text(request.part_size or 0)} is not that of the upload "
                f"({part_size_text(part_size)})",
                hint="Leave it out: the upload knows the size of its parts.",
            )
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
