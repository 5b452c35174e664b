"""Parts that the service has and the journal has not: those of this file are taken over.

The service lists etag, MD5 and size of each part. A part counts when its MD5 is that of the same
range of the file; what is not is sent again, so a foreign part is never committed.
"""

import threading
from collections.abc import Collection, Iterable

from ocihaul.storage.types import PartSummary
from ocihaul.transfer.checksum import CRC32C, MD5, encoded
from ocihaul.transfer.digesting import digest_ranges
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.plan import Plan
from ocihaul.transfer.source import FileSource


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
