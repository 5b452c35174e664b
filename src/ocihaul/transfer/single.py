"""A whole file as one PutObject."""

from ocihaul.errors import ServiceError, SourceChanged
from ocihaul.transfer import checksum
from ocihaul.transfer.body import RangeBody
from ocihaul.transfer.checksum import CRC32C, MD5
from ocihaul.transfer.job import Job
from ocihaul.transfer.request import UploadResult
from ocihaul.transfer.sending import Headers


def put_whole(job: Job, headers: Headers) -> UploadResult:
    """Send the file; `headers` are those of the request, preconditions included."""
    size = job.plan.size

    def put(body: RangeBody, damaged: Headers | None) -> Headers:
        wanted = {**headers, **job.integrity.request_headers()}
        if damaged is not None:  # the damaged object is there now, and ours to replace
            wanted.pop("if-none-match", None)
            wanted["if-match"] = damaged["etag"]
        answer = _put(job, body, wanted)
        _check_unchanged_although_stored(job)
        return answer

    part, answer = job.sender.send(1, 0, size, buffer=job.sender.buffer_for(size), send=put)
    md5 = part.digests.get(MD5)
    return job.result(
        answer,
        crc32c=checksum.encoded(part.digests[CRC32C]),
        md5=checksum.encoded(md5) if md5 is not None else None,
        parts=[part],
    )


def _put(job: Job, body: RangeBody, headers: Headers) -> Headers:
    request = job.request
    try:
        return job.storage.put_object(
            request.namespace, request.bucket, request.name, body, headers
        ).headers
    except ServiceError as error:
        if error.status != 412 or not error.after_retry:
            raise
        # Our own first attempt may be what stands in the way: its reply was lost.
        digests = body.digests or {CRC32C: job.reread(CRC32C), MD5: job.reread(MD5)}
        body.digests = dict(digests)
        expected = {checksum.content_header(n): checksum.encoded(d) for n, d in digests.items()}
        settled = job.target.settled(job.plan.size, expected)
        if settled is None:
            raise
        return settled


def _check_unchanged_although_stored(job: Job) -> None:
    """A single object is there before its source can be looked at again: say so."""
    try:
        job.source.check_unchanged()
    except SourceChanged as error:
        raise SourceChanged(
            error.message,
            hint=f"What was stored as {job.request.name!r} may be a mixture of both. "
            "Upload it again when nobody writes to it.",
        ) from None
