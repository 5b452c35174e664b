"""What a caller asks for, checked once, which ranges that makes, and what comes back; pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from ocihaul.errors import UsageError
from ocihaul.storage.names import check_bucket_name, check_headers, check_object_name, check_text
from ocihaul.storage.values import SseCustomerKey
from ocihaul.transfer.plan import (
    GIB,
    is_within,
    service_limits,
    validate_parallel,
)

LARGEST_OBJECT = 10 * 1024 * GIB


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadRequest:
    """One object, or one range of its bytes, to one file. Sizes are bytes.

    Raises UsageError for what no request could carry. Without a `namespace` it is not complete: the
    caller adds it.

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

    def __post_init__(self) -> None:
        if self.namespace:
            check_text(self.namespace, "namespace")
        check_bucket_name(self.bucket)
        check_object_name(self.name)
        check_headers(self.preconditions)
        validate_options(part_size=self.part_size, parallel=self.parallel)
        if self.restore_hours is not None and not is_within(self.restore_hours, 1, 240):
            raise UsageError(f"`restore_hours`: {self.restore_hours!r} (1 to 240)")

    @property
    def preconditions(self) -> dict[str, str]:
        """The headers that say which etag the object must have, or must not have."""
        given = {"if-match": self.if_match, "if-none-match": self.if_none_match}
        return {name: value for name, value in given.items() if value is not None}


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


_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

#: The last ranges are no smaller than this, bytes: each costs a round trip.
_SMALLEST = 2**20
#: Ranges are at most this many times larger than asked for, to match the object's own parts.
_LARGEST_STRETCH = 4


@dataclass(frozen=True, slots=True)
class RangePlan:
    """Bytes `start` to `end` (exclusive) of an object, in ranges of `part_size`.

    `block` is what each MD5 taken on the way covers, in bytes; `part_size` is a multiple of it.
    None: no MD5 is taken on the way. With `workers` the last ranges are smaller, so that the last
    of so many workers ends soon after the first.
    """

    start: int
    end: int
    part_size: int
    block: int | None
    workers: int = 0

    @property
    def size(self) -> int:
        """Bytes in all."""
        return self.end - self.start

    @property
    def part_count(self) -> int:
        """How many ranges; none for no bytes."""
        equal, tail = self._cuts
        return equal + len(tail)

    @property
    def _cuts(self) -> tuple[int, tuple[tuple[int, int], ...]]:
        return _cuts(self.size, self.part_size, self.workers)

    def part(self, number: int) -> tuple[int, int]:
        """Offset (from `start`) and length of range `number`, counted from 1; bytes."""
        equal, tail = self._cuts
        if number <= equal:
            return (number - 1) * self.part_size, self.part_size
        return tail[number - equal - 1]


@lru_cache(maxsize=64)
def _cuts(size: int, part_size: int, workers: int) -> tuple[int, tuple[tuple[int, int], ...]]:
    """How many ranges are of equal size, and offset and length of those that follow.

    These are half of what is left for each worker, down to a mebibyte (guided self-scheduling):
    workers are of unequal speed, and none is to begin a large range when the others end.
    """
    equal = size // part_size if not workers else max(0, size // part_size - 2 * workers)
    tail, at = [], equal * part_size
    while at < size:
        wished = part_size if not workers else -(-(size - at) // (2 * workers))
        length = min(part_size, max(wished, _SMALLEST), size - at)
        tail.append((at, length))
        at += length
    return equal, tuple(tail)


def wanted_bytes(byte_range: str | None, size: int) -> tuple[int, int]:
    """Start and end (exclusive) of what a Range header asks for of `size` bytes.

    Raises UsageError for what is no single range, or has no bytes in it.
    """
    if byte_range is None:
        return 0, size
    match = _RANGE.fullmatch(byte_range.strip())
    if match is None or not any(match.groups()):
        raise UsageError(
            f"`byte_range`: {byte_range!r} is not one range of bytes",
            hint="Write bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT.",
        )
    first, last = match.groups()
    start = max(size - int(last), 0) if not first else int(first)
    end = size if not first or not last else min(int(last) + 1, size)
    if start >= end:
        raise UsageError(f"`byte_range`: {byte_range} (the object has {size} bytes)")
    return start, end


def validate_options(*, part_size: int | None, parallel: int) -> None:
    """Raise UsageError for numbers that are out of range."""
    if part_size is not None and not is_within(part_size, 1, LARGEST_OBJECT):
        raise UsageError(f"`part_size`: {part_size!r} bytes (1 byte to 10 TiB)")
    validate_parallel(parallel)


def plan_download(
    span: tuple[int, int],
    *,
    part_size: int | None,
    threshold: int | None,
    multipart: bool,
    block: int | None,
    parallel: int = 0,
) -> RangePlan:
    """Cut the bytes from `span[0]` to `span[1]` into ranges.

    `block`: the object's parts as it was uploaded. Ranges become whole numbers of them, so that
    their MD5 can be taken on the way, unless that would make them far too large.
    """
    start, end = span
    size = end - start
    wanted = part_size or service_limits().chosen_part(size, parallel)
    if not multipart or size <= max(wanted, 2 * wanted - 1 if threshold is None else threshold):
        return RangePlan(start, end, max(size, 1), block)
    if block is None or block >= size or block > wanted * _LARGEST_STRETCH:
        return RangePlan(start, end, wanted, None, parallel if parallel > 1 else 0)
    return RangePlan(start, end, max(wanted // block, 1) * block, block)
