"""What a caller of a download asks for and what comes back: values, no behaviour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from ocihaul.storage.types import SseCustomerKey


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """One object, or one range of its bytes, to one file. Sizes are bytes.

    `target` is a path, or an open binary stream that gets the bytes in order. `byte_range` is
    written as in HTTP: "bytes=0-99", "bytes=100-", "bytes=-100". An object larger than
    `threshold` (None: two parts) and than `part_size` is fetched in `parallel` ranges of
    `part_size` at a time, unless `multipart` is False; with `adaptive`, `parallel` is the most, and
    how many pay is found out on the way. `response_headers` are what GetObject calls httpResponse…:
    the names after that, such as ContentType, and their values.

    `restore` asks for an archived object to be restored, for `restore_hours` (None: the
    service's default), and waits for it. `restart` drops what an earlier run has fetched; `wait`
    waits for another process that downloads to the same file. Without `verify` the bytes are not
    compared with the object's checksum.
    """

    namespace: str
    bucket: str
    name: str
    target: Path | BinaryIO
    version_id: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    byte_range: str | None = None
    part_size: int | None = None
    threshold: int | None = None
    parallel: int = 10
    adaptive: bool = False
    multipart: bool = True
    verify: bool = True
    restart: bool = False
    wait: bool = True
    restore: bool = False
    restore_hours: int | None = None
    sse_customer_key: SseCustomerKey | None = None
    response_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadResult:
    """What is here now.

    `headers` are those of the object (HeadObject), lower-case. `size` counts the bytes that were
    written, `bytes_received` those that came in this run: `size` less what an earlier run had.
    `crc32c` is our own value, base64. `checked_by` names the checksum that was compared: CRC32C,
    MD5, or None where there was none to compare.
    """

    headers: Mapping[str, str]
    size: int
    part_count: int
    bytes_received: int
    crc32c: str
    checked_by: str | None
    seconds: float
