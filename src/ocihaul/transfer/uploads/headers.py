"""From what a caller asks for to the headers and documents of the requests; pure."""

import mimetypes
import posixpath
from collections.abc import Mapping

from ocihaul.storage.names import (
    check_bucket_name,
    check_headers,
    check_object_name,
    check_text,
)
from ocihaul.transfer.plan import check_parallel, check_part_size
from ocihaul.transfer.uploads.request import UploadRequest

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


def check_request(request: UploadRequest) -> None:
    """Raise UsageError for what no request could carry, before any is made."""
    check_text(request.namespace, "namespace")
    check_wishes(request)


def check_wishes(request: UploadRequest) -> None:
    """The same, while the namespace need not be known yet."""
    check_part_size(None if request.upload_id else request.part_size)
    check_parallel(request.parallel)
    check_bucket_name(request.bucket)
    check_object_name(request.name)
    check_headers(put_headers(request))
    for etag in (request.if_match, request.seen_etag):
        check_headers({} if etag is None else {"if-match": etag})


def encryption_headers(request: UploadRequest) -> dict[str, str]:
    """What every request that touches the object's bytes needs: KMS key or customer's key."""
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


def guessed_type(name: str, encoding: str | None) -> str | None:
    """The content type that a file's name tells; None: the service's own.

    What is compressed (`a.css.gz`) is of its compression's type: as text/css it would have to say
    `content-encoding: gzip` too, and whatever fetched it by HTTP would undo the compression on the
    way, so that the file that was stored would not come back. Who wants that says so, with the
    `encoding`.
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
    """What the object will have besides its bytes: fixed when a multipart upload is created."""
    document = create_document(request)
    del document["object"]
    return document


def _metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    return {f"opc-meta-{name}": value for name, value in metadata.items()}
