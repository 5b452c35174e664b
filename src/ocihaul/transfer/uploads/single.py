"""A whole file, or a stream that is short, as one PutObject.

Its checksum goes along in the request, so the bytes are read before they are sent. A megabyte is
held meanwhile. What is larger is read again to be sent, from the system's cache as a rule, and
must be the same then: else its last block does not go out.
"""

from ocihaul.errors import Interrupted, SourceChanged
from ocihaul.events import Notice, PartFinished
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import BLOCK, AbandonedError, buffer_for
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.digesting import digest_range
from ocihaul.transfer.integrity import SentPart
from ocihaul.transfer.plan import DEFAULT_PART_SIZE
from ocihaul.transfer.source import Source
from ocihaul.transfer.uploads.body import RangeBody
from ocihaul.transfer.uploads.checked_put import CheckedPut, Content
from ocihaul.transfer.uploads.headers import put_headers
from ocihaul.transfer.uploads.job import Job, announced, compare_announced
from ocihaul.transfer.uploads.request import UploadResult
from ocihaul.transfer.uploads.sending import Headers


def put_whole(job: Job, source: Source, size: int, preconditions: Headers) -> UploadResult:
    """Send all of `source`. Raises ChecksumError, SourceError, what `CheckedPut.send` raises."""
    if size <= BLOCK:
        source = _Held(source, size)
    elif size > DEFAULT_PART_SIZE:
        job.listener(Notice("It is read once for its checksum before it is sent."))
    content, body = _content(job, source, size)
    put = CheckedPut(
        job.target,
        job.integrity,
        put_headers(job.request),
        settle_conflicts=job.request.if_match is None,
    )
    try:
        stored = put.send(content, preconditions)
    finally:
        job.sender.count(body.total_sent)
    _check_unchanged_although_stored(job, source, stored.headers)
    job.listener(PartFinished(1, size))
    etag, request_id = stored.headers.get("etag", ""), stored.headers.get("opc-request-id")
    md5 = stored.digests.get(MD5)
    return job.result(
        stored.headers,
        size=size,
        part_count=1,
        crc32c=checksum.encoded(stored.digests[CRC32C]),
        md5=checksum.encoded(md5) if md5 is not None else None,
        parts=[SentPart(size, etag, stored.digests, request_id)],
    )


def _content(job: Job, source: Source, size: int) -> tuple[Content, RangeBody]:
    """Read it for its checksums, and make of it what can be sent."""
    buffer = buffer_for(size)

    def check() -> None:
        if job.stop.is_set():
            raise Interrupted("stopped while the file was read")
        if job.abandoned.is_set():
            raise AbandonedError

    def digest(*algorithms: str) -> dict[str, bytes]:
        return digest_range(source, 0, size, algorithms, buffer=buffer, check=check)

    given = announced(job.request)
    digests = digest(*(job.integrity.algorithms | given.keys()))
    compare_announced(job.request, digests)
    source.check_unchanged()
    body = RangeBody(
        source,
        0,
        size,
        part_number=1,
        algorithms=frozenset({CRC32C}),
        expected={CRC32C: digests[CRC32C]},
        buffer=buffer,
        listener=job.listener,
        abandoned=job.abandoned,
    )
    content = Content(body, size, digests, lambda name: digest(name)[name], body.throw_away)
    return content, body


class _Held:
    """A short source that is read once."""

    def __init__(self, source: Source, size: int) -> None:
        self._source = source
        self._data = memoryview(bytearray(size))
        source.read_into(self._data, 0)

    def read_into(self, view: memoryview, offset: int) -> None:
        view[:] = self._data[offset : offset + len(view)]

    def check_unchanged(self) -> None:
        self._source.check_unchanged()


def _check_unchanged_although_stored(job: Job, source: Source, answer: Headers) -> None:
    """What was stored is the source as it was, and older than what it is now: say so."""
    try:
        source.check_unchanged()
    except SourceChanged as error:
        error.hint = (
            f"What was stored as {job.request.name!r} is older. Upload it again when nobody "
            "writes to it."
        )
        error.stored = answer.get("etag")
        raise
