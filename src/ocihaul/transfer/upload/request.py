"""What a caller asks for, checked once, and what comes back; and the headers that follow from
it."""

import mimetypes
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ocihaul.errors import UsageError
from ocihaul.storage.names import (
    check_bucket_name,
    check_headers,
    check_object_name,
    check_text,
)
from ocihaul.storage.values import ObjectSummary, SseCustomerKey
from ocihaul.transfer.checksum import CRC32C, DECLARABLE, MD5, SHA256, SHA384
from ocihaul.transfer.plan import (
    ServiceLimits,
    service_limits,
    validate_parallel,
    validate_part_size,
)

if TYPE_CHECKING:
    # They bring the journal along, which those who only ask need not load.
    from ocihaul.transfer.checksum import SentPart
    from ocihaul.transfer.receipt import Receipt

DEFAULT_MEMORY_LIMIT = 256 * 2**20


class Stream(Protocol):
    """A binary file object, as far as it is needed; `readinto` returns 0 at the end."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Read some bytes into `view`; None when there are none yet."""
        ...


class IfExists(Enum):
    """What to do if the object exists already."""

    ASK = "ask"
    REPLACE = "replace"
    KEEP = "keep"
    #: The caller has seen that there is none: an object that appears meanwhile is an error.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """One file or stream to one object. Sizes are bytes; None means that the caller did not say.

    Raises UsageError for what no request could carry. Without a `namespace` it is not complete:
    the caller adds it.

    `stream` is read instead of the file, to its end and once; `source` then names it in messages.
    Its parts wait in at most `memory_limit` bytes of memory, the rest of them in nameless files in
    `spool_dir` (None: `spool.default_directory()`). `expected_size` and the `content_*` values say
    what the source has to be. A stream without a byte is a failure, unless they say so.

    `if_match` is the etag of the only object that may be replaced, `seen_etag` that of one which
    the caller has seen: an object that equals ours already is no conflict there. `restart` drops
    what an earlier run has left incomplete; `wait` waits for another process that uploads to the
    same object. `upload_id` names an upload to resume, begun anywhere. `receipt` is a file to
    write the receipt to. `parallel` parts go at a time, or with `adaptive` at most so many, as the
    line and the service allow. With `outlive_session` the parts go through a PAR for this one
    object, which is valid for as long as they take at `expected_rate` (bytes per second), and for
    a day at least. `metadata` has plain keys, without `opc-meta-`. `content_md5` and the
    `content_*` checksums are base64 and belong to the whole object.
    """

    source: Path
    namespace: str
    bucket: str
    name: str
    existing: IfExists = IfExists.ASK
    if_match: str | None = None
    seen_etag: str | None = None
    multipart: bool = True
    restart: bool = False
    wait: bool = True
    receipt: Path | None = None
    upload_id: str | None = None
    part_size: int | None = None
    parallel: int = 10
    adaptive: bool = False
    verify_checksum: bool = False
    content_md5: str | None = None
    checksum_algorithm: str | None = None
    content_crc32c: str | None = None
    content_sha256: str | None = None
    content_sha384: str | None = None
    content_type: str | None = None
    content_language: str | None = None
    content_encoding: str | None = None
    content_disposition: str | None = None
    cache_control: str | None = None
    storage_tier: str | None = None
    kms_key_id: str | None = None
    sse_customer_key: SseCustomerKey | None = None
    stream: Stream | None = field(default=None, repr=False)
    expected_size: int | None = None
    #: A stream may end without a single byte: its producer need not have failed.
    allow_empty: bool = False
    memory_limit: int = DEFAULT_MEMORY_LIMIT
    spool_dir: Path | None = None
    outlive_session: bool = False
    expected_rate: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    limits: ServiceLimits = field(default_factory=service_limits, repr=False)

    def __post_init__(self) -> None:
        if self.namespace:
            check_text(self.namespace, "namespace")
        validate_part_size(None if self.upload_id else self.part_size, self.limits)
        validate_parallel(self.parallel)
        check_bucket_name(self.bucket)
        check_object_name(self.name)
        check_headers(put_headers(self))
        for etag in (self.if_match, self.seen_etag):
            check_headers({} if etag is None else {"if-match": etag})
        if self.memory_limit < 0:
            raise UsageError(f"`memory_limit`: {self.memory_limit} (0 or more; 0: only the disk)")


def upload_request(
    source: "str | Path | Stream",
    bucket: str,
    name: str | None,
    namespace: str,
    options: Mapping[str, Any],
) -> UploadRequest:
    """The request for a path or a binary file object; `options` are other fields of it.

    Raises UsageError for a stream that is none, or has no name.
    """
    stream = None if isinstance(source, (str, Path)) else source
    if stream is not None and not hasattr(stream, "readinto"):
        raise UsageError(f"source: {source!r:.100} is not a path or a binary file object")
    if stream is not None and not name:
        raise UsageError("name: missing (the object of a binary file object needs one)")
    path = Path(source) if isinstance(source, (str, Path)) else Path("-")
    paths = {
        each: Path(options[each])
        for each in ("receipt", "spool_dir")
        if isinstance(options.get(each), str)
    }
    return UploadRequest(
        source=path,
        stream=stream,
        namespace=namespace,
        bucket=bucket,
        name=name or path.name,
        **{**options, **paths},
    )


#: Asked when the object exists and `IfExists.ASK` is set; True replaces it.
Confirm = Callable[[ObjectSummary], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult:
    """What the service has now.

    `headers` are the answer's headers, lower-case, as the service sent them. `md5` is our own
    value in the service's notation (`…` or `…-N` for N parts), None where it was not computed.
    `bytes_sent` counts every body byte handed to a connection, `bytes_resent` those beyond size.
    `parts` are all parts in order (one for a single PutObject), `receipt` is the proof of it all.
    """

    headers: Mapping[str, str]
    size: int
    part_count: int
    upload_id: str | None
    crc32c: str | None
    md5: str | None
    bytes_sent: int
    bytes_resent: int
    seconds: float
    parts: Sequence["SentPart"] = ()
    receipt: "Receipt | None" = None


_CONTENT = {
    "content-type": "content_type",
    "content-language": "content_language",
    "content-encoding": "content_encoding",
    "content-disposition": "content_disposition",
    "cache-control": "cache_control",
    "storage-tier": "storage_tier",
}

#: The types of what Python's mimetypes calls encodings.
_COMPRESSED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/x-brotli",
    "zstd": "application/zstd",
}


def expected_checksums(request: UploadRequest) -> Mapping[str, str]:
    """The checksums of the whole source that the caller gave, base64 by algorithm."""
    given = {
        CRC32C: request.content_crc32c,
        SHA256: request.content_sha256,
        SHA384: request.content_sha384,
        MD5: request.content_md5,
    }
    return {name: value for name, value in given.items() if value is not None}


def requested_algorithm(request: UploadRequest) -> str | None:
    """The checksum that the caller wants to be declared, or implies by giving its value."""
    implied = (name for name in expected_checksums(request) if name in DECLARABLE)
    return request.checksum_algorithm or next(implied, None)


def encryption_of(request: UploadRequest) -> str:
    """How the parts are encrypted, in a form that gives no key away."""
    if request.sse_customer_key is not None:
        return "sse-c " + request.sse_customer_key.headers()["opc-sse-customer-key-sha256"]
    return f"kms {request.kms_key_id}" if request.kms_key_id else "service"


def encryption_headers(request: UploadRequest) -> dict[str, str]:
    """The KMS key or the customer's key, for every request that touches the object's bytes."""
    headers = request.sse_customer_key.headers() if request.sse_customer_key else {}
    if request.kms_key_id:
        headers["opc-sse-kms-key-id"] = request.kms_key_id
    return headers


def put_headers(request: UploadRequest) -> dict[str, str]:
    """The headers of a single PutObject, but for checksums and preconditions."""
    headers = {name: getattr(request, field) for name, field in _CONTENT.items()}
    headers |= {
        "content-md5": request.content_md5,
        "opc-content-crc32c": request.content_crc32c,
        "opc-content-sha256": request.content_sha256,
        "opc-content-sha384": request.content_sha384,
    }
    headers |= _metadata(request.metadata) | encryption_headers(request)
    return {name: value for name, value in headers.items() if value is not None}


def guess_content_type(name: str, encoding: str | None) -> str | None:
    """Guess the content type from a file's name; None where it tells none.

    A compressed file (`a.css.gz`) gets its compression's type: as text/css it would also have to
    say `content-encoding: gzip`, and an HTTP client would undo the compression on the way, so that
    another file would come back than was stored. An `encoding` asks for just that.
    """
    guess, compression = mimetypes.guess_type(f"/{posixpath.basename(name)}")  # not a URL
    if compression is None or compression == encoding:
        return guess
    return _COMPRESSED.get(compression)


def create_document(request: UploadRequest) -> dict[str, object]:
    """The document of CreateMultipartUpload."""
    document: dict[str, object | None] = {
        "object": request.name,
        "contentType": request.content_type,
        "contentLanguage": request.content_language,
        "contentEncoding": request.content_encoding,
        "contentDisposition": request.content_disposition,
        "cacheControl": request.cache_control,
        "storageTier": request.storage_tier,
        "metadata": _metadata(request.metadata) or None,
    }
    return {name: value for name, value in document.items() if value is not None}


def attributes_of(request: UploadRequest) -> dict[str, object]:
    """The object's attributes, which are fixed when a multipart upload is created."""
    document = create_document(request)
    del document["object"]
    return document


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"opc-meta-{name}": value for name, value in metadata.items()}
