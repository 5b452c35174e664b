"""What a caller asks for and what comes back: the values around an upload, no behaviour."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from ocihaul.storage.types import ObjectSummary, SseCustomerKey


class Existing(Enum):
    """What to do when the object is there already."""

    ASK = "ask"
    REPLACE = "replace"
    KEEP = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """One file to one object. Sizes are bytes; None means "not given by the caller".

    `restart` drops what an earlier run has left unfinished; `wait` waits for another process that
    uploads to the same object. `parallel` parts go at a time, or with `adaptive` at most so many,
    as the line and the service allow. `metadata` has plain keys, without `opc-meta-`.
    `content_md5` and the `content_*` checksum values are base64 and belong to the whole object.
    """

    source: Path
    namespace: str
    bucket: str
    name: str
    existing: Existing = Existing.ASK
    if_match: str | None = None
    multipart: bool = True
    restart: bool = False
    wait: bool = True
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
    metadata: Mapping[str, str] = field(default_factory=dict)


#: Asked when the object exists and `Existing.ASK` is set; True replaces it.
Confirm = Callable[[ObjectSummary], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadResult:
    """What the service has now.

    `headers` are the answer's headers, lower-case, as the service sent them. `md5` is our own
    value in the service's notation (`…` or `…-N` for N parts), None where it was not computed.
    `bytes_sent` counts every body byte handed to a connection, `bytes_resent` those beyond size.
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
