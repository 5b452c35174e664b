"""A whole file as one PutObject."""

from ocihaul.errors import ServiceError, SourceChanged
from ocihaul.transfer import checksum
from ocihaul.transfer.blocks import buffer_for
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.digesting import digest_range
from ocihaul.transfer.source import Piece, Source
from ocihaul.transfer.uploads.body import RangeBody
from ocihaul.transfer.uploads.job import Job
from ocihaul.transfer.uploads.request import UploadResult
from ocihaul.transfer.uploads.sending import Headers


def put_whole(job: Job, source: Source, size: int, headers: Headers) -> UploadResult:
    """Send all of `source`; `headers` are those of the request, preconditions included."""

    def put(body: RangeBody, damaged: Headers | None) -> Headers:
        wanted = {**headers, **job.integrity.request_headers()}
        if damaged is not None:  # the damaged object is there now, and ours to replace
            wanted.pop("if-none-match", None)
            wanted["if-match"] = damaged["etag"]
        answer = _put(job, source, body, wanted)
        _check_unchanged_although_stored(job, source, answer)
        return answer

    part, answer = job.sender.send(Piece(1, source, 0, size), buffer=buffer_for(size), send=put)
    md5 = part.digests.get(MD5)
    return job.result(
        answer,
        size=size,
        part_count=1,
        crc32c=checksum.encoded(part.digests[CRC32C]),
        md5=checksum.encoded(md5) if md5 is not None else None,
        parts=[part],
    )


def _put(job: Job, source: Source, body: RangeBody, headers: Headers) -> Headers:
    request = job.request
    try:
        return job.storage.put_object(
            request.namespace, request.bucket, request.name, body, headers
        ).headers
    except ServiceError as error:
        if error.status != 412 or not error.after_retry:
            raise
        # Our own first attempt may be what stands in the way: its reply was lost.
        digests = body.digests or {
            name: digest_range(source, 0, body.length, name) for name in (CRC32C, MD5)
        }
        body.digests = dict(digests)
        expected = {checksum.content_header(n): checksum.encoded(d) for n, d in digests.items()}
        settled = job.target.settled(body.length, expected)
        if settled is None:
            raise
        return settled


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
