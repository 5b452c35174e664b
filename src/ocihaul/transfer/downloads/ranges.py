"""Which bytes of an object are fetched, and how they are cut into ranges; pure."""

import re
from dataclasses import dataclass
from functools import lru_cache

from ocihaul.errors import UsageError
from ocihaul.transfer.plan import (
    LARGEST_OBJECT,
    MOST_PARALLEL,
    chosen_part_size,
    is_within,
)

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)

#: The last ranges are no smaller than this, bytes: each costs a round trip.
_SMALLEST = 2**20
#: Ranges are made this many times larger than wished, at most, to match the object's own parts.
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
            f"--range {byte_range!r} is not one range of bytes",
            hint="Write bytes=FIRST-LAST, bytes=FIRST- or bytes=-COUNT.",
        )
    first, last = match.groups()
    start = max(size - int(last), 0) if not first else int(first)
    end = size if not first or not last else min(int(last) + 1, size)
    if start >= end:
        raise UsageError(f"--range {byte_range}: there is no such byte, the object has {size}")
    return start, end


def check_wishes(*, part_size: int | None, parallel: int) -> None:
    """Raise UsageError for numbers that cannot be."""
    if part_size is not None and not is_within(part_size, 1, LARGEST_OBJECT):
        raise UsageError(
            f"a part size of {part_size!r} bytes cannot be", hint=f"It is 1 to {LARGEST_OBJECT}."
        )
    if not is_within(parallel, 1, MOST_PARALLEL):
        raise UsageError(
            f"{parallel} ranges at a time cannot be",
            hint=f"--parallel-download-count is 1 to {MOST_PARALLEL}.",
        )


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
    wished = part_size or chosen_part_size(size, max(parallel, 1))
    if not multipart or size <= max(wished, 2 * wished - 1 if threshold is None else threshold):
        return RangePlan(start, end, max(size, 1), block)
    if block is None or block >= size or block > wished * _LARGEST_STRETCH:
        return RangePlan(start, end, wished, None, parallel if parallel > 1 else 0)
    return RangePlan(start, end, max(wished // block, 1) * block, block)
