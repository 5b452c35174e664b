"""What a caller asks for and what comes back: the values around an upload, no behaviour."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ocihaul.errors import UsageError
from ocihaul.storage.types import ObjectSummary, SseCustomerKey

if TYPE_CHECKING:
    # They bring the journal along, which those who only ask need not load.
    from ocihaul.transfer.integrity import SentPart
    from ocihaul.transfer.receipts.receipt import Receipt

DEFAULT_MEMORY_LIMIT = 256 * 2**20


class Stream(Protocol):
    """A binary file object, as far as it is needed; `readinto` returns 0 at the end."""

    def readinto(self, view: memoryview, /) -> int | None:
        """Read some bytes into `view`; None when there are none yet."""
        ...


class Existing(Enum):
    """What to do when the object is there already."""

    ASK = "ask"
    REPLACE = "replace"
    KEEP = "keep"
    #: The caller has looked, and there is none: an object that appears meanwhile is an error.
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadRequest:
    """One file or stream to one object. Sizes are bytes; None means "not given by the caller".

    `stream` is read instead of the file, to its end and once; `source` then names it in messages.
    Its parts wait for the service in at most `memory_limit` bytes of memory, the rest of them in
    files without a name in `spool_dir` (None: `spool.default_directory()`). What the stream has to
    be is said by `expected_size` and the `content_*` values; of a file, `expected_size` too.
    A stream without a byte is a failure, unless that was said.

    `if_match` is the etag of the only object that may be replaced, `seen_etag` that of one which
    the caller has looked at: an object that is the same as ours already is no conflict there.
    `restart` drops what an earlier run has left unfinished; `wait` waits for another process that
    uploads to the same object. `upload_id` names an upload to go on with, whoever began it.
    `receipt` is a file to write the receipt to. `parallel` parts go at a time, or with `adaptive`
    at most so many, as the line and the service allow. With `outlive_session` the parts go through
    a PAR for this one object, which is valid for as long as they take at `expected_rate` (bytes
    per second), and for a day at least. `metadata` has plain keys, without `opc-meta-`.
    `content_md5` and the `content_*` checksum values are base64 and belong to the whole object.
    """

    source: Path
    namespace: str
    bucket: str
    name: str
    existing: Existing = Existing.ASK
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
    #: Refuse to go on with an upload whose parts have another size than `part_size`.
    insist_on_part_size: bool = False
    expected_size: int | None = None
    #: A stream may end without a single byte: its producer need not have failed.
    allow_empty: bool = False
    memory_limit: int = DEFAULT_MEMORY_LIMIT
    spool_dir: Path | None = None
    outlive_session: bool = False
    expected_rate: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


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


#: Asked when the object exists and `Existing.ASK` is set; True replaces it.
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
